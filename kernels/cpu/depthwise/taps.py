"""Which pixels each result of a depthwise convolution reads, as tables for the kernels.

Rows and columns are independent: result (p, q) reads the pixels (a, b) for the cells (i, j) of the
kernel where a is in the list of p and b in that of q. Cells in the padding are in no list, nor, in
the input gradient, those between two strides.
"""

import functools
from typing import NamedTuple

import numpy as np

from ...geometry import Pair, Window
from ...types import Array
from ..engine.arrays import address
from ..engine.simd import Address

CELLS = (3, 5, 7)  # of a row of the kernel that have code of their own


class Sweep(NamedTuple):
    """How a row of the source goes by; see engine/simd/slide.py.

    Step g, first <= g < last, reads the pixels g * down - column + e for e < down, and finishes
    the results g * up - result + e for e < up. Those that do not exist are left out.
    weights, between: the distance in floats of cell t = 0 among the weights of a row, and from
    cell to cell.
    """

    first: int
    last: int
    column: int
    result: int
    weights: int
    between: int


class TapRecord(NamedTuple):
    """Taps as kernels take them: the tables by address."""

    rows: Address
    row_weights: Address
    row_pixels: Address
    columns: Address
    column_weights: Address
    column_pixels: Address


class Taps(NamedTuple):
    """The lists as arrays of 64-bit integers; distances are in floats.

    rows `(P + 1,)`: where the cells of each row of results begin in `row_weights` and
    `row_pixels`, `(R,)`: the distances of the kernel's row and of the pixels' row. columns and the
    others: the same of a row's results.
    kind: (cells, up, down) of the sweep, or (0, 1, 1) for a kernel that has none.
    """

    rows: Array
    row_weights: Array
    row_pixels: Array
    columns: Array
    column_weights: Array
    column_pixels: Array
    kind: tuple[int, int, int]
    sweep: Sweep

    @property
    def record(self) -> TapRecord:
        """The tables by address; they are kept alive by the cache."""
        return TapRecord(*(address(table) for table in self[:6]))


@functools.lru_cache(maxsize=1024)
def forward_taps(geometry: Window, image: Pair, width: int, step: int) -> Taps:
    """Result p reads the pixels p*s + i*d - before.

    image: (H, W). width: the floats between neighboring cells of the weights. step: those between
    pixels of the images.
    """
    found = []
    for axis in range(2):
        cells = np.arange(geometry.kernel[axis]) * geometry.dilation[axis]
        first = np.arange(geometry.output[axis]) * geometry.stride[axis]
        at = first[:, None] + cells - geometry.padding[axis][0]
        found.append(np.where((at >= 0) & (at < image[axis]), at, -1))
    last, before, down = geometry.kernel[1] - 1, geometry.padding[1][0], geometry.stride[1]
    off = last - before  # pixel b: q*down = b + t - off, t = last - j
    begin, end = min(0, -(off // down)), geometry.output[1]
    sweep = Sweep(begin, end, down - 1 - off, 0, last * width, -width)
    return _tables(found[0], found[1], image[1], (width, step), _kind(geometry, 1, down), sweep)


@functools.lru_cache(maxsize=1024)
def backward_taps(geometry: Window, image: Pair, width: int, step: int) -> Taps:
    """Pixel h reads the dy of the windows p with p*s + i*d - before = h; step is that of dy."""
    found = []
    for axis in range(2):
        cells = np.arange(geometry.kernel[axis]) * geometry.dilation[axis]
        at = np.arange(image[axis])[:, None] + geometry.padding[axis][0] - cells
        window, rest = np.divmod(at, geometry.stride[axis])
        covers = (rest == 0) & (window >= 0) & (window < geometry.output[axis])
        found.append(np.where(covers, window, -1))
    before, up = geometry.padding[1][0], geometry.stride[1]
    sweep = Sweep(0, -(-(image[1] + before) // up), 0, before, 0, width)  # b = q*up - before + t
    length = geometry.output[1]
    return _tables(found[0], found[1], length, (width, step), _kind(geometry, up, 1), sweep)


def _kind(geometry: Window, up: int, down: int) -> tuple[int, int, int]:
    """(cells, up, down) where a sweep of that kind is compiled, else (0, 1, 1)."""
    rows, cells = geometry.kernel
    if cells in CELLS and rows <= cells and geometry.dilation[1] == 1 and max(up, down) <= 2:
        return cells, up, down
    return 0, 1, 1


def _tables(
    rows: Array, columns: Array, length: int, floats: Pair, kind: tuple[int, int, int], sweep: Sweep
) -> Taps:
    """rows `(P, kH)`, columns `(Q, kW)`: the pixel that a result reads for each cell, or -1.

    length: pixels of a row of the source. floats: between cells of the weights, and between pixels.
    """
    width, step = floats
    return Taps(
        *_lists(rows, columns.shape[1] * width, length * step),
        *_lists(columns, width, step),
        kind,
        sweep,
    )


def _lists(reads: Array, width: int, step: int) -> tuple[Array, Array, Array]:
    """Where the list of each result begins, and the distances of its cells and of their pixels."""
    starts = np.zeros(len(reads) + 1, np.int64)
    np.cumsum((reads >= 0).sum(axis=1), out=starts[1:])
    result, cell = np.nonzero(reads >= 0)
    return starts, cell * width, reads[result, cell] * step
