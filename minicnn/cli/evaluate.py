"""`evaluate`: trained networks on a test set, by one of the papers' protocols."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .. import evaluation
from ..data import Dataset
from ..evaluation.protocols import PROTOCOLS, Protocol, named
from ..layers import Network
from ..prediction import needed_preprocess
from ..training import metrics
from .app import (
    BATCH,
    BackendFlag,
    DataFlag,
    DeviceFlag,
    ModelFlag,
    PrecisionFlag,
    app,
    choose_compute,
    console,
    load_network,
)
from .tables import print_table, show_evaluation
from .train import load_data

Checkpoint = Annotated[Path, typer.Argument(help="A .safetensors file from training.")]


def list_protocols(text: str | None) -> str | None:
    """`--protocol list` prints all protocols with their sources, and ends the command."""
    if text != "list":
        return text
    table = Table("protocol", "source")
    for name, protocol in PROTOCOLS.items():
        table.add_row(name, protocol.source)
    print_table(table)
    raise typer.Exit


@app.command()
def evaluate(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="Files from training; of several, the probabilities are averaged."),
    ],
    data_source: DataFlag = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            callback=list_protocols,
            is_eager=True,
            help=f"Which views of an image are averaged: {', '.join(PROTOCOLS)}. "
            "`--protocol list` prints their sources.",
        ),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(help="Lengths of the shorter side for the protocol, such as 224,256,288."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the five most probable classes of each image there.")
    ] = None,
    batch_size: Annotated[int, typer.Option(*BATCH, min=1, help="Images per batch.")] = 256,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
    model: ModelFlag = None,
) -> None:
    """Measure trained networks: loss, top-1 and top-5 accuracy, accuracy per class."""
    choose_compute(backend, device, precision)
    plan = chosen(protocol, scales)
    if csv and not csv.absolute().parent.is_dir():
        raise ValueError(f"--csv {csv}: there is no folder {csv.absolute().parent}")
    networks = [load_network(path, device, model) for path in checkpoints]
    first = networks[0]
    source = data_source or first.trained_on or None
    decode = needed_preprocess(first).decode
    # Views are cut from the original images, so the files are not decoded when they are found.
    _, test_set, _ = load_data(source, first.recipe.data, decode, memory=0, for_test=True)
    if plan is None and csv is None and len(networks) == 1:
        result = metrics.evaluate(first, test_set, batch_size=batch_size)
    else:
        found = _predicted(networks, test_set, plan or named("center"), batch_size)
        result = found.evaluation
        if csv:
            found.to_csv(csv)
    show_evaluation(result, per_class=True)
    if csv:
        console.print(f"predictions: {csv}", soft_wrap=True)
    if protocol or len(networks) > 1:
        _show_errors(result, f" by {protocol}" if protocol else "")
    name = " + ".join(str(network.name) for network in networks)
    console.print(
        f"{name}: {result.accuracy:.2%} test accuracy on {test_set.name} "
        f"({len(test_set):,} test images)",
        style="bold",
        soft_wrap=True,
    )


def _show_errors(result: metrics.Evaluation, by: str) -> None:
    """The errors, as the papers have them."""
    top5 = "" if result.top5 is None else f", top-5 error {1 - result.top5:.2%}"
    console.print(f"top-1 error {1 - result.accuracy:.2%}{top5}{by}", soft_wrap=True)


def chosen(protocol: str | None, scales: str | None) -> Protocol | None:
    """The protocol that the options mean. Raises ValueError if they mean nothing."""
    if scales is None:
        return named(protocol) if protocol else None
    if protocol is None:
        raise ValueError(f"--scales {scales} is for a protocol: add --protocol NAME")
    parts = scales.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"--scales {scales}: expected lengths in pixels, such as 224,256,288")
    return named(protocol).at(tuple(int(part) for part in parts))


def _predicted(
    networks: list[Network], test_set: Dataset, plan: Protocol, batch_size: int
) -> evaluation.Predictions:
    done, passes = 0, len(networks) * max(1, len(plan.parts))
    with console.status("") as status:

        def progress(images: int) -> None:
            nonlocal done
            done += images
            status.update(f"{done:,} of {len(test_set) * passes:,} images")

        return evaluation.evaluate(
            networks, test_set, plan, batch_size=batch_size, on_batch=progress
        )
