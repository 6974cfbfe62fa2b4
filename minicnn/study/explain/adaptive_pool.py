"""Pooling by windows of a given number: adaptive, and global, where the map is one window."""

from collections.abc import Callable

import numpy as np

from ...kernels import reference as kernels
from ...kernels.geometry import adaptive_windows
from ...layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d, GlobalAvgPool2d, GlobalMaxPool2d
from ..trace import Record
from .explanation import Index, Parts
from .pool import largest, to_the_largest
from .table import explains
from .terms import Column, box, constant, elements, flat, products

Function = Callable[..., object]
WINDOW = "floor(p·H/P) <= h < ceil((p+1)·H/P), w likewise"


@explains(AdaptiveAvgPool2d, GlobalAvgPool2d, what="y")
def mean(record: Record, index: Index) -> Parts:
    """The pixels of the window, divided by their number."""
    x = _window(record, index)
    count, formula = len(x.values), f"y[n,p,q,c] = mean of x[n,h,w,c] over {WINDOW}"
    function: Function = kernels.resample2d
    if _is_global(record):
        formula, function = "y[n,c] = Σ(h,w) x[n,h,w,c] / (H·W)", kernels.global_avg_pool2d
    share = constant(f"1/{count}", 1 / count)
    return Parts(formula, products(x, share), function, reads=box(record, "x", x))


@explains(AdaptiveAvgPool2d, GlobalAvgPool2d, what="dx")
def gradient_of_mean(record: Record, index: Index) -> Parts:
    """Each window that contains the pixel passes its share on; windows may overlap by a row."""
    places = _containing(record, index)
    dy = elements("dy", record.dy, *np.array(places).T)
    areas = np.array([len(_window(record, place).values) for place in places])
    formula = "dx[n,h,w,c] = Σ dy[n,p,q,c] / area(p,q) over the windows (p,q) that contain (h,w)"
    function: Function = kernels.resample2d_grad
    if _is_global(record):
        formula, function = "dx[n,h,w,c] = dy[n,c] / (H·W)", kernels.global_avg_pool2d_grad
    terms = products(dy, Column("1/area", None, 1 / areas))
    return Parts(formula, terms, function, reads=box(record, "dy", dy))


@explains(AdaptiveMaxPool2d, GlobalMaxPool2d, what="y")
def maximum(record: Record, index: Index) -> Parts:
    """The candidates are the pixels of the window."""
    formula = f"y[n,p,q,c] = max of x[n,h,w,c] over {WINDOW}"
    function: Function = kernels.adaptive_max_pool2d
    if _is_global(record):
        formula, function = "y[n,c] = max(h,w) x[n,h,w,c]", kernels.max_pool2d
    return largest(record, _window(record, index), formula, function)


@explains(AdaptiveMaxPool2d, GlobalMaxPool2d, what="dx")
def gradient_of_maximum(record: Record, index: Index) -> Parts:
    """Each window that contains the pixel passes its gradient to its own maximum."""
    places = _containing(record, index)
    dy = elements("dy", record.dy, *np.array(places).T)
    windows = [_window(record, place) for place in places]
    formula = "dx[n,h,w,c] = Σ dy[n,p,q,c] over the windows (p,q) whose maximum is (h,w)"
    function: Function = kernels.adaptive_max_pool2d_grad
    if _is_global(record):
        formula = "dx[n,h,w,c] = dy[n,c] if (h,w) is the maximum, else 0"
        function = kernels.max_pool2d_grad
    return to_the_largest(record, dy, windows, index, (formula, function))


def _is_global(record: Record) -> bool:
    return record.y.ndim == 2


def _sides(record: Record, axis: int) -> list[tuple[int, int]]:
    """The first and the last row (or column) + 1 of all windows."""
    size, count = record.x.shape[axis], 1 if _is_global(record) else record.y.shape[axis]
    return adaptive_windows(size, count)


def _window(record: Record, index: Index) -> Column:
    """The pixels of the window of one output."""
    n, c = index[0], index[-1]
    p, q = (0, 0) if _is_global(record) else index[1:3]
    rows, columns = _sides(record, 1)[p], _sides(record, 2)[q]
    return elements("x", record.x, n, *flat(np.arange(*rows), np.arange(*columns)), c)


def _containing(record: Record, index: Index) -> list[Index]:
    """The outputs whose windows contain a pixel."""
    n, h, w, c = index
    if _is_global(record):
        return [(n, c)]
    p, q = (
        [o for o, (first, stop) in enumerate(_sides(record, axis)) if first <= pixel < stop]
        for axis, pixel in ((1, h), (2, w))
    )
    return [(n, row, column, c) for row in p for column in q]
