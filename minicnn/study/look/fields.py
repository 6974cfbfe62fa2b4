"""Receptive fields: the box of the image that a unit reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from ...device import to_host
from ...kernels.geometry import padding_pairs, pair
from ...kernels.resampling import means
from ...kernels.types import Shape
from ...layers import (
    Activation,
    AdaptiveMaxPool2d,
    Affine,
    BatchNorm2d,
    Concat,
    ConvTranspose2d,
    Dropout,
    FlipChannels,
    Function,
    Graph,
    Identity,
    Layer,
    LayerNorm,
    LocalResponseNorm,
    Pad2d,
    PadShortcut,
    PReLU,
    Residual,
    Scale,
    Slice,
    Softmax,
    Subsample2d,
    metadata,
)
from ...layers.fused import runs_as
from ...layers.fusion import is_chain
from ...layers.graph import INPUT
from ...layers.resample import Resampling
from ...layers.tree import join

Box = tuple[int, int, int, int]
Window = tuple[int, int, int, int]  # kernel, stride, padding before, dilation along one axis
Taps = np.ndarray  # (outputs, k): the inputs that each output reads along one axis, or -1


@dataclass(frozen=True)
class Axis:
    """Along one axis, unit i reads the pixels `low[i]` to `high[i]`, both inclusive.

    `high[i] < low[i]` for a unit that reads only padding.
    """

    low: np.ndarray
    high: np.ndarray

    def through(self, window: Window | Taps | None, length: int) -> "Axis":
        """The same for the `length` outputs of a layer with that window; None: each reads all."""
        if window is None:
            return Axis(np.full(length, self.low.min()), np.full(length, self.high.max()))
        taps = window if isinstance(window, np.ndarray) else _taps(window, length)
        inside = (taps >= 0) & (taps < len(self.low))
        taps = np.clip(taps, 0, len(self.low) - 1)
        low = np.where(inside, self.low[taps], np.iinfo(int).max).min(axis=1)
        return Axis(low, np.where(inside, self.high[taps], -1).max(axis=1))

    def union(self, other: "Axis") -> "Axis":
        """What two paths read together."""
        return Axis(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def ends(self, i: int) -> tuple[int, int]:
        """The first pixel and the one behind the last; 0, 0 if there is none."""
        low, high = int(self.low[i]), int(self.high[i])
        return (low, high + 1) if high >= low else (0, 0)


def _taps(window: Window, length: int) -> Taps:
    kernel, stride, padding, dilation = window
    return np.arange(length)[:, None] * stride - padding + dilation * np.arange(kernel)


@dataclass(frozen=True)
class Field:
    """The receptive fields of the units of one layer, along both axes."""

    rows: Axis
    columns: Axis

    def box(self, row: int = 0, column: int = 0) -> Box:
        """`(top, left, bottom, right)` of the pixels that the unit at this place reads.

        bottom and right are behind the last pixel: `image[top:bottom, left:right]`. Padding is not
        part of it, so that boxes at the edge of the image are smaller; 0, 0, 0, 0 if there is
        nothing else.
        """
        (top, bottom), (left, right) = self.rows.ends(row), self.columns.ends(column)
        return (top, left, bottom, right) if bottom and right else (0, 0, 0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """The largest height and width of a box."""
        rows, columns = (int((a.high - a.low).max()) + 1 for a in (self.rows, self.columns))
        return rows, columns


def receptive_fields(model: Layer, input_shape: Shape | None = None) -> dict[str, Field]:
    """The receptive field of the units of each layer, by its dotted name.

    input_shape: (H, W, C), the model's own if None.
    Units of a linear layer, and of all layers behind one that minicnn does not define, read the
    whole image as far as is known; a layer of your own with the attributes `kernel_size`, `stride`
    and `padding` of `Conv2d` is read like one.
    Raises ValueError if no input shape is known.
    """
    shape = tuple(input_shape or metadata(model).input_shape)
    if len(shape) != 3:
        raise ValueError(f"input_shape={shape}: expected (H, W, C)")
    axes = Axis(*[np.arange(shape[0])] * 2), Axis(*[np.arange(shape[1])] * 2)
    return {name: Field(*own) for name, own, _ in _walk(model, axes, (1, *shape), "")}


Axes = tuple[Axis, Axis]
Windows = tuple[Window | Taps, Window | Taps]


def _walk(layer: Any, axes: Axes, shape: Shape, name: str) -> Iterator[tuple[str, Axes, Shape]]:
    """The name, the axes and the shape of each output; that of the layer itself comes last."""
    if is_chain(layer):
        for child_name, child in layer._layers.items():
            for found in _walk(child, axes, shape, join(name, child_name)):
                yield found
            _, axes, shape = found
    elif runs_as(layer, Graph):
        known = {INPUT: axes}
        for child_name, child, given in layer.walk(shape):
            read = _union([known[source] for source in layer.inputs[child_name]])
            if child.joins:  # they work pixel by pixel
                axes, shape = read, child.output_shape(given)
                yield join(name, child_name), axes, shape
            else:
                for found in _walk(child, read, given, join(name, child_name)):
                    yield found
                _, axes, shape = found
            known[child_name] = axes
    elif runs_as(layer, Concat) or runs_as(layer, Residual):
        paths = [] if runs_as(layer, Concat) or layer.shortcut else [axes]
        for child_name, child in layer.children():
            for found in _walk(child, axes, shape, join(name, child_name)):
                yield found
            paths.append(found[1])
        axes, shape = _union(paths), layer.output_shape(shape)
    else:
        output = layer.output_shape(shape)
        lengths = output[1:3] if len(output) == 4 else (1, 1)
        for child_name, _ in layer.named_layers():
            if child_name:  # how the layer runs those inside is not known
                yield join(name, child_name), _through(axes, (None, None), lengths), output
        axes, shape = _through(axes, window(layer, shape) or (None, None), lengths), output
    yield name, axes, shape


def _union(paths: list[Axes]) -> Axes:
    (rows, columns), *others = paths
    for other_rows, other_columns in others:
        rows, columns = rows.union(other_rows), columns.union(other_columns)
    return rows, columns


def _through(axes: Axes, windows: Windows | tuple[None, None], lengths: Shape) -> Axes:
    rows, columns = (a.through(w, n) for a, w, n in zip(axes, windows, lengths, strict=True))
    return rows, columns


POINT = ((1, 1, 0, 1),) * 2  # the window of a layer that works pixel by pixel


@singledispatch
def window(layer: Layer, shape: Shape) -> Windows | None:
    """What one output of a layer reads of its input, along both axes; None for all of it.

    shape: that of the input.
    """
    own: Any = layer
    if not all(hasattr(layer, name) for name in ("kernel_size", "stride", "padding")):
        return None
    kernel, stride = pair(own.kernel_size, "kernel_size"), pair(own.stride, "stride")
    padding, dilation = padding_pairs(own.padding), pair(getattr(layer, "dilation", 1), "dilation")
    rows, columns = ((kernel[i], stride[i], padding[i][0], dilation[i]) for i in (0, 1))
    return rows, columns


@window.register(Activation)
@window.register(BatchNorm2d)
@window.register(Dropout)
@window.register(Identity)
@window.register(LayerNorm)
@window.register(PReLU)
@window.register(Affine)
@window.register(FlipChannels)
@window.register(Function)
@window.register(Scale)
@window.register(Softmax)
@window.register(Slice)
def _(layer: Layer, shape: Shape) -> Windows | None:
    return POINT


@window.register
def _(layer: Subsample2d, shape: Shape) -> Windows | None:
    return ((layer.size, layer.size, 0, 1),) * 2


@window.register
def _(layer: PadShortcut, shape: Shape) -> Windows | None:
    return ((1, layer.stride, 0, 1),) * 2


@window.register
def _(layer: LocalResponseNorm, shape: Shape) -> Windows | None:
    return ((layer.size, 1, layer.size // 2, 1),) * 2 if layer.within_channel else POINT


@window.register
def _(layer: ConvTranspose2d, shape: Shape) -> Windows | None:
    """Output o reads the inputs p with p * stride + i * dilation - padding = o."""
    output, taps = layer.output_shape(shape), []
    for axis in range(2):
        cells = layer.dilation[axis] * np.arange(layer.kernel_size[axis])
        at = np.arange(output[1 + axis])[:, None] + layer.padding[axis][0] - cells
        taps.append(np.where(at % layer.stride[axis], -1, at // layer.stride[axis]))
    return taps[0], taps[1]


@window.register
def _(layer: Resampling, shape: Shape) -> Windows | None:
    pairs = zip(layer.matrices(shape), shape[1:3], strict=True)
    return _read(*(np.eye(n) if m is None else abs(to_host(m)) for m, n in pairs))


@window.register
def _(layer: AdaptiveMaxPool2d, shape: Shape) -> Windows | None:
    sides = zip(shape[1:3], layer.output_size, strict=True)
    return _read(*(means(*side) for side in sides))


def _read(rows: np.ndarray, columns: np.ndarray) -> Windows:
    """The inputs that have a weight in each row of a matrix, along both axes."""
    found = [np.where(weights > 0, np.arange(weights.shape[1]), -1) for weights in (rows, columns)]
    return found[0], found[1]


@window.register
def _(layer: Pad2d, shape: Shape) -> tuple[Window, Window] | None:
    (top, _), (left, _) = layer.padding
    return (1, 1, top, 1), (1, 1, left, 1)
