"""`vectors`: numbers to test engines in other languages with."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app, console


@app.command("vectors")
def vectors_command(
    out: Annotated[Path, typer.Argument(help="The folder for the files; made if it is missing.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
) -> None:
    """Write inputs, outputs and gradients of every operation, one safetensors file each."""
    from ..study.vectors import write_vectors

    paths = write_vectors(out, seed)
    size = sum(path.stat().st_size for path in paths) / 1024
    console.print(f"{len(paths)} operations, {size:.0f} KiB: {out}", soft_wrap=True)
