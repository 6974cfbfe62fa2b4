"""What the converters share: checked numbers from messages, and checked weights."""

import numpy as np

from ...errors import CheckpointError
from ...kernels.types import Pair, Shape
from ..builder import Blob
from ..message import Message
from ..net import CaffeLayer, Weights
from ..order import Order, index, is_plain


def only(bottoms: list[Blob]) -> Blob:
    """The one array that a layer reads. Raises ValueError for more."""
    if len(bottoms) != 1:
        raise ValueError(f"it reads {len(bottoms)} arrays; expected 1")
    return bottoms[0]


def maps(bottoms: list[Blob]) -> Blob:
    """The one array that a layer reads, which must be maps, (H, W, C)."""
    blob = only(bottoms)
    if len(blob.shape) != 3:
        raise ValueError(f"it reads an array of shape (N, {blob.channels}); expected maps")
    return blob


def pair_of(parameters: Message, name: str, stem: str, default: int | None) -> Pair:
    """(vertical, horizontal) from one field, `name`, or from `stem`_h and `stem`_w.

    A padding of one axis alone is 0 on the other.
    Raises ValueError without them if there is no default, for one of the two, for both forms, and
    for more than two axes.
    """
    if f"{stem}_h" in parameters or f"{stem}_w" in parameters:
        if name in parameters:
            raise ValueError(f"it has {name} and also {stem}_h or {stem}_w; expected one of them")
        values = [parameters.get(f"{stem}_{axis}", 0 if default == 0 else None) for axis in "hw"]
        if None in values:
            there, missing = "wh" if values[0] is None else "hw"
            raise ValueError(f"it has {stem}_{there} without {stem}_{missing}; expected both")
    else:
        values = parameters.all(name) or [default]
        values = values * 2 if len(values) == 1 else values
    if len(values) != 2 or None in values:
        found = [v for v in values if v is not None][:8]
        raise ValueError(f"{name} is {found or 'missing'}; expected one or two numbers")
    return values[0], values[1]


def check_axis(parameters: Message, blob: Blob, name: str = "axis", default: int = 1) -> None:
    """Raise ValueError unless the axis is 1, that of the channels in Caffe's order."""
    axis = parameters.get(name, default)
    if axis not in (1, 1 - len(blob.shape) - 1):
        raise ValueError(f"{name} is {axis}; only 1, the channels, is known")


def check_channels(parameters: Message, blob: Blob) -> None:
    """Raise ValueError unless there is one weight per channel."""
    check_axis(parameters, blob)
    if parameters.get("num_axes", 1) != 1:
        found = parameters.get("num_axes")
        raise ValueError(f"num_axes is {found}; only 1, the channels, is known")


def weights_of(layer: CaffeLayer, *shapes: Shape | None) -> list[Weights]:
    """The layer's weights, checked. A shape of None is any shape.

    Old files have 4 axes for every array, those in front of length 1.
    """
    if not layer.blobs:
        raise CheckpointError(f"{layer.label}: the file of weights has none for it")
    if len(layer.blobs) != len(shapes):
        raise CheckpointError(
            f"{layer.label} has {len(layer.blobs)} arrays of weights; expected {len(shapes)}"
        )
    return [_shaped(layer, *pair) for pair in zip(layer.blobs, shapes, strict=True)]


def _shaped(layer: CaffeLayer, blob: Weights, shape: Shape | None) -> Weights:
    if shape is None or blob.shape == shape:
        return blob
    if _without_ones(blob.shape) != _without_ones(shape):
        raise CheckpointError(f"{layer.label} has weights of shape {blob.shape}; expected {shape}")
    return Weights(shape, lambda: blob.array().reshape(shape))


def _without_ones(shape: Shape) -> list[int]:
    return [length for length in shape if length != 1]


def permuted(values: np.ndarray, order: Order) -> np.ndarray:
    """The values per channel, (C,), in our order."""
    return values if is_plain(order) else values[index(order)]
