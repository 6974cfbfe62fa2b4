"""`evaluate`: a trained network on a test set."""

from pathlib import Path
from typing import Annotated

import typer

from ..data.transforms import Preprocess
from ..errors import DataError
from ..layers import Network
from ..training import metrics
from .app import (
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
from .tables import show_evaluation
from .train import load_data

Checkpoint = Annotated[Path, typer.Argument(help="A .safetensors file from training.")]


@app.command()
def evaluate(
    checkpoint: Checkpoint,
    data_source: DataFlag = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 256,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
    model: ModelFlag = None,
) -> None:
    """Measure a trained network: loss, top-1 and top-5 accuracy, accuracy per class."""
    choose_compute(backend, device, precision)
    network = load_network(checkpoint, device, model)
    source = data_source or network.trained_on or None
    _, test_set, _ = load_data(source, network.recipe.data, preprocess_of(network).decode)
    result = metrics.evaluate(network, test_set, batch_size=batch_size)
    show_evaluation(result, per_class=True)
    console.print(
        f"{network.name}: {result.accuracy:.2%} test accuracy on {test_set.name} "
        f"({len(test_set):,} test images)",
        style="bold",
        soft_wrap=True,
    )


def preprocess_of(network: Network) -> Preprocess:
    """From pixels to input; every registered network has a recipe that says how."""
    found = metrics.preprocess_of(network)
    if found is None:
        raise DataError(f"{network.name}: the network has no recipe that says how to preprocess")
    return found
