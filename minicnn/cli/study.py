"""`ladder`: one operation measured rung by rung."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..device import DEVICES
from .app import BATCH, DeviceFlag, app, console
from .tables import print_table

if TYPE_CHECKING:
    from ..study.ladder import Climb


class Operation(StrEnum):
    """The operations that have a ladder; batch norm has one on the GPU only."""

    conv = "conv"
    batch_norm = "batch_norm"


@app.command("ladder")
def ladder_command(
    operation: Annotated[Operation, typer.Argument(help="The operation.")] = Operation.conv,
    batch: Annotated[
        int | None, typer.Option(*BATCH, min=1, help="Images: 4 on the CPU, 128 on a GPU.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Height and width of the images: 28, or 56 on a GPU."),
    ] = None,
    channels: Annotated[int, typer.Option(min=1, help="Input channels.")] = 128,
    filters: Annotated[int, typer.Option(min=1, help="Output channels of the convolution.")] = 128,
    kernel: Annotated[
        int, typer.Option(min=1, help="Height and width of the kernel; an odd number.")
    ] = 3,
    repeats: Annotated[
        int, typer.Option(min=1, help="Measurements of each rung; the median counts.")
    ] = 5,
    out: Annotated[Path, typer.Option(help="Where to draw the ladder.")] = Path("ladder.png"),
    device: DeviceFlag = "cpu",
) -> None:
    """Measure one operation from the plainest kernel to the fastest, one idea per rung.

    The convolution has stride 1, with padding that keeps the size of the images. Each rung is
    checked against the reference before it is measured; one that does not compute this problem is
    left out.
    """
    from ..study import ladder, ladder_gpu, plots

    if device not in DEVICES:
        raise ValueError(f"--device {device}: expected one of {', '.join(DEVICES)}")
    on_gpu = device != "cpu"
    is_norm = operation == Operation.batch_norm
    if is_norm and not on_gpu:
        raise ValueError("ladder batch_norm: it is a ladder of the GPU; add --device cuda")
    plots.validate_target(out)
    default = ladder_gpu.PROBLEM if on_gpu else ladder.Problem()
    batch, size = batch or default.batch, size or default.size
    conv = ladder.Problem(batch, size, channels, filters, kernel)
    problem = ladder_gpu.Maps(batch, size, channels) if is_norm else conv
    with console.status("ladder") as status:
        if on_gpu:
            found = ladder_gpu.climb_gpu(problem, repeats, status.update)
        else:
            found = ladder.climb(conv, repeats=repeats, progress=status.update)
    _show(found, str(problem), on_gpu)
    if any(found.readings.values()):
        picture = plots.ladder(found.readings, out, str(problem), found.unit, found.left_out)
        console.print(f"picture: {picture}", soft_wrap=True)
    if found.wrong:
        raise typer.Exit(1)


def _show(found: "Climb", title: str, on_gpu: bool) -> None:
    """Print a table per pass, what was wrong, and how the numbers are meant."""
    from ..kernels.dispatch import get_num_threads
    from ..study import plots

    for name, readings in found.readings.items():
        headings = ["rung", "idea", "time", found.unit, "of peak", "speed-up", "error"]
        if on_gpu:
            headings += ["waits for"]
        table = Table(*headings, title=f"{name}: {title}")
        for column in table.columns[2:7]:
            column.justify, column.no_wrap = "right", True
        for r in readings:
            table.add_row(
                *(r.name, r.idea, f"{r.seconds * 1e3:,.{3 if on_gpu else 1}f} ms"),
                *(plots.three_digits(r.speed), f"{r.share_of_peak:.1%}"),
                f"{r.speedup:,.0f}x" if r.speedup >= 10 else f"{r.speedup:.1f}x",
                *(f"{r.error:.0e}", *([r.waits_for] if on_gpu else [])),
            )
        for rung, reason in found.left_out.items():
            table.add_row(rung, reason)
        print_table(table)
    for rung, reason in found.wrong.items():
        console.print(f"[red]{rung}[/]: {reason}", soft_wrap=True)
    peak = f"{plots.three_digits(found.peak / 1e9)} {found.unit}"
    if found.unit == "GB/s":
        text = f"GB/s counts the fewest bytes of the operation. A copy moves {peak}."
    else:
        units, exception = (
            ("the ordinary units", "tensor cores are faster")
            if on_gpu
            else (f"all {get_num_threads()} threads", "Winograd's algorithm multiplies less")
        )
        text = (
            "GFLOP/s counts the multiply-adds of the plain sum. The measured peak of "
            f"{units} is {peak}; {exception}, and may exceed it."
        )
    if on_gpu:
        text += " What a rung waits for is computed for an H100 (docs/gpu-ladder.md)."
    console.print(text, soft_wrap=True)
