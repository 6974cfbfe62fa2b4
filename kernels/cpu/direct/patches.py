"""The patches of a convolution in memory, and their products with packed filters.

The patch of an output pixel consists of a few runs of neighboring floats, such as a row of the
kernel. Their distances from the first pixel are the same for all patches. The register tile
processes ROWS pixels: it keeps the address of each, and reads the runs of all of them in step.
An image with padding is first copied into a larger one (`padding.padded`), so that no pixel is a
special case.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...geometry import Pair
from ...types import Array
from ..engine.launch import inline
from ..engine.memory import CACHE_LINE_FLOATS
from ..engine.records import Epilogue, Rows
from ..engine.rows import copy
from ..engine.simd import (
    COLUMNS,
    FLOAT,
    LANES,
    ROWS,
    VECTORS,
    Address,
    addresses,
    load_index,
    prefetch_second,
    prefetch_write,
    store_index,
    tile_add_at,
    tile_multiply_at,
    tile_store,
    tile_zeros,
)

DEPTH = 576  # floats of a patch (3x3x64) that the weight gradient gathers at a time


class PatchLayout(NamedTuple):
    """The order of a patch in memory.

    `runs` `(R, 2)`: the distance of each run from the pixel (p * stride, q * stride), and its
    length, in floats. `parts` `(P + 1, 2)` divides the runs into parts of limited length: the first
    run of each part and its depth in the patch. The last row is the end.
    """

    runs: Array
    parts: Array
    depth: int  # floats of a patch
    longest: int  # floats of the longest part


class Runs(NamedTuple):
    """The runs of a PatchLayout as kernels take them."""

    data: Address
    number: int
    depth: int


class PatchGrid(NamedTuple):
    """rows x columns patches per image, of images with `step` floats between pixels."""

    data: Address
    step: int
    height: int
    width: int
    stride_y: int
    stride_x: int
    rows: int
    columns: int


def patch_layout(
    taps: Sequence[Pair], channels: int, step: int, width: int, longest: int
) -> PatchLayout:
    """The layout of `taps`, pixels (dp, dq) of an image that is `width` pixels wide.

    Of each pixel's `step` floats the first `channels` are read. All parts have `longest` floats,
    but for the last.
    """
    whole: list[list[int]] = []  # runs, before they are cut where parts end
    for dp, dq in taps:
        start = (dp * width + dq) * step
        if whole and sum(whole[-1]) == start:
            whole[-1][1] += channels
        else:
            whole.append([start, channels])
    runs: list[list[int]] = []
    parts: list[list[int]] = []
    depth = 0
    for start, floats in whole:
        end = start + floats
        while start < end:
            if depth % longest == 0:
                parts.append([len(runs), depth])
            count = min(end - start, longest - depth % longest)
            runs.append([start, count])
            start, depth = start + count, depth + count
    parts.append([len(runs), depth])
    tables = np.array(runs, np.int64), np.array(parts, np.int64)
    return PatchLayout(*tables, depth, min(longest, depth))


@functools.lru_cache(maxsize=1024)
def forward_layout(
    kernel_size: Pair, dilation: Pair, channels: int, step: int, width: int, longest: int = 1 << 30
) -> PatchLayout:
    """The patch of an output pixel of a padded image, in the order of the weights."""
    taps = [
        (i * dilation[0], j * dilation[1])
        for i in range(kernel_size[0])
        for j in range(kernel_size[1])
    ]
    return patch_layout(taps, channels, step, width, longest)


@functools.lru_cache(maxsize=1024)
def tap_offsets(shape: tuple[int, ...], first_filter: int) -> Array:
    """The first float of each tap of weights of that shape, for the filters from the first on."""
    return np.arange(shape[0] * shape[1]) * (shape[2] * shape[3]) + first_filter


# -- inside kernels -------------------------------------------------------------------------------


# Some kernels pass constants: without a call, the compiler folds them into the code.
always_inline = functools.partial(inline, always=True)


@inline
def patch_addresses(grid: PatchGrid, m: int, count: int, table: Address) -> None:
    """Write the addresses of the first pixels of patches m...m + count to `table`.

    The last address is repeated up to a multiple of ROWS.
    """
    n, rest = m // (grid.rows * grid.columns), m % (grid.rows * grid.columns)
    p, q = rest // grid.columns, rest % grid.columns
    at = 0
    for i in range((count + ROWS - 1) // ROWS * ROWS):
        if i < count:
            row, column = n * grid.height + p * grid.stride_y, q * grid.stride_x
            at = grid.data + FLOAT * (row * grid.width + column) * grid.step
            q += 1
            if q == grid.columns:
                p, q = p + 1, 0
                if p == grid.rows:
                    n, p = n + 1, 0
        store_index(table, i, at)


def _patches_times_panel(vectors: int, name: str) -> Callable[..., Any]:
    """A function: the tile of ROWS patches times a packed panel of `vectors` vectors per row."""

    def patches_times_panel(table: Address, runs: Runs, b: Address) -> Any:
        a, tile = addresses(table, ROWS), tile_zeros(ROWS, vectors)
        for r in range(runs.number):
            start = load_index(runs.data, 2 * r)
            for i in range(start, start + load_index(runs.data, 2 * r + 1)):
                tile = tile_multiply_at(tile, vectors, a, i, b)
                b += FLOAT * LANES * vectors
        return tile

    return always_inline(patches_times_panel, name)


wide_patches = _patches_times_panel(VECTORS, "wide_patches")
narrow_patches = _patches_times_panel(1, "narrow_patches")


@always_inline
def patches_times(table: Address, runs: Runs, b: Address, c: Rows, epilogue: Epilogue) -> None:
    """The first ROWS rows of c, all its columns = ROWS patches times a packed panel."""
    # `add` is the constant 0: the compiler removes the loads of c.
    end = Epilogue(0, epilogue.scale, epilogue.bias, epilogue.bounds)
    if c.columns > LANES:
        tile_store(wide_patches(table, runs, b), VECTORS, c, end)
    else:
        tile_store(narrow_patches(table, runs, b), 1, c, end)


@always_inline
def add_patches_times(
    table: Address, runs: Runs, b: Address, width: int, to: Address, place: int, count: int
) -> None:
    """Add ROWS patches times a packed panel to the floats from `place` on, at `count` addresses."""
    if width > LANES:
        tile = wide_patches(table, runs, b)
        tile_add_at(tile, VECTORS, addresses(to, ROWS), place, count)
    else:
        narrow = narrow_patches(table, runs, b)
        tile_add_at(narrow, 1, addresses(to, ROWS), place, count)


@inline
def prefetch_tile(c: Rows) -> None:
    """Fetch the cache lines of a tile's results while the tile is computed."""
    for r in range(ROWS):
        for j in range(0, min(c.columns, COLUMNS), LANES):
            prefetch_write(c.data + FLOAT * (r * c.step + j))


