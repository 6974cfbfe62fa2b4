"""The images, and the patches in them, that activate a unit most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...checks import is_whole
from ...data.dataset import Dataset
from ...data.loader import Loader
from ...device import model_device, to_input
from ...errors import ShapeError
from ...layers import Layer, no_grad
from ...training.metrics import preprocess_of
from .fields import Box, receptive_fields
from .rewriting import find_layer, tapped
from .target import Unit, as_batch, unit_places

BATCH = 64


@dataclass(frozen=True)
class Patch:
    """The place in one image where a unit is strongest.

    image: the position of the image in the data set. activation: the value of the unit there.
    row, column: the place in the map; 0, 0 for a unit of a linear layer.
    box: `(top, left, bottom, right)`, the pixels of the network's input that the unit reads there.
    """

    image: int
    activation: float
    row: int
    column: int
    box: Box


def top_patches(model: Layer, images: Any, layer: str, unit: int, count: int = 9) -> list[Patch]:
    """The `count` images that activate unit `unit` of a layer most, the strongest first.

    Of each image only the strongest place counts; of equal ones the first.

    images: a Dataset, or an array `(N, H, W, C)` of pixels (uint8) or preprocessed images.
    layer: its dotted name. unit: the number of a map, or of a unit of a linear layer.
    Source: Zeiler & Fergus 2013, figure 2.
    """
    return top_patches_of_units(model, images, layer, [unit], count)[unit]


def top_patches_of_units(
    model: Layer, images: Any, layer: str, units: Sequence[int], count: int = 9
) -> dict[int, list[Patch]]:
    """`top_patches` for several units of a layer, in one pass over the images."""
    if count < 1:
        raise ValueError(f"count={count}: expected at least 1")
    dataset = _as_dataset(images)
    name = find_layer(model, layer)
    network, tap = tapped(model, name)
    loader = Loader(dataset, BATCH, preprocess_of(model))
    best: dict[int, list[Patch]] = {unit: [] for unit in units}
    start = 0
    for x, _ in loader:
        with no_grad():
            network(to_input(x, model_device(model)))
        y = _maps(name, tap.output(), units)
        field = receptive_fields(model, x.shape[1:])[name]
        for unit, found in best.items():
            strongest = y[..., unit].reshape(len(y), -1)
            for i, flat in enumerate(strongest.argmax(axis=1)):
                row, column = divmod(int(flat), y.shape[2])
                value = float(strongest[i, flat])
                found.append(Patch(start + i, value, row, column, field.box(row, column)))
            found.sort(key=lambda patch: -patch.activation)  # stable: earlier images first
            del found[count:]
        start += len(x)
    return best


@dataclass(frozen=True)
class UnitActivation:
    """The activation of a unit for one image, its place `(row, column, k)` or `(k,)`, its box."""

    unit: tuple[int, ...]
    activation: float
    box: Box


def unit_activations(model: Layer, x: Any, layer: str, unit: Unit) -> list[UnitActivation]:
    """The activation of a unit for each image, and the pixels that it reads.

    The arguments are those of `deconvnet`.
    """
    batch = as_batch(model, x)
    name = find_layer(model, layer)
    y = _output(model, name, batch)
    field = receptive_fields(model, batch.shape[1:])[name]
    places = unit_places(name, y, unit)
    return [
        UnitActivation(place, float(y[i, *place]), field.box(*place[:-1]))
        for i, place in enumerate(places)
    ]


def unit_count(model: Layer, layer: str, x: Any) -> int:
    """The number of maps, or of units, of a layer."""
    return _output(model, find_layer(model, layer), as_batch(model, x)).shape[-1]


def _output(model: Layer, name: str, batch: Any) -> np.ndarray:
    """What a layer returns, `(N, h, w, K)` or `(N, K)`."""
    network, tap = tapped(model, name)
    with no_grad():
        network(batch)
    return tap.output()


def _as_dataset(images: Any) -> Dataset:
    if isinstance(images, Dataset):
        return images
    if getattr(images, "ndim", 0) != 4:
        found = getattr(images, "shape", type(images).__name__)
        raise ShapeError(f"images: {found}; expected a Dataset or an array (N, H, W, C)")
    return Dataset(images, np.zeros(len(images), np.int64))


def _maps(name: str, y: np.ndarray, units: Sequence[int]) -> np.ndarray:
    """The output of the layer as `(N, h, w, K)`.

    Raises an error for units that it lacks, and for NaN, which is neither strong nor weak.
    """
    if y.ndim not in (2, 4):
        raise ShapeError(f"{name} returns the shape {y.shape}; expected (N, h, w, K) or (N, K)")
    for unit in units:
        if not is_whole(unit, 0, y.shape[-1] - 1):
            raise ValueError(f"unit={unit}: {name} has the units 0 to {y.shape[-1] - 1}")
    if np.isnan(y).any():
        raise ValueError(f"{name} returns NaN for an image")
    return y if y.ndim == 4 else y[:, None, None]
