"""`predict`: the classes that a trained network gives image files."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.table import Table

from ..errors import DataError
from ..files import replacing
from ..prediction import Prediction, write_csv, write_json
from ..prediction import predict as predict_images
from .app import (
    BackendFlag,
    DeviceFlag,
    ModelFlag,
    PrecisionFlag,
    app,
    choose_compute,
    error_console,
    load_network,
)
from .evaluate import Checkpoint
from .tables import print_table

Write = Callable[[list[Prediction], TextIO], None]


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
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Also write a CSV file; -: print it instead of the table."),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Also write a JSON file; -: print it instead of the table."),
    ] = None,
    model: ModelFlag = None,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
) -> None:
    """Print the most probable classes of each image; or write them as CSV or JSON."""
    if csv is not None and csv == json:
        raise ValueError(f"--csv {csv} --json {json}: expected two different files")
    choose_compute(backend, device, precision)
    network = load_network(checkpoint, device, model)
    failures: list[DataError] = []
    found = predict_images(network, images, top=top, invert=invert, report=failures.append)
    writes = [(path, write) for path, write in ((csv, write_csv), (json, write_json)) if path]
    to_stdout = [write for path, write in writes if str(path) == "-"]
    if found and not to_stdout:
        _print_table(found)
    for write in to_stdout:
        write(found, sys.stdout)
    for path, write in writes:
        if str(path) != "-":
            _write_file(path, write, found)
    for failure in failures:
        error_console.print(str(failure), soft_wrap=True)
    if failures:
        raise typer.Exit(2)


def _print_table(predictions: list[Prediction]) -> None:
    places = max(len(prediction.top) for prediction in predictions)
    table = Table("image", *(f"{i + 1}." for i in range(places)), "")
    table.columns[0].overflow = "fold"
    for prediction in predictions:
        cells = [f"{name} {probability:.1%}" for name, probability in prediction.top]
        table.add_row(str(prediction.path), *cells, "inverted" if prediction.inverted else "")
    print_table(table)


def _write_file(path: Path, write: Write, predictions: list[Prediction]) -> None:
    """Write the file as a whole or not at all. Raises DataError."""
    try:
        with replacing(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            write(predictions, text)
            text.flush()
            text.detach()
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