@inline
def new_floats(runs: Address, last_run: int, grid: PatchGrid) -> tuple[int, int]:
    """The floats of a patch that the patches before it have not: where they start, their number.

    They are in its last row, and belong to the pixels that a step to the next patch adds.
    """
    start, length = load_index(runs, 2 * last_run), load_index(runs, 2 * last_run + 1)
    return start, min(length, grid.stride_x * grid.step)


@inline
def prefetch_floats(data: Address, first: int, n: int) -> None:
    """Fetch data[first], ..., data[first + n - 1] into the second cache, for what is read later.

    The sums of the next pixels would otherwise wait for memory, while nothing is computed.
    """
    for line in range(first, first + n, CACHE_LINE_FLOATS):
        prefetch_second(data, line)


@inline
def prefetch_pixels(table: Address, first: int, last: int, start: int, n: int) -> None:
    """The same for n floats, from `start` on, of each of the pixels first...last of a table."""
    for i in range(first, last):
        prefetch_floats(load_index(table, i), start, n)


@inline
def gather_patches(
    table: Address,
    count: int,
    runs: Address,
    first_run: int,
    last_run: int,
    buffer: Address,
    step: int,
) -> None:
    """Copy some runs of `count` patches to rows of `buffer`, `step` floats apart."""
    for i in range(count):
        pixel, row = load_index(table, i), buffer + FLOAT * i * step
        for r in range(first_run, last_run):
            floats = load_index(runs, 2 * r + 1)
            copy(pixel + FLOAT * load_index(runs, 2 * r), row, floats)
            row += FLOAT * floats


@inline
def panel_epilogue(epilogue: Epilogue, j: int) -> Epilogue:
    """The epilogue of the columns from j on."""
    scale = epilogue.scale + FLOAT * j if epilogue.scale != 0 else 0
    bias = epilogue.bias + FLOAT * j if epilogue.bias != 0 else 0
    return Epilogue(epilogue.add, scale, bias, epilogue.bounds)
