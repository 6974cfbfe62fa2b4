"""`summary`, `models` and `backends`: the layers of a network, all networks, all backends."""

from contextlib import nullcontext
from enum import StrEnum
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from .. import registry
from ..kernels import dispatch, functional
from ..layers.init import skip_init
from ..study.summary import summarize
from .app import (
    BATCH,
    ModelFlag,
    OptionFlags,
    app,
    console,
    find_network,
    parse_input_size,
)
from .tables import print_table, show_probe, summary_table

# What a narrow terminal goes without in the table of `summary`, the first ones first.
SPARE = ("connections", "memory", "padding", "stride", "note", "activation", "kernel")


class Format(StrEnum):
    """The formats of the table of `summary`."""

    terminal = "terminal"
    markdown = "markdown"
    json = "json"


@app.command()
def summary(
    model: Annotated[
        str, typer.Argument(help="A network's name, FILE.py:FUNCTION, or a .safetensors file.")
    ],
    input_size: Annotated[
        str | None,
        typer.Option("--input", help="H, HxW or HxWxC in pixels; by default the network's own."),
    ] = None,
    batch: Annotated[int, typer.Option(*BATCH, min=1, help="Images that the memory is for.")] = 1,
    format: Annotated[Format, typer.Option(help="How to write the table.")] = Format.terminal,
    with_probe: Annotated[
        bool, typer.Option("--probe", help="Also run one step and show the scale of every layer.")
    ] = False,
    own: ModelFlag = None,
    option: OptionFlags = None,
) -> None:
    """The layers of a network: kernel, stride, output size, memory, parameters, MACs, ..."""
    if with_probe and format is not Format.terminal:
        raise ValueError(f"--format {format} is without --probe, which prints a table of its own")
    with nullcontext() if with_probe else skip_init():
        network = find_network(model, own, option)
    result = summarize(network, parse_input_size(input_size, network.input_shape), batch)
    if format is Format.json:
        print(result.to_json())
    elif format is Format.markdown:
        print(result.to_markdown())
    else:
        print_table(summary_table(result), SPARE)
        console.print(result.footer(), soft_wrap=True)
        if network.recipe:
            console.print(network.recipe.summary(network.input_shape), soft_wrap=True)
    if with_probe:
        show_probe(network, max(batch, 2))


@app.command()
def models() -> None:
    """All networks, with their input, parameters and multiply-accumulates (MACs)."""
    table = Table()
    columns: tuple[tuple[str, int, Literal["left", "right"]], ...] = (
        ("name", 21, "left"),
        ("input", 9, "left"),
        ("parameters", 11, "right"),
        ("MACs", 14, "right"),
        ("recipes", 7, "left"),
    )
    for heading, width, side in columns:
        table.add_column(heading, min_width=width, justify=side)
    table.add_column("about", max_width=60, no_wrap=True, overflow="ellipsis")
    for name in registry.names():
        with skip_init():
            found = summarize(registry.create(name))
        entry = registry.entry(name)
        size = "x".join(map(str, found.input))
        counts = (f"{found.parameters:,}", f"{found.macs:,}")
        table.add_row(name, size, *counts, ", ".join(entry.recipes), entry.summary)
    print_table(table, ("about", "recipes"))


def _bfloat16_on_cpu() -> str:
    """How the CPU multiplies bfloat16 numbers, and why not otherwise."""
    from ..kernels.cpu import matrix_units_access, precision

    reason = precision.unavailable("bf16")
    if reason:
        return f"not available: {reason}"
    reason = matrix_units_access.unavailable()
    return f"AVX-512, without matrix units: {reason}" if reason else "matrix units and AVX-512"


@app.command()
def backends() -> None:
    """Which backend serves which operation, and why one is unavailable."""
    for name, purpose in dispatch.BACKENDS.items():
        found = dispatch.load(name)
        missing = isinstance(found, str)
        state = f"not available: {found}" if missing else "available"
        line = Text.assemble(
            (f"{name:10}", "bold"), f" {purpose}: ", (state, "yellow" if missing else "green")
        )
        console.print(line, soft_wrap=True)
        if name == "cpu" and not missing:
            console.print(f"{'':10} --precision bf16: {_bfloat16_on_cpu()}", soft_wrap=True)
    table = Table("operation", *dispatch.BACKENDS)
    for operation, served in functional.table().items():
        table.add_row(operation, *("yes" if served[name] else "" for name in dispatch.BACKENDS))
    print_table(table)
    console.print(
        "An operation that a backend lacks falls back to `reference`. float64 arrays always use it."
    )
