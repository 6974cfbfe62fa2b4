"""Pooling: the maximum of a window is a selection, a mean is a sum."""

from collections.abc import Callable

import numpy as np

from ...kernels.geometry import Window, pool_window
from ...kernels.reference import pool as kernels
from ...layers import AvgPool2d, MaxPool2d, Subsample2d
from ..trace import Record
from .explanation import Index, Parts
from .table import explains
from .terms import (
    Axis,
    Column,
    activation_step,
    applied,
    axes_of,
    box,
    constant,
    element,
    elements,
    flat,
    products,
    slopes,
    term_of,
)


@explains(MaxPool2d, what="y")
def maximum(record: Record, index: Index) -> Parts:
    """The candidates are the pixels of the window."""
    formula = "y[n,p,q,c] = max(i,j) x[n, p·s+i-pad, q·s+j-pad, c]"
    return largest(record, _window(record, index), formula, kernels.max_pool2d)


def largest(record: Record, x: Column, formula: str, function: Callable[..., object]) -> Parts:
    """The selection of the largest of the elements of x, the first of equal ones."""
    first = int(x.values.argmax())
    terms = [t._replace(chosen=i == first) for i, t in enumerate(products(x))]
    equal = int((x.values == x.values[first]).sum())
    return Parts(
        formula,
        terms,
        function,
        kind="selection",
        reads=box(record, "x", x),
        note=f"{equal} values are equal: the first in row-major order wins." if equal > 1 else "",
    )


@explains(MaxPool2d, what="dx")
def gradient_of_maximum(record: Record, index: Index) -> Parts:
    """Each window that contains the pixel passes its gradient to its own maximum."""
    n, h, w, c = index
    rows, columns = _axes(record)
    p, _, q, _ = flat(np.stack(rows.covering(h)), np.stack(columns.covering(w)))
    dy = elements("dy", record.dy, n, p, q, c)
    windows = [_window(record, (n, a, b, c)) for a, b in zip(p, q, strict=True)]
    formula = "dx[n,h,w,c] = Σ dy[n,p,q,c] over the windows (p,q) whose maximum is (h,w)"
    return to_the_largest(record, dy, windows, index, (formula, kernels.max_pool2d_grad))


def to_the_largest(
    record: Record,
    dy: Column,
    windows: list[Column],
    index: Index,
    how: tuple[str, Callable[..., object]],
) -> Parts:
    """The sum of the dy, one per window, of those windows whose maximum is the pixel.

    how: the formula and the operation.
    """
    formula, function = how
    won = [is_maximum(x, index) for x in windows]
    terms = products(dy, Column("is the maximum", None, np.array(won, np.float64)))
    return Parts(
        formula,
        [t._replace(chosen=chosen) for t, chosen in zip(terms, won, strict=True)],
        function,
        reads=box(record, "dy", dy),
        note=f"The pixel is the maximum of {sum(won)} of the {len(won)} windows that contain it.",
    )


@explains(AvgPool2d, what="y")
def mean(record: Record, index: Index) -> Parts:
    """The pixels of the window, divided by its area."""
    x = _window(record, index)
    divisor = _areas(record)[index[1], index[2], 0]
    padding = int(divisor) - len(x.values)
    return Parts(
        "y[n,p,q,c] = Σ(i,j) x[n, p·s+i-pad, q·s+j-pad, c] / area(p,q)",
        products(x, constant(f"1/{divisor:g}", 1 / divisor)),
        kernels.avg_pool2d,
        reads=box(record, "x", x),
        note=f"Cells of padding that the area counts: {padding}." if padding else "",
    )


@explains(AvgPool2d, what="dx")
def gradient_of_mean(record: Record, index: Index) -> Parts:
    """Each window that contains the pixel passes its share on."""
    n, h, w, c = index
    rows, columns = _axes(record)
    p, _, q, _ = flat(np.stack(rows.covering(h)), np.stack(columns.covering(w)))
    dy = elements("dy", record.dy, n, p, q, c)
    share = Column("1/area", None, 1 / _areas(record)[p, q, 0])
    return Parts(
        "dx[n,h,w,c] = Σ dy[n,p,q,c] / area(p,q) over the windows (p,q) that contain (h,w)",
        products(dy, share),
        kernels.avg_pool2d_grad,
        reads=box(record, "dy", dy),
        note=f"Windows that contain the pixel: {len(p)}.",
    )


