"""`profile`: where a step's time and memory go."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..study.profile import Profile, profile
from .app import (
    BATCH,
    BackendFlag,
    ModelFlag,
    OptionFlags,
    app,
    choose_compute,
    console,
    find_network,
    parse_input_size,
)
from .tables import print_table

NetworkArgument = Annotated[
    str, typer.Argument(help="A network's name, FILE.py:FUNCTION, or a .safetensors file.")
]
InputFlag = Annotated[
    str | None,
    typer.Option("--input", help="H, HxW or HxWxC in pixels; by default the network's own."),
]


@app.command("profile")
def profile_command(
    model: NetworkArgument,
    batch: Annotated[int, typer.Option(*BATCH, min=1, help="Images in a step.")] = 16,
    input_size: InputFlag = None,
    train: Annotated[
        bool,
        typer.Option("--train/--inference", help="Measure a training step, or only a forward."),
    ] = True,
    fused: Annotated[
        bool,
        typer.Option("--fused", help="Measure the network that training runs, neighbors fused."),
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="The least number of measured steps.")] = 5,
    rows: Annotated[
        int, typer.Option(min=1, help="Fold blocks of layers if the table had more rows.")
    ] = 40,
    out: Annotated[
        Path | None, typer.Option(help="Draw the bars to this file, PNG or SVG.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every layer as JSON instead of tables.")
    ] = False,
    backend: BackendFlag = None,
    own: ModelFlag = None,
    option: OptionFlags = None,
) -> None:
    """Where a step's time and memory go: by layer and by operation, beside the machine's limits."""
    from ..study import plots

    if out:
        plots.validate_target(out)
    choose_compute(backend, "cpu", None)
    network = find_network(model, own, option, seed=0)
    shape = parse_input_size(input_size, network.input_shape)
    found = profile(network, shape, batch, train, fused, steps)
    if out:
        found.picture(out, rows)
    if as_json:
        print(found.to_json())
        return
    _show(found, rows)
    if out:
        console.print(f"picture: {out}", soft_wrap=True)


def _show(found: Profile, rows: int) -> None:
    table = Table(title=found.title)
    passes = ("forward, ms", "backward, ms") if found.train else ("forward, ms",)
    headings = (*passes, "share", "of floor", "GFLOP/s", "GB/s", "held, MiB")
    table.add_column("layer", no_wrap=True)
    table.add_column("type", no_wrap=True)
    for heading in headings[: None if found.train else -1]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found.folded(rows):
        times = [row.forward, row.backward][: len(passes)]
        cells = [*(_number(1e3 * t, 3) for t in times), f"{row.seconds / found.seconds:.1%}"]
        cells += [f"{row.floor / row.seconds:.0%}" if row.floor and row.seconds else ""]
        cells += [_rate(row.flops, row.seconds), _rate(row.bytes, row.seconds)]
        cells += [_number(row.held / 2**20, 2)] if found.train else []
        table.add_row(row.name, row.layer, *cells)
    sums = [sum(getattr(r, p) for r in found.rows) for p in ("forward", "backward")][: len(passes)]
    total = [*(_number(1e3 * s, 3) for s in sums), "100.0%", "", "", ""]
    total += [_number(found.held / 2**20, 2)] if found.train else []
    table.add_section()
    table.add_row("sum", "", *total, style="bold")
    print_table(table, ("GB/s", "GFLOP/s", "held, MiB", "type"))
    operations = Table("operation", title="by operation")
    for heading in ("ms", "share"):
        operations.add_column(heading, justify="right")
    for name, seconds in found.operations.items():
        if seconds:
            operations.add_row(name, f"{1e3 * seconds:,.3f}", f"{seconds / found.seconds:.1%}")
    print_table(operations)
    console.print(found.footer(), soft_wrap=True)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if value else ""


def _rate(count: int, seconds: float) -> str:
    """Billions per second."""
    return f"{count / seconds / 1e9:,.1f}" if count and seconds else ""
