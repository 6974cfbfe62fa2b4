"""The weight gradient of fewer filters than a vector has lanes, as of LeNet's first layer.

    dw[i, j, c, k] = sum over n, p, q of x[n, p + i, q + j, c] * dy[n, p, q, k]

The numbers dy[n, p, q, k] of a row are multiplied as they lie in memory, a vector at a time, by a
row of x in which every pixel is repeated K times. A lane then belongs to one filter, the same one
after every `period` vectors, and the sums of all cells of the kernel stay in registers. A row of x
meets as many rows of dy as the kernel has: those above the first and below the last are zeros.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ...geometry import Window
from ...types import Array
from ..engine.arrays import Image, address, contiguous
from ..engine.launch import inline, kernel, task_range
from ..engine.memory import empty
from ..engine.rows import fill_zeros
from ..engine.simd import (
    FLOAT,
    LANES,
    REGISTERS,
    Address,
    Vector,
    add_rows,
    addresses,
    load,
    load_part,
    load_scalar,
    splat,
    store,
    store_index,
    store_part,
    tile_multiply_shifted,
    tile_zeros,
)
from ..engine.simd.functions import constant
from ..engine.threads import threads_for
from .padding import padded
from .patches import always_inline

CELLS = (3, 5)  # widths of kernels
MOST_CHANNELS = 4
MOST_FLOATS = 1 << 19  # of an image of dy: each task has a copy, and a repeated image of x


def kernel_rows_at_once(cells: int) -> int:
    """The rows of a kernel whose sums fit the registers, beside a vector per row and per cell."""
    return min(cells, (REGISTERS - 1) // (cells + 1))


def period_of(filters: int) -> int:
    """The number of vectors after which a lane has the same filter again."""
    return filters // math.gcd(filters, LANES)


class Deltas(NamedTuple):
    """dy: `number` rows per image, of `floats` floats, which are pixels of `filters` floats.

    step: `floats`, rounded up to whole vectors, of which every `period`-th has the same filters.
    """

    data: Address
    number: int
    floats: int
    filters: int
    period: int
    step: int


class Sums(NamedTuple):
    """Per task, `size` floats: `period` vectors per cell `(C, kH, kW)`, and the sum of dy's rows.

    kernel_rows: kH, rounded up to a multiple of `kernel_rows_at_once`.
    """

    data: Address
    kernel_rows: int
    size: int


class Scratch(NamedTuple):
    """Per task, `size` floats: a repeated image with `line` floats per row, and rows of dy."""

    data: Address
    line: int
    size: int


def supports(geometry: Window, channels: int, filters: int, groups: int) -> bool:
    """True if the kernels here compute this weight gradient, and faster than the others.

    Patches of many channels have long runs, which `grad_weight` gathers fast.
    """
    is_plain = geometry.stride == geometry.dilation == (1, 1) and groups == 1
    is_narrow = channels <= MOST_CHANNELS and filters < LANES
    is_small = math.prod(geometry.output) * filters <= MOST_FLOATS
    return is_plain and is_narrow and is_small and geometry.kernel[1] in CELLS


@always_inline
def repeat_pixels(x: Image, n: int, c: int, times: int, to: Address, line: int) -> None:
    """Channel c of image n, every pixel `times` times. Overwrites a vector behind each row."""
    for h in range(x.height):
        row, target = (n * x.height + h) * x.width, to + FLOAT * h * line
        for q in range(x.width):
            store(target, q * times, splat(load_scalar(x.data, (row + q) * x.step + c)))


@always_inline
def copy_rows(dy: Deltas, n: int, to: Address, sums: Address) -> None:
    """Copy the rows of image n to `to`, `step` floats apart, and add them to the row `sums`."""
    for p in range(dy.number):
        row, target = dy.data + FLOAT * (n * dy.number + p) * dy.floats, to + FLOAT * p * dy.step
        for i in range(0, dy.floats, LANES):
            v = load_part(row, i, dy.floats - i)
            store(target, i, v)
            store(sums, i, load(sums, i) + v)


def _products(cells: int) -> Callable[..., None]:
    """The kernel for filters that are `cells` pixels wide."""
    rows = kernel_rows_at_once(cells)

    def repeated_products(
        task: int, tasks: int, x: Image, images: int, dy: Deltas, sums: Sums, scratch: Scratch
    ) -> None:
        """sums[task] = those of the task's images."""
        first, last = task_range(images, task, tasks)
        own, apart = sums.data + FLOAT * task * sums.size, dy.period * LANES
        fill_zeros(own, sums.size)
        repeated = scratch.data + FLOAT * task * scratch.size
        fill_zeros(repeated, scratch.size)
        # The rows of dy lie between rows of zeros, and `table` behind them.
        deltas = repeated + FLOAT * (x.height * scratch.line + (sums.kernel_rows - 1) * dy.step)
        table = deltas + FLOAT * x.height * dy.step
        for n in range(first, last):
            copy_rows(dy, n, deltas, own + FLOAT * (sums.size - dy.step))
            for c in range(x.channels):
                repeat_pixels(x, n, c, dy.filters, repeated, scratch.line)
                for i in range(0, sums.kernel_rows, rows):
                    for phase in range(0, apart, LANES):
                        tile = tile_zeros(rows, cells)
                        for h in range(x.height):
                            pixels = repeated + FLOAT * h * scratch.line
                            delta = deltas + FLOAT * (h - i) * dy.step
                            for v in range(phase, dy.step, apart):
                                left, right = delta + FLOAT * v, pixels + FLOAT * v
                                tile = tile_multiply_shifted(
                                    tile, rows, left, -dy.step, right, dy.filters
                                )
                        for r in range(rows):
                            cell = (c * sums.kernel_rows + i + r) * cells
                            store_index(table, r, own + FLOAT * (cell * apart + phase))
                        add_rows(addresses(table, rows), cells, apart, tile)

    repeated_products.__name__ = repeated_products.__qualname__ = f"repeated_products_{cells}"
    return repeated_products


