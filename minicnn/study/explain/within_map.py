"""Local response normalization within a map, `minicnn.models.alexnet_2012.WithinMapNorm`."""

import numpy as np

from ...kernels.geometry import window
from ...layers import Layer
from ..trace import Record
from .explanation import Index, Parts, Step, place
from .terms import (
    Column,
    axes_of,
    box,
    constant,
    element,
    elements,
    flat,
    number,
    products,
    term_of,
)


def output(record: Record, index: Index) -> Parts:
    """The terms are those of the scale s; then x is divided by a power of it."""
    layer = record.layer
    x = elements("x", record.x, *_window(record, index))
    value, beta = float(record.x[index]), layer.beta
    return Parts(
        "y = x · s^(-beta), s = k + alpha/size² · Σ over the window of x²",
        [term_of(number("k", layer.k)), *products(_share(layer), x, x)],
        type(layer).forward,
        then=Step(f"{place('x', index)} · sum^(-{beta:g})", lambda s: value * s**-beta),
        reads=box(record, "x", x),
        note=f"The terms are those of s; the window has {len(x.values)} pixels of the same map.",
    )


def input_gradient(record: Record, index: Index) -> Parts:
    """x is a factor of its own output, and a term in the scale of each pixel of its window."""
    layer = record.layer
    places = _window(record, index)
    windows = [tuple(at) for at in np.stack(places, axis=-1).tolist()]
    scales = [_scale(record, at) for at in windows]
    x = [elements("x", record.x, *_window(record, at)) for at in windows]
    dy, y = elements("dy", record.dy, *places), elements("y", record.y, *places)
    own = term_of(
        element("dy", record.dy, index),
        number(f"s^(-{layer.beta:g})", _scale(record, index) ** -layer.beta),
    )
    share = _share(layer)
    crossed = products(
        constant(f"-2 beta {share.name}", -2 * layer.beta * float(share.values[0])),
        elements("x", record.x, *index),
        dy,
        y,
        Column("1/s", None, 1 / np.array(scales)),
    )
    return Parts(
        "dx = dy · s^(-beta) - 2 beta alpha/size² · x · Σ over the window of dy · y / s",
        [own, *crossed],
        type(layer).backward,
        reads=(*box(record, "x", *x), *box(record, "dy", dy), *box(record, "y", y)),
    )


def _share(layer: Layer) -> Column:
    size, alpha = layer.size, layer.alpha  # type: ignore[attr-defined]
    return constant("alpha/size²", alpha / size**2)


def _window(record: Record, index: Index) -> list[np.ndarray]:
    """The indices of the pixels in the window around one; the same windows contain it."""
    n, h, w, c = index
    size = record.layer.size
    rows, columns = axes_of(record.x.shape, window(record.x.shape[1:3], size, 1, size // 2))
    h_of, w_of = flat(rows.cells(h)[1], columns.cells(w)[1])
    return [np.full_like(h_of, n), h_of, w_of, np.full_like(h_of, c)]


def _scale(record: Record, index: Index) -> float:
    x = elements("x", record.x, *_window(record, index)).values
    return float(record.layer.k + _share(record.layer).values[0] * (x * x).sum())
