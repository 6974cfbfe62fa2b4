"""Convolution with fewer filters than a vector has lanes, as LeNet's first layer.

    y[n, p, q, k] = sum over i, j, c of x[n, p + i, q + j, c] * w[i, j, c, k]

A row of y is computed as it lies in memory, a vector at a time: every pixel of x is repeated K
times, so that a row of x, shifted by j pixels, has the factor of each lane. The filters' factors
repeat after `period` vectors. A tile is one vector of several rows of y.
"""

from collections.abc import Callable
from typing import NamedTuple

from ...geometry import Window
from ...types import Array
from ..engine.arrays import Image, address
from ..engine.launch import kernel, task_range
from ..engine.memory import empty
from ..engine.records import Epilogue, Rows
from ..engine.simd import (
    FLOAT,
    LANES,
    REGISTERS,
    Address,
    load_part,
    store_part,
    tile_convolve,
    tile_store,
    tile_zeros,
)
from ..engine.threads import threads_for
from . import few_filters
from .few_filters import Scratch, period_of, repeat_pixels
from .padding import padded

HEIGHTS = (14, 12, 8, 5) if REGISTERS == 32 else (8, 5)  # rows of y whose sums are in registers
ROWS = (3, 5)  # of the filters


class Filters(NamedTuple):
    """The factors of `period` vectors per cell of the kernel, `(C, kH, kW)`, kW = `cells`."""

    data: Address
    cells: int
    filters: int
    period: int


@kernel
def _repeat(
    task: int, tasks: int, w: Address, cells: int, channels: int, packed: Filters, bias: Address
) -> None:
    """The factors of each lane from w `(cells, C, K)`, and behind them the biases."""
    to, room = packed.data, packed.period * LANES
    for c in range(channels):
        for cell in range(cells):
            v = load_part(w, (cell * channels + c) * packed.filters, packed.filters)
            for i in range(0, room, packed.filters):
                store_part(to, i, v, packed.filters)
            to += FLOAT * room
    for i in range(0, room if bias != 0 else 0, packed.filters):
        store_part(to, i, load_part(bias, 0, packed.filters), packed.filters)


def _products(height: int, rows: int) -> Callable[..., None]:
    """The kernel that computes `height` rows of y at a time, with filters of `rows` rows."""

    def repeated_patches(
        task: int,
        tasks: int,
        x: Image,
        images: int,
        w: Filters,
        y: Rows,
        epilogue: Epilogue,
        scratch: Scratch,
    ) -> None:
        """y: `rows` rows of an image, each of `columns` floats."""
        first, last = task_range(images, task, tasks)
        apart = w.cells * w.period * LANES
        repeated, area = scratch.data + FLOAT * task * scratch.size, x.height * scratch.line
        for n in range(first, last):
            for c in range(x.channels):
                repeat_pixels(x, n, c, w.filters, repeated + FLOAT * c * area, scratch.line)
            for v in range(0, y.columns, LANES):
                phase = FLOAT * (v // LANES % w.period * LANES)
                bias = epilogue.bias + phase if epilogue.bias != 0 else 0
                end = Epilogue(0, 0, bias, epilogue.bounds)
                for block in range(0, y.rows, height):
                    p = min(block, y.rows - height)  # the last rows may be computed twice
                    tile, panel = tile_zeros(height, 1), w.data + phase
                    for c in range(x.channels):
                        pixels = repeated + FLOAT * (c * area + p * scratch.line + v)
                        for _ in range(w.cells):
                            tile = tile_convolve(tile, pixels, scratch.line, rows, panel, apart)
                            pixels += FLOAT * w.filters
                            panel += FLOAT * w.period * LANES
                        panel += FLOAT * (rows - 1) * apart
                    place = y.data + FLOAT * ((n * y.rows + p) * y.columns + v)
                    tile_store(tile, 1, Rows(place, y.columns, height, y.columns - v), end)

    name = f"repeated_patches_{height}_{rows}"
    repeated_patches.__name__ = repeated_patches.__qualname__ = name
    return repeated_patches


_KERNELS = {(h, rows): kernel(_products(h, rows)) for h in HEIGHTS for rows in ROWS}


def supports(geometry: Window, channels: int, filters: int, groups: int) -> bool:
    """True if the kernels here compute this convolution, and faster than those of `forward`.

    Pixels are repeated for every channel, which pays if a row of the filters is used often.
    """
    is_usual = geometry.output[0] >= min(HEIGHTS) and geometry.kernel[0] in ROWS
    pays = channels == 1 or geometry.kernel[0] >= 5
    return is_usual and pays and few_filters.supports(geometry, channels, filters, groups)


def conv2d(x: Array, w: Array, b: Array | None, geometry: Window, bounds: int, y: Array) -> None:
    """y = f(x conv w + b), contiguous."""
    x, step = padded(x, geometry.padding)
    (rows, cells, channels, filters), images = w.shape, len(x)
    period, floats = period_of(filters), y.shape[2] * filters
    count = rows * cells * channels * period * LANES
    packed = empty(count + period * LANES)
    factors = Filters(address(packed), cells, filters, period)
    _repeat(1, address(w), rows * cells, channels, factors, 0 if b is None else address(b))
    # `repeat_pixels` overwrites a vector behind each row.
    line = -(-(x.shape[2] * filters + LANES) // LANES) * LANES
    room = channels * x.shape[1] * line
    tasks = threads_for(flops=2 * y.size * rows * cells * channels)
    scratch = empty(tasks * room + LANES)
    fit = [height for height in HEIGHTS if height <= y.shape[1]]
    height = min(fit, key=lambda height: -(-y.shape[1] // height) * height)
    pixels = Image(address(x), step, *x.shape[1:])
    result = Rows(address(y), 0, y.shape[1], floats)
    end = Epilogue(0, 0, 0 if b is None else factors.data + FLOAT * count, bounds)
    _KERNELS[height, rows](
        tasks, pixels, images, factors, result, end, Scratch(address(scratch), line, room)
    )