@explains(Subsample2d, what="y")
def subsampling(record: Record, index: Index) -> Parts:
    """The pixels of the window with one weight per map, and a bias; first the bias."""
    layer, c = record.layer, index[3]
    x = _window(record, index)
    terms = products(x, elements("w", record.parameters["w"], np.array([c])))
    terms.insert(0, term_of(element("b", record.parameters["b"], (c,))))
    added = "b[c] + w[c] · Σ(i,j) x[n, p·s+i, q·s+j, c]"
    return Parts(
        f"y[n,p,q,c] = {applied(layer.activation, added)}",
        terms,
        kernels.subsample2d,
        then=activation_step(layer.activation),
        reads=box(record, "x", x),
    )


@explains(Subsample2d, what="dx")
def gradient_of_subsampling(record: Record, index: Index) -> Parts:
    """Windows do not overlap: at most one has the pixel."""
    n, h, w, c = index
    size, name = record.layer.size, record.layer.activation
    formula = f"dx[n,h,w,c] = dy[n, h÷s, w÷s, c]{_slope(name)} · w[c]"
    place = n, h // size, w // size, c
    if place[1] >= record.y.shape[1] or place[2] >= record.y.shape[2]:
        note = "The pixel is at the edge, where no window fits."
        return Parts(formula, [], kernels.subsample2d_grad, note=note)
    dy = elements("dy", record.dy, *place)
    weight = elements("w", record.parameters["w"], c)
    return Parts(
        formula,
        products(dy, *slopes(record, name, *place), weight),
        kernels.subsample2d_grad,
        reads=box(record, "dy", dy),
    )


@explains(Subsample2d, what="w")
def gradient_of_subsampling_weight(record: Record, index: Index) -> Parts:
    """The weight of the map multiplies the sum of every window."""
    n, p, q = flat(*(np.arange(size) for size in record.y.shape[:3]))
    name = record.layer.activation
    dy = elements("dy", record.dy, n, p, q, index[0])
    sums = [_window(record, (*at, index[0])).values.sum() for at in zip(n, p, q, strict=True)]
    return Parts(
        f"dw[c] = Σ(n,p,q) dy[n,p,q,c]{_slope(name)} · Σ(i,j) x[n, p·s+i, q·s+j, c]",
        products(
            dy,
            *slopes(record, name, n, p, q, index[0]),
            Column("sum of the window", None, np.array(sums)),
        ),
        kernels.subsample2d_grad,
        reads=box(record, "dy", dy),
    )


@explains(Subsample2d, what="b")
def gradient_of_subsampling_bias(record: Record, index: Index) -> Parts:
    """The bias is added at every place."""
    n, p, q = flat(*(np.arange(size) for size in record.y.shape[:3]))
    name = record.layer.activation
    dy = elements("dy", record.dy, n, p, q, index[0])
    return Parts(
        f"db[c] = Σ(n,p,q) dy[n,p,q,c]{_slope(name)}",
        products(dy, *slopes(record, name, n, p, q, index[0])),
        kernels.subsample2d_grad,
        reads=box(record, "dy", dy),
    )


def _axes(record: Record) -> tuple[Axis, Axis]:
    return axes_of(record.x.shape, _geometry(record))


def _geometry(record: Record) -> Window:
    layer = record.layer
    arguments = {"kernel_size": layer.size} if isinstance(layer, Subsample2d) else layer.geometry
    return pool_window(record.x.shape[1:3], **arguments)


def _window(record: Record, index: Index) -> Column:
    """The pixels of one window."""
    n, p, q, c = index
    rows, columns = _axes(record)
    _, h, _, w = flat(np.stack(rows.cells(p)), np.stack(columns.cells(q)))
    return elements("x", record.x, n, h, w, c)


def is_maximum(x: Column, index: Index) -> bool:
    """True if the first of the largest elements of x is that at the index."""
    assert x.index is not None
    return tuple(x.index[x.values.argmax()].tolist()) == tuple(index)


def _areas(record: Record) -> np.ndarray:
    """The divisors of the windows, `(H_out, W_out, 1)`."""
    include = record.layer.count_include_pad
    return kernels.window_areas(np.empty(0), record.x.shape, _geometry(record), include)


def _slope(activation: str | None) -> str:
    return f" · {activation}'(y[n,p,q,c])" if activation else ""
