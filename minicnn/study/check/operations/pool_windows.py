"""Mistakes in the windows of a pooling: their size, their place, and the order of their cells."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import permutations, product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault
from .pool import is_largest, padded, places

Reduce = Callable[[Array], Array]
Share = Callable[[Array, Array], Array]  # of the cells of a window and its dy
LENGTHS: dict[str, Callable[[int, int, Case], int]] = {
    "{}": lambda own, other, c: own,
    "{} - 1": lambda own, other, c: own - 1,
    "{} + 1": lambda own, other, c: own + 1,
    "the other length": lambda own, other, c: other,
    "min(kH, kW)": lambda own, other, c: min(own, other),
    "1": lambda own, other, c: 1,
    "stride": lambda own, other, c: c.stride,
    "of the rest of the image": lambda own, other, c: max(c.x.shape[1:3]),
}
Bounds = tuple[str, str, int]  # the height, the width, and the first cell


def _windows(bounds: Bounds, c: Case, image: Array) -> Iterator[tuple[tuple[int, int], Array]]:
    """Each place and its cells; raises ValueError for a window without any."""
    (kh, kw), (rows, columns, first) = c.kernel, bounds
    height, width = LENGTHS[rows](kh, kw, c), LENGTHS[columns](kw, kh, c)
    for p, q in places(c):
        top, left = p * c.stride + first, q * c.stride + first
        cells = image[:, top : top + height, left : left + width]
        if not cells.size:
            raise ValueError("an empty window")
        yield (p, q), cells


def _reduced(reduce: Reduce, fill: float, bounds: Bounds, c: Case) -> Array:
    y = np.zeros_like(c.dy)
    for (p, q), cells in _windows(bounds, c, padded(c, fill)):
        y[:, p, q] = reduce(cells)
    return y


def _spread(share: Share, bounds: Bounds, c: Case) -> Array:
    dx, p = np.zeros_like(padded(c, 0)), c.padding
    pairs = zip(_windows(bounds, c, padded(c, -np.inf)), _windows(bounds, c, dx), strict=True)
    for ((i, j), cells), (_, target) in pairs:
        target += share(cells, c.dy[:, i, j][:, None, None])
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


AXES = ("N", "C", "kH", "kW", "H_out", "W_out")
RIGHT = (0, 4, 5, 1, 2, 3)


def _named(order: tuple[int, ...]) -> str:
    return ", ".join(AXES[a] for a in order)


@lru_cache(maxsize=4)
def _cells(fill: float, c: Case) -> Array:
    """The pixels of all windows `(N, C, kH, kW, H_out, W_out)`."""
    views = np.lib.stride_tricks.sliding_window_view(padded(c, fill), c.kernel, axis=(1, 2))
    return views[:, :: c.stride, :: c.stride].transpose(0, 3, 4, 5, 1, 2)


def _of_columns(reduce: Reduce, fill: float, order: tuple[int, ...], last: bool, c: Case) -> Array:
    """y from rows of kH * kW values, flattened in another order of axes."""
    (n, height, width, channels), area = c.dy.shape, c.kernel[0] * c.kernel[1]
    rows = _cells(fill, c).transpose(order).reshape(-1, area, 1, 1)
    values = reduce(rows)
    if last:
        return values.reshape(n, height, width, channels)
    return values.reshape(n, channels, height, width).transpose(0, 2, 3, 1)


def window_faults(reduce: Reduce, share: Share, fill: float) -> Iterator[Fault]:
    """Every other size and place of the windows, and order of their cells."""
    rule = "Window: rows p*stride to p*stride + kH - 1, columns q*stride to q*stride + kW - 1."
    for rows, columns, first in list(product(LENGTHS, LENGTHS, (0, 1)))[1:]:
        height, width = (t.format(k) for t, k in ((rows, "kH"), (columns, "kW")))
        says = f"the window has the height {height} and the width {width}"
        says += ", and starts one pixel too far down and to the right" if first else ""
        bounds = rows, columns, first
        forms = {
            "y": partial(_reduced, reduce, fill, bounds),
            "dx": partial(_spread, share, bounds),
        }
        yield Fault("other window", says, rule, forms)
    for order in permutations(range(6)):
        for last in (True, False):
            if (order, last) != (RIGHT, True):
                back = "(N, H_out, W_out, C)" if last else "(N, C, H_out, W_out)"
                yield Fault(
                    "axes of the columns",
                    f"the windows are flattened in the order of axes ({_named(order)}), and y is "
                    f"reshaped to {back}",
                    f"Transpose to ({_named(RIGHT)}) before the reshape to rows of kH * kW.",
                    {"y": partial(_of_columns, reduce, fill, order, last)},
                )


# -- the place of the maximum ----------------------------------------------------------------------


def _placed(flat: str, length: int, swap: bool, c: Case) -> Array:
    """dx with the index in the window divided by another length. Raises where it leaves x."""
    (kh, kw), dx = c.kernel, np.zeros_like(padded(c, 0))
    for p, q in places(c):
        window = padded(c, -np.inf)[:, p * c.stride :, q * c.stride :][:, :kh, :kw]
        for n, i, j, ch in np.argwhere(is_largest(window) > 0):
            index = i * kw + j if flat == "C" else j * kh + i
            row, column = divmod(index, c.kernel[length])
            row, column = (column, row) if swap else (row, column)
            dx[n, p * c.stride + row, q * c.stride + column, ch] += c.dy[n, p, q, ch]
    p = c.padding
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def place_faults() -> Iterator[Fault]:
    """The row and the column of the maximum from its index in the window."""
    for flat, length, swap in product("CF", (0, 1), (False, True)):
        if (flat, length, swap) in (("C", 1, False), ("F", 0, True)):
            continue
        name = ("kH", "kW")[length]
        parts = f"index % {name}, index // {name}" if swap else f"index // {name}, index % {name}"
        order = "" if flat == "C" else ", of an index that counts down the columns"
        yield Fault(
            "place of the maximum",
            f"the row and the column of the maximum are taken as {parts}{order}",
            "index = i * kW + j: the row is index // kW, the column index % kW.",
            {"dx": partial(_placed, flat, length, swap)},
        )
