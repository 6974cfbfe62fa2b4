"""The weight gradient: every weight is multiplied with one pixel per result of its map."""

from collections.abc import Callable

import numpy as np

from ...geometry import Window
from ...types import Array
from ..engine.arrays import Image, address, image, pixels
from ..engine.launch import kernel, task_range, threads_for
from ..engine.memory import empty
from ..engine.rows import fill_zeros
from ..engine.simd import FLOAT, LANES, Address, load, slide_products, store, tile_load, tile_zeros
from .bands import TOGETHER, Bands, bands_of, pack
from .taps import TILE
from .tiles import always_inline


def _row_products(cells: int, step: int) -> Callable[..., None]:
    """The function for `cells` weights side by side of results `step` pixels apart."""
    number = 2 * cells  # of sums: a constant, as registers need it

    def row_products(
        deltas: Address,
        rows: int,
        across: int,
        band: Address,
        down: int,
        apart: int,
        weights: Address,
    ) -> None:
        """weights[j] += sum of dy[p, q] * band[p, q * step + j].

        dy is `(rows, across)`. Rows of the band are `down` floats apart, pixels `apart`.
        """
        sums = tile_zeros(number, 1)
        for p in range(rows):
            row, d = band + FLOAT * down * p, deltas + FLOAT * LANES * across * p
            for q in range(0, across, TILE):
                four = tile_load(TILE, d + FLOAT * LANES * q, LANES)
                sums = slide_products(
                    sums, four, cells, step, row + FLOAT * apart * step * q, apart
                )
        for j in range(cells):
            total = load(weights, LANES * j) + (sums[j] + sums[cells + j])
            store(weights, LANES * j, total)

    return always_inline(row_products, name=f"row_products_{cells}_{step}")


_of_1, _of_3, _of_5 = (_row_products(cells, 1) for cells in (1, 3, 5))
_of_3_strided, _of_5_strided = (_row_products(cells, 2) for cells in (3, 5))


@always_inline
def _add_deltas(deltas: Address, count: int, sum: Address) -> None:
    """sum += the vectors of dy; `count` is a multiple of TILE."""
    total = tile_load(1, sum, 0)[0]
    for k in range(0, count, TILE):
        four = tile_load(TILE, deltas + FLOAT * LANES * k, LANES)
        total = total + ((four[0] + four[1]) + (four[2] + four[3]))
    store(sum, 0, total)


@always_inline
def _add_band(
    x: Address, dy: Address, rows: int, bands: Bands, cells_y: int, cells_x: int, to: Address
) -> None:
    """Add the products of a band of x and one of dy to dw and, behind it, db."""
    step, move, down = bands.step_x, bands.move_x, LANES * bands.width * bands.step_y
    for i in range(cells_y):
        at = x + FLOAT * LANES * bands.width * bands.move_y * i
        if cells_x == 3 and move == step == 1:
            _of_3(dy, rows, bands.across, at, down, LANES, to)
        elif cells_x == 3 and move == 1 and step == 2:
            _of_3_strided(dy, rows, bands.across, at, down, LANES, to)
        elif cells_x == 5 and move == step == 1:
            _of_5(dy, rows, bands.across, at, down, LANES, to)
        elif cells_x == 5 and move == 1 and step == 2:
            _of_5_strided(dy, rows, bands.across, at, down, LANES, to)
        else:
            for j in range(cells_x):
                cell, weight = at + FLOAT * LANES * move * j, to + FLOAT * LANES * j
                _of_1(dy, rows, bands.across, cell, down, LANES * step, weight)
        to += FLOAT * LANES * cells_x
    _add_deltas(dy, rows * bands.across, to)


@kernel
def _products(
    task: int,
    tasks: int,
    x: Image,
    dy: Image,
    images: int,
    bands: Bands,
    cells_y: int,
    cells_x: int,
    together: int,
    sums: Address,
    scratch: Address,
) -> None:
    """sums[task] = dw `(kH, kW)` and, behind, db of the task's bands, for each vector of channels.

    `together` vectors are copied at once. The last one of an image begins earlier.
    """
    blocks = (x.channels + LANES - 1) // LANES
    parts = (blocks + together - 1) // together
    first, last = task_range(images * bands.number * parts, task, tasks)
    size, own = LANES * (cells_y * cells_x + 1), sums
    own += FLOAT * size * blocks * task
    fill_zeros(own, size * blocks)
    room, room_of_dy = LANES * bands.height * bands.width, LANES * bands.rows * bands.across
    pixels = scratch + FLOAT * (room + room_of_dy) * together * task
    deltas = pixels + FLOAT * room * together
    for unit in range(first, last):
        block, band = unit % parts * together, unit // parts
        n, p = band // bands.number, band % bands.number * bands.rows
        rows, vectors = min(bands.rows, dy.height - p), min(together, blocks - block)
        top, c = p * bands.step_y + bands.off_y, LANES * block
        height = (rows - 1) * bands.step_y + (cells_y - 1) * bands.move_y + 1
        pack(x, n, c, vectors, top, bands.off_x, height, bands.width, pixels, room)
        pack(dy, n, c, vectors, p, 0, rows, bands.across, deltas, room_of_dy)
        for v in range(vectors):
            x_v, dy_v = pixels + FLOAT * room * v, deltas + FLOAT * room_of_dy * v
            _add_band(x_v, dy_v, rows, bands, cells_y, cells_x, own + FLOAT * size * (block + v))


def conv2d_grad_weight(dy: Array, x: Array, geometry: Window, dw: Array, db: Array) -> None:
    """dw `(kH, kW, 1, C)` and db `(C,)` from dy and x; both are contiguous."""
    (x, _), (dy, _), filters = pixels(x), pixels(dy), dw.shape[3]
    if filters > x.shape[3]:
        x = np.repeat(x, filters // x.shape[3], axis=3)
    area, blocks = geometry.kernel[0] * geometry.kernel[1], -(-filters // LANES)
    together = min(TOGETHER, blocks)
    bands, tasks = bands_of(geometry, together), threads_for(flops=2 * dy.size * area)
    sums = empty((tasks, blocks, area + 1, LANES))
    room = bands.height * bands.width + bands.rows * bands.across
    scratch = empty(tasks * together * LANES * room)
    buffers = address(sums), address(scratch)
    _products(tasks, image(x), image(dy), len(dy), bands, *geometry.kernel, together, *buffers)
    total = sums.sum(axis=0).transpose(1, 0, 2).reshape(area + 1, -1)
    whole = filters // LANES * LANES
    both = dw.reshape(area, filters), db[None]
    for target, found in zip(both, (total[:area], total[area:]), strict=True):
        target[:, :whole] = found[:, :whole]
        target[:, filters - LANES :] = found[:, -LANES:]
