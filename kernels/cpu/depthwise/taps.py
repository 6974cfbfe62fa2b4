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

TILE = 4  # neighboring results that are computed at once: they share the loads of the weights
RUNS = (1, 2, 3, 5)  # cells side by side that have code of their own
COLUMNS = 6  # of the table of tiles


class Taps(NamedTuple):
    """The lists as arrays of 64-bit integers; distances are in floats.

    rows `(P + 1,)`: where the cells of each row of results begin in `row_cells`, `(R, 2)`: the
    distance of the kernel's row among the weights, and that of the pixels' row.
    tiles `(T, COLUMNS)`: the first result, the number of results (TILE or 1), its first and last +
    1 cell in `column_cells`, `(S, 2)`, the same two distances along columns; and the number of
    cells if their pixels are side by side, else 0, with the distance of their weights.
    result_step, source_step: pixels from one result of a tile to the next, and between what they
    read.
    """

    rows: Array
    row_cells: Array
    tiles: Array
    column_cells: Array
    result_step: int
    source_step: int

    @property
    def record(self) -> "TapRecord":
        """The tables by address; they are kept alive by the cache."""
        return TapRecord(
            address(self.rows),
            address(self.row_cells),
            address(self.tiles),
            address(self.column_cells),
            len(self.tiles),
            self.result_step,
            self.source_step,
        )


class TapRecord(NamedTuple):
    """Taps as kernels take them."""

    rows: Address
    row_cells: Address
    tiles: Address
    column_cells: Address
    number: int
    result_step: int
    source_step: int


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
    return _tables(found[0], found[1], (1, geometry.stride[1]), image[1], (width, step))


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
    steps = geometry.stride[1], 1
    return _tables(found[0], found[1], steps, geometry.output[1], (width, step))


def _tables(rows: Array, columns: Array, steps: Pair, length: int, floats: Pair) -> Taps:
    """rows `(P, kH)`, columns `(Q, kW)`: the pixel that a result reads for each cell, or -1.

    steps: from result to result in a tile, and from pixel to pixel. length: pixels of a row of the
    source. floats: between cells of the weights, and between pixels.
    """
    width, step = floats
    starts: list[int] = [0]
    row_cells: list[Pair] = []
    for row in rows.tolist():
        row_cells += [
            (i * columns.shape[1] * width, a * length * step) for i, a in enumerate(row) if a >= 0
        ]
        starts.append(len(row_cells))
    tiles: list[tuple[int, ...]] = []
    column_cells: list[Pair] = []
    for q, count in _tiles(columns >= 0, steps[0]):
        cells = sorted((b, j) for j, b in enumerate(columns[q].tolist()) if b >= 0)
        first = len(column_cells)
        column_cells += [(j * width, b * step) for b, j in cells]
        run, between = _run(cells) if count == TILE else (0, 0)
        tiles.append((q, count, first, len(column_cells), run, between * width))
    return Taps(
        np.array(starts, np.int64),
        np.array(row_cells, np.int64),
        np.array(tiles, np.int64),
        np.array(column_cells, np.int64),
        *steps,
    )


def _run(cells: list[Pair]) -> Pair:
    """The number of cells if their pixels are side by side, and the distance of the weights.

    0, 0 for others, and for numbers for which no kernel is compiled.
    """
    pixels, weights = np.array(cells).reshape(-1, 2).T
    apart = set(np.diff(weights).tolist()) or {0}
    if len(cells) not in RUNS or len(apart) != 1 or (np.diff(pixels) != 1).any():
        return 0, 0
    return len(cells), apart.pop()


def _tiles(reads: Array, step: int) -> list[Pair]:
    """The first result and the number of results of each tile; all of a tile read the same cells.

    reads `(Q, kW)`: True where a result has a pixel for a cell.
    """
    found = []
    for q in range(step):
        while q < len(reads):
            tile = reads[q : q + TILE * step : step]
            count = TILE if len(tile) == TILE and (tile == tile[0]).all() else 1
            found.append((q, count))
            q += count * step
    return found
