"""Products of bfloat16 numbers on matrix units: convolutions, and linear layers of many rows.

The patches of a block of pixels are gathered in a buffer, in parts of at most DEPTH words, and
stay in the cache while they are multiplied by all panels of the filters:

    for a block of pixels, for a part of the patch:
        buffer (BLOCK, DEPTH) = the part of the patches
        for 32 columns of y, for 32 rows of the buffer:
            y (32, 32) += buffer (32, DEPTH) times a panel of the filters (DEPTH, 32)

Panels are padded with rows and columns of zeros, the buffer with columns of zeros. The gradients of
convolutions are in matrix_units_grad_input.py and matrix_units_grad_weight.py. Everything of
bfloat16.py runs here but the weight gradients of linear layers with few rows.

The instructions were run on an emulator only. BLOCK, DEPTH and RATE come from arithmetic, and from
the speed of the same inner loop without blocking on a Sapphire Rapids: 2.2 to 2.7 TFLOP/s on two
cores, whose peak in float32 is 0.46.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..geometry import Window
from ..types import Array
from .direct.patches import (
    PatchGrid,
    PatchLayout,
    forward_layout,
    gather_patches,
    panel_epilogue,
    patch_addresses,
)
from .engine.arrays import address, pixel_step
from .engine.launch import inline, kernel, task_range
from .engine.memory import empty
from .engine.records import PLAIN, Epilogue, Rows, epilogue_of
from .engine.rows import even_block
from .engine.simd import (
    FLOAT,
    LANES,
    ROWS,
    VECTORS,
    Address,
    load_index,
    load_part,
    load_scalar,
    store,
    store_part,
    store_scalar,
    tile_rows,
    tile_store,
)
from .engine.simd.amx import (
    CONFIGURATION,
    SIDE,
    TILE,
    add_products,
    configure_tiles,
    release_tiles,
    store_sums,
    zero_sums,
)
from .engine.simd.functions import constant
from .engine.threads import threads_for
from .words import matrix_words, neighbors, row_words

BLOCK = 256  # pixels whose patches are gathered at a time
RATE = 10  # products per cycle, see `conv.cost`: of the same cores' float32 peak, 5 times as many
Run = Callable[..., None]
DEPTH = 512  # words of them: 512 KB, which fit in the second cache
VECTORS_OF_TILE = ROWS * VECTORS


class Parts(NamedTuple):
    """The parts of a patch (see `PatchLayout`), and their depth, each padded to whole tiles."""

    runs: Address
    data: Address
    number: int
    depth: int


class Work(NamedTuple):
    """Scratch memory: `size` floats per task, `block` patches, `step` words apart."""

    data: Address
    size: int
    block: int
    step: int


@inline
def whole_tiles(depth: int) -> int:
    """`depth` words, rounded up to whole tiles."""
    return (depth + TILE - 1) // TILE * TILE


@inline
def write_sums(sums: Address, to: Rows, epilogue: Epilogue) -> None:
    """The 32 x 32 sums in memory to y, at most its rows and columns, with an epilogue."""
    for r in range(0, min(SIDE, to.rows), ROWS):
        tile = tile_rows((sums + FLOAT * r * SIDE,), VECTORS_OF_TILE, LANES, 1)
        rows = Rows(to.data + FLOAT * r * to.step, to.step, to.rows - r, to.columns)
        tile_store(tile, VECTORS, rows, epilogue)


@inline
def multiply_part(
    rows: Address, step: int, panel: Address, width: int, depth: int, sums: Address
) -> None:
    """sums (32, 32) = rows (32, depth) words, `step` words apart, times a panel `(depth, width)`.

    Of a panel narrower than 32 words the last columns of the sums have no meaning.
    """
    zero_sums()
    for k in range(0, depth, TILE):
        a, b = rows + FLOAT * k, panel + FLOAT * k * width
        add_products(a, a + FLOAT * TILE * step, FLOAT * step, b, FLOAT * width)
    store_sums(sums, sums + FLOAT * TILE * SIDE, FLOAT * SIDE)


@kernel
def patch_products(
    task: int,
    tasks: int,
    grid: PatchGrid,
    parts: Parts,
    b: Address,
    y: Rows,
    epilogue: Epilogue,
    configuration: Address,
    work: Work,
) -> None:
    """y[m, :] = patch m times b, for all pixels m: `(M, depth) (depth, K)`, with an epilogue.

    Tasks share blocks of pixels. All parts but the first add to y.
    """
    first, last = task_range((y.rows + work.block - 1) // work.block, task, tasks)
    sums = work.data + FLOAT * task * work.size
    patches = sums + FLOAT * SIDE * SIDE
    table = patches + FLOAT * work.block * work.step
    configure_tiles(configuration)
    for m in range(first * work.block, min(last * work.block, y.rows), work.block):
        count, panels = min(work.block, y.rows - m), b
        patch_addresses(grid, m, count, table)
        for p in range(parts.number):
            run, at = load_index(parts.data, 2 * p), load_index(parts.data, 2 * p + 1)
            last_run, to = load_index(parts.data, 2 * p + 2), load_index(parts.data, 2 * p + 3)
            depth = whole_tiles(to - at)
            gather_patches(table, count, parts.runs, run, last_run, patches, work.step)
            for i in range(count):
                row = patches + FLOAT * (i * work.step + to - at)
                store_part(row, 0, constant(0.0), depth - (to - at))
            final = p == parts.number - 1
            bias = epilogue.bias if p == 0 else 0
            end = Epilogue(p, epilogue.scale, bias, epilogue.bounds if final else 0)
            for j in range(0, y.columns, SIDE):
                panel = panels + FLOAT * j * parts.depth
                for r in range(0, count, SIDE):
                    rows = patches + FLOAT * r * work.step
                    multiply_part(rows, work.step, panel, SIDE, depth, sums)
                    target = y.data + FLOAT * ((m + r) * y.step + j)
                    result = Rows(target, y.step, count - r, y.columns - j)
                    write_sums(sums, result, panel_epilogue(end, j))
            panels += FLOAT * depth * SIDE
    release_tiles()


class Filters(NamedTuple):
    """Words of filters: (tap, k, n) is at data[offsets[tap] + k * row_step + n * column_step].

    Each tap has `depth` rows.
    """

    data: Address
    offsets: Address
    depth: int
    row_step: int
    column_step: int


@kernel
def _pack(task: int, tasks: int, w: Filters, parts: Parts, columns: int, packed: Address) -> None:
    """Filters `(taps * depth, columns)` as panels of 32 columns.

    Every part ends with rows of zeros.
    """
    first, last = task_range((columns + SIDE - 1) // SIDE, task, tasks)
    for panel in range(first, last):
        j, to = panel * SIDE, packed + FLOAT * panel * SIDE * parts.depth
        for p in range(parts.number):
            at, end = load_index(parts.data, 2 * p + 1), load_index(parts.data, 2 * p + 3)
            for k in range(at, at + whole_tiles(end - at)):
                n, row = 0, 0
                if k < end:
                    n = columns - j
                    row = load_index(w.offsets, k // w.depth) + k % w.depth * w.row_step
                if w.column_step == 1:
                    for i in range(0, SIDE, LANES):
                        store(to, i, load_part(w.data, row + j + i, n - i))
                else:
                    for i in range(SIDE):
                        value = 0.0
                        if i < n:
                            value = load_scalar(w.data, row + (j + i) * w.column_step)
                        store_scalar(to, i, value)
                to += FLOAT * SIDE


def products(
    grid: PatchGrid,
    layout: PatchLayout,
    w: Filters,
    y: Rows,
    epilogue: Epilogue,
    run: Run = patch_products,
) -> None:
    """y = the patches times the filters."""
    depths = layout.parts[1:, 1] - layout.parts[:-1, 1]
    depth = int((-(-depths // TILE) * TILE).sum())
    parts = Parts(address(layout.runs), address(layout.parts), len(depths), depth)
    packed = empty(depth * (-(-y.columns // SIDE) * SIDE))
    tasks = threads_for(flops=2 * y.rows * depth * y.columns)
    _pack(tasks, w, parts, y.columns, address(packed))
    block = even_block(y.rows, tasks, BLOCK, SIDE)
    step = -(-layout.longest // TILE) * TILE + TILE  # no power of two, which few cache sets share
    size = SIDE * SIDE + block * (step + 2) + LANES
    scratch = empty(tasks * size)
    work = Work(address(scratch), size, block, step)
    run(tasks, grid, parts, address(packed), y, epilogue, address(CONFIGURATION), work)


_NO_OFFSET = np.zeros(1, np.int64)


def matrix(data: Address, depth: int, row_step: int, column_step: int) -> Filters:
    """Filters of one tap."""
    return Filters(data, address(_NO_OFFSET), depth, row_step, column_step)


def conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    groups: int,
    bounds: int,
    y: Array,
) -> None:
    """See `direct.conv2d`. The channels of a group are even in number."""
    words, rows = neighbors(x, geometry.padding), row_words(w)
    channels, (filters, all_filters) = rows.shape[2], (w.shape[3] // groups, w.shape[3])
    size = words.shape[1], words.shape[2]
    layout = forward_layout(
        geometry.kernel, geometry.dilation, channels, words.shape[3], size[1], DEPTH
    )
    for g in range(groups):
        offset, source = FLOAT * g * filters, address(words) + FLOAT * g * channels
        grid = PatchGrid(source, words.shape[3], *size, *geometry.stride, *geometry.output)
        to = Rows(address(y) + offset, pixel_step(y), math.prod(y.shape[:3]), filters)
        panels = matrix(address(rows) + offset, layout.depth, all_filters, 1)
        products(grid, layout, panels, to, epilogue_of(scale, b, bounds, offset))


def linear(
    x: Array, w: Array, y: Array, bias: Address, relu: bool, run: Run = patch_products
) -> None:
    """See `bfloat16.linear`."""
    panels = row_words(w)
    epilogue = Epilogue(0, 0, bias, int(relu))
    _matrix_product(x, matrix(address(panels), len(panels), w.shape[1], 1), y, epilogue, run)


def linear_grad_input(dy: Array, w: Array, dx: Array) -> None:
    """See `bfloat16.linear_grad_input`."""
    panels = matrix_words(w)
    depth = panels.shape[1]
    _matrix_product(dy, matrix(address(panels), depth, 1, depth), dx)


def _matrix_product(
    x: Array, w: Filters, y: Array, epilogue: Epilogue = PLAIN, run: Run = patch_products
) -> None:
    """y = x w: every row of x is an image of one pixel."""
    words = matrix_words(x)
    depth = words.shape[1]
    layout = forward_layout((1, 1), (1, 1), depth, depth, 1, DEPTH)
    grid = PatchGrid(address(words), depth, 1, 1, 1, 1, 1, 1)
    products(grid, layout, w, Rows(address(y), y.shape[1], *y.shape), epilogue, run)
