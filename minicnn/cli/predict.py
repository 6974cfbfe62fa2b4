"""`predict`: the classes that a trained network gives image files."""

from glob import glob, has_magic
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from ..data.files import listing
from ..data.folders import is_image
from ..data.pixels import read_file
from ..device import model_device, to_host, to_input
from ..errors import DataError
from ..layers import Network, no_grad
from ..training import metrics
from ..training.losses import probabilities_of
from .app import (
    BackendFlag,
    DeviceFlag,
    PrecisionFlag,
    app,
    choose_compute,
    error_console,
    load_network,
)
from .evaluate import Checkpoint, preprocess_of
from .tables import print_table


@app.command()
def predict(
    checkpoint: Checkpoint,
    images: Annotated[
        list[Path], typer.Argument(help="Image files, folders of them, or patterns such as *.png.")
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes to show for each image.")] = 3,
    invert: Annotated[
        bool | None,
        typer.Option(help="Turn dark-on-light into light-on-dark; by default the border decides."),
    ] = None,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
) -> None:
    """Print the most probable classes of each image."""
    choose_compute(backend, device, precision)
    network = load_network(checkpoint, device)
    table = Table("image", *(f"{i + 1}." for i in range(top)), "")
    table.columns[0].overflow = "fold"
    failures = []
    for path in _expanded(images):
        try:
            pixels, inverted = _read(path, network, invert)
        except DataError as error:
            failures.append(error)
            continue
        probabilities = _probabilities(network, pixels)
        ranked = np.argsort(-probabilities, kind="stable")[:top]
        names = metrics.classes_of(network) or tuple(map(str, range(len(probabilities))))
        cells = [f"{names[i]} {probabilities[i]:.1%}" for i in ranked]
        cells += [""] * (top - len(cells))
        table.add_row(str(path), *cells, "inverted" if inverted else "")
    if table.row_count:
        print_table(table)
    for failure in failures:
        error_console.print(str(failure), soft_wrap=True)
    if failures:
        raise typer.Exit(2)


def _expanded(paths: list[Path]) -> list[Path]:
    """The files: those in a folder, and those that a pattern means where the shell leaves it.

    Raises DataError for a folder without images or a pattern that no file matches.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = [path / name for name in listing(path) if is_image(name)]
        elif path.exists() or not has_magic(str(path)):
            found = [path]
        else:
            found = [Path(name) for name in sorted(glob(str(path), recursive=True))]
        if not found:
            raise DataError(f"{path}: there is no image file")
        files += found
    return files


def _read(path: Path, network: Network, invert: bool | None) -> tuple[np.ndarray, bool]:
    """The pixels of a file, made as those of training were, and whether they were inverted."""
    return preprocess_of(network).decode.decoded(str(path), read_file(path), invert)


def _probabilities(network: Network, pixels: np.ndarray) -> np.ndarray:
    """`(classes,)` of one image."""
    x = preprocess_of(network)(pixels[None])
    with no_grad():
        outputs = network(to_input(x, model_device(network)))
        return to_host(probabilities_of(metrics.loss_of(network), outputs))[0].astype(np.float32)
