"""`forecast`: the time and memory of a step before it runs."""

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from ..layers import Network
from ..layers.init import skip_init
from ..machine import Machine, this_machine
from ..study.forecast import GIB, Forecast, forecast, largest_batch, what_if
from ..text import four_digits
from ..training.optimizers import OPTIMIZERS
from .app import BATCH, ModelFlag, OptionFlags, app, console, find_network, parse_input_size
from .profile import InputFlag, NetworkArgument
from .tables import print_table


@app.command("forecast")
def forecast_command(
    model: NetworkArgument,
    batch: Annotated[int, typer.Option(*BATCH, min=1, help="Images in a step.")] = 16,
    input_size: InputFlag = None,
    train: Annotated[
        bool, typer.Option("--train/--inference", help="A training step, or only a forward.")
    ] = True,
    optimizer: Annotated[str, typer.Option(help=f"One of {', '.join(OPTIMIZERS)}.")] = "sgd",
    variants: Annotated[
        list[str] | None,
        typer.Option("--what-if", help="A table: batch=1,8,64 or input=160,224x320; repeatable."),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0, help="GiB that the largest batch must fit; by default the machine's."),
    ] = None,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure the speed of the machine again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    own: ModelFlag = None,
    option: OptionFlags = None,
) -> None:
    """The time and memory of a step before it runs, and the largest batch that fits."""
    with skip_init():
        network = find_network(model, own, option)
    shape = parse_input_size(input_size, network.input_shape)
    chosen = _variants(variants or [], network, batch, shape)
    machine = this_machine(remeasure)
    found = forecast(network, shape, batch, train, optimizer, machine)
    table = what_if(network, *chosen, train, optimizer, machine) if variants else []
    room = memory * GIB if memory is not None else _memory_of_machine()
    most = None
    if room is not None:
        most = largest_batch(network, room, shape, train, optimizer, machine)
    if as_json:
        numbers = [json.loads(f.to_json()) for f in table]
        extra = {"what_if": numbers, "largest_batch": most, "machine": asdict(machine)}
        print(json.dumps(json.loads(found.to_json()) | extra, indent=2))
        return
    _show(found, table, machine)
    if room is not None:
        console.print(f"largest batch in {room / GIB:.3g} GiB: {most:,}", soft_wrap=True)


def _variants(
    texts: list[str], network: Network, batch: int, shape: tuple[int, ...]
) -> tuple[list[int], list[tuple[int, ...]]]:
    """Batches and inputs of `--what-if`; those of the other options where it names none."""
    batches, inputs = [batch], [shape]
    for text in texts:
        name, _, values = text.partition("=")
        items = values.split(",")
        if name == "batch" and all(v.isdecimal() and int(v) for v in items):
            batches = [int(v) for v in items]
        elif name == "input" and values:
            inputs = [parse_input_size(v, network.input_shape) for v in items]
        else:
            raise ValueError(f"--what-if {text}: expected batch=1,8,64 or input=160,224x320")
    return batches, inputs


def _memory_of_machine() -> int | None:
    """Bytes; None where the system does not say."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _show(found: Forecast, table: list[Forecast], machine: Machine) -> None:
    console.print(str(found), soft_wrap=True)
    parts = Table("memory", title="memory")
    parts.add_column("MiB", justify="right")
    state = "parameters, state of the optimizer" if found.train else "parameters"
    pool = "activations, gradients, scratch" if found.train else "activations, scratch"
    sizes = ((state, found.parameters), (pool, found.pool), ("images", found.images))
    for name, count in (*sizes, ("the process itself", found.process)):
        parts.add_row(name, f"{count / 2**20:,.1f}")
    print_table(parts)
    operations = Table("operation", title="time")
    for heading in ("ms", "share"):
        operations.add_column(heading, justify="right")
    for name, seconds in found.operations.items():
        share = seconds / found.seconds
        if share >= 0.005:
            operations.add_row(name, f"{1e3 * seconds:,.2f}", f"{share:.0%}")
    print_table(operations)
    if table:
        shown = Table(title="what if")
        for heading in ("input", "batch", "ms", "images/s", "MiB"):
            shown.add_column(heading, justify="right")
        for f in table:
            numbers = (four_digits(1e3 * f.seconds), four_digits(f.batch / f.seconds))
            size = "x".join(map(str, f.input))
            shown.add_row(size, str(f.batch), *numbers, f"{f.memory / 2**20:,.0f}")
        print_table(shown)
    console.print(
        f"machine: {machine.flops / 1e9:,.0f} GFLOP/s, {machine.bytes / 1e9:,.1f} GB/s "
        "(--remeasure measures again)",
        soft_wrap=True,
    )
