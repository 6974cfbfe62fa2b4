"""Layers that move numbers: `Reshape`, `Permute`, `Pad2d` and `FlipChannels`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...kernels.types import Shape
from ...layers import FlipChannels, Layer, Pad2d, Permute, Reshape
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import box, element, elements, number, term_of

Place = Callable[[Any, Index, Shape, Shape], Index]  # of layer, index, and the shapes of x and y


class Move(NamedTuple):
    """What a layer does. x_of: where y comes from. y_of: where x goes to."""

    forward: str
    backward: str
    x_of: Place
    y_of: Place


def _in_memory(index: Index, own: Shape, other: Shape) -> Index:
    """The index in an array of shape `other` of what is at `index` in one of shape `own`."""
    place = np.ravel_multi_index(index[1:], own[1:])
    return (index[0], *map(int, np.unravel_index(place, other[1:])))


def _shifted(layer: Pad2d, index: Index, sign: int) -> Index:
    """The index without the frame (sign -1), or with it."""
    (top, _), (left, _) = layer.padding
    frame = 0, top, left, layer.channels[0]
    return tuple(i + sign * n for i, n in zip(index, frame, strict=True))


def _flipped(layer: FlipChannels, index: Index, x: Shape, y: Shape) -> Index:
    return (*index[:-1], x[-1] - 1 - index[-1])


MOVES: dict[type[Layer], Move] = {
    Reshape: Move(
        "y = x at the same place in memory",
        "dx = dy at the same place in memory",
        lambda layer, index, x, y: _in_memory(index, y, x),
        lambda layer, index, x, y: _in_memory(index, x, y),
    ),
    Permute: Move(
        "y = x with the axes in another order",
        "dx = dy with the axes in another order",
        lambda layer, index, x, y: tuple(index[layer.axes.index(i)] for i in range(len(index))),
        lambda layer, index, x, y: tuple(index[i] for i in layer.axes),
    ),
    Pad2d: Move(
        "y[n,p,q,k] = x[n, p - top, q - left, k - before], or the constant",
        "dx[n,h,w,c] = dy[n, h + top, w + left, c + before]",
        lambda layer, index, x, y: _shifted(layer, index, -1),
        lambda layer, index, x, y: _shifted(layer, index, 1),
    ),
    FlipChannels: Move(
        "y[..., c] = x[..., C - 1 - c]",
        "dx[..., c] = dy[..., C - 1 - c]",
        _flipped,
        _flipped,
    ),
}


def _kind(layer: Layer) -> type[Layer]:
    return next(kind for kind in type(layer).__mro__ if kind in MOVES)


@explains(*MOVES, what="y")
def moved(record: Record, index: Index) -> Parts:
    """The number of x that is moved there, or the constant of a frame."""
    kind, x = _kind(record.layer), record.x
    place = MOVES[kind].x_of(record.layer, index, x.shape, record.y.shape)
    if any(not 0 <= i < n for i, n in zip(place, x.shape, strict=True)):
        terms = [term_of(number("value", record.layer.value))]
        note = "It is in the frame."
        return Parts(MOVES[kind].forward, terms, kind.forward, kind="paths", note=note)
    return Parts(
        MOVES[kind].forward,
        [term_of(element("x", x, place))],
        kind.forward,
        kind="paths",
        reads=box(record, "x", elements("x", x, *place)),
    )


@explains(*MOVES, what="dx")
def gradient_of_moved(record: Record, index: Index) -> Parts:
    """The number of dy where x was moved to."""
    kind, dy = _kind(record.layer), record.dy
    assert dy is not None
    place = MOVES[kind].y_of(record.layer, index, record.x.shape, dy.shape)
    return Parts(
        MOVES[kind].backward,
        [term_of(element("dy", dy, place))],
        kind.backward,
        kind="paths",
        reads=box(record, "dy", elements("dy", dy, *place)),
    )
