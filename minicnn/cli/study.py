"""`ladder`: one convolution measured rung by rung."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..device import DEVICES
from .app import DeviceFlag, app, console
from .tables import print_table


class Operation(StrEnum):
    """The operations that have a ladder."""

    conv = "conv"


@app.command("ladder")
def ladder_command(
    operation: Annotated[Operation, typer.Argument(help="The operation.")] = Operation.conv,
    batch: Annotated[int, typer.Option(min=1, help="Images.")] = 4,
    size: Annotated[
        int, typer.Option(min=1, help="Height and width of the images, in pixels.")
    ] = 28,
    channels: Annotated[int, typer.Option(min=1, help="Input channels.")] = 128,
    filters: Annotated[int, typer.Option(min=1, help="Output channels.")] = 128,
    kernel: Annotated[
        int, typer.Option(min=1, help="Height and width of the kernel; an odd number.")
    ] = 3,
    repeats: Annotated[
        int, typer.Option(min=1, help="Measurements of each rung; the median counts.")
    ] = 5,
    out: Annotated[Path, typer.Option(help="Where to draw the ladder.")] = Path("ladder.png"),
    device: DeviceFlag = "cpu",
) -> None:
    """Measure one convolution from seven loops to Winograd's algorithm, one idea per rung.

    Stride 1, with padding that keeps the size of the images. Each rung is checked against the
    reference before it is measured; a rung that does not compute the kernel's size is left out.
    """
    from ..kernels.dispatch import get_num_threads
    from ..study import ladder, plots

    if device not in DEVICES:
        raise ValueError(f"--device {device}: expected one of {', '.join(DEVICES)}")
    plots.validate_target(out)
    problem = ladder.Problem(batch, size, channels, filters, kernel)
    with console.status("ladder") as status:
        climb = ladder.climb if device == "cpu" else ladder.climb_gpu
        found = climb(problem, repeats=repeats, progress=status.update)
    for name, readings in found.readings.items():
        headings = ("rung", "idea", "time", "GFLOP/s", "of peak", "speed-up", "error")
        table = Table(*headings, title=f"{name}: {problem}", title_justify="left")
        for column in table.columns[2:]:
            column.justify, column.no_wrap = "right", True
        for r in readings:
            speed = (
                plots.three_digits(r.gflops),
                f"{r.share_of_peak:.1%}",
                f"{r.speedup:,.0f}x" if r.speedup >= 10 else f"{r.speedup:.1f}x",
            )
            table.add_row(r.name, r.idea, f"{r.seconds * 1e3:,.1f} ms", *speed, f"{r.error:.0e}")
        for rung, reason in found.left_out.items():
            table.add_row(rung, reason)
        print_table(table)
    units, exception = (
        (f"all {get_num_threads()} threads", "Winograd's algorithm multiplies less")
        if device == "cpu"
        else ("the ordinary units", "tensor cores are faster")
    )
    console.print(
        f"GFLOP/s counts the multiply-adds of the plain sum. The measured peak of {units} is "
        f"{plots.three_digits(found.peak / 1e9)} GFLOP/s; {exception}, and may exceed it.",
        soft_wrap=True,
    )
    picture = plots.ladder(found.readings, out, str(problem))
    console.print(f"picture: {picture}", soft_wrap=True)