@inline
def sum_pixels(p: Address, floats: int, filters: int, tasks: int, size: int) -> Vector:
    """The sum of the pixels in `floats` floats of each task; those of a task are `size` apart."""
    total = constant(0.0)
    for task in range(tasks):
        for i in range(0, floats, filters):
            total = total + load_part(p, task * size + i, filters)
    return total


@kernel
def _collect(
    task: int,
    tasks: int,
    sums: Sums,
    parts: int,
    dy: Deltas,
    kernel_rows: int,
    cells: int,
    channels: int,
    dw: Address,
    db: Address,
) -> None:
    """dw and db from the sums of all tasks, of which there are `parts`."""
    apart = dy.period * LANES
    for c in range(channels):
        for i in range(kernel_rows):
            for j in range(cells):
                cell = (c * sums.kernel_rows + i) * cells + j
                own = sums.data + FLOAT * cell * apart
                v = sum_pixels(own, apart, dy.filters, parts, sums.size)
                store_part(dw, ((i * cells + j) * channels + c) * dy.filters, v, dy.filters)
    rows = sums.data + FLOAT * (sums.size - dy.step)
    v = sum_pixels(rows, dy.floats, dy.filters, parts, sums.size)
    store_part(db, 0, v, dy.filters)


_KERNELS = {cells: kernel(_products(cells)) for cells in CELLS}


def conv2d_grad_weight(dy: Array, x: Array, geometry: Window, dw: Array, db: Array) -> None:
    """dw and db from dy and x; dw is contiguous."""
    (x, step), dy = padded(x, geometry.padding), contiguous(dy)
    (kh, cells, channels, filters), images = dw.shape, len(x)
    image, rows = Image(address(x), step, *x.shape[1:]), kernel_rows_at_once(cells)
    kernel_rows = -(-kh // rows) * rows
    period, floats = period_of(filters), dy.shape[2] * filters
    width = -(-floats // LANES) * LANES
    # The vectors of the last cell, and one that `repeat_pixels` overwrites.
    line = width + (-(-(cells - 1) * filters // LANES) + 1) * LANES
    size = channels * kernel_rows * cells * period * LANES + width
    room = x.shape[1] * line + (x.shape[1] + 2 * kernel_rows) * width
    tasks = threads_for(flops=2 * dy.size * kh * cells * channels)
    sums, scratch = empty((tasks, size)), empty(tasks * room)
    deltas = Deltas(address(dy), dy.shape[1], floats, filters, period, width)
    parts = Sums(address(sums), kernel_rows, size)
    _KERNELS[cells](tasks, image, images, deltas, parts, Scratch(address(scratch), line, room))
    _collect(1, parts, tasks, deltas, kh, cells, channels, address(dw), address(db))
