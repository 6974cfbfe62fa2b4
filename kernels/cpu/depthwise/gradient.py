"""The weight gradient: every weight is multiplied with one pixel per result of its map."""

from collections.abc import Callable

import numpy as np

from ...geometry import Window
from ...types import Array
from ..engine.arrays import Image, address, image, pixels
from ..engine.launch import kernel, replaced, task_range
from ..engine.memory import empty
from ..engine.rows import fill_zeros
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    add_rows,
    load,
    load_index,
    row_addresses,
    slide_products,
    store,
    tile_rows,
    tile_shift,
    tile_zeros,
)
from ..engine.threads import threads_for
from .rows import Line, always_inline, fetch_below, fits_twice
from .taps import CELLS, Sweep, TapRecord, forward_taps


@always_inline
def _any_row(
    line: Line, count: int, taps: TapRecord, sweep: Sweep, dy: Address, step: int, db: int
) -> None:
    """Add the products of a row of dy to dw and, behind it, db, for any number of cells.

    db is so many floats behind dw. Pixels of dy are `step` floats apart.
    """
    for block in range(0, line.channels, LANES):
        c, sums = min(block, line.channels - LANES), line.w + FLOAT * block
        total = load(sums, db)
        for q in range(line.length):
            delta = load(dy, q * step + c)
            total = total + delta
            first, last = load_index(taps.columns, q), load_index(taps.columns, q + 1)
            for i in range(line.row, line.row + count):
                pixels = line.data + FLOAT * (load_index(taps.row_pixels, i) + c)
                cells = sums + FLOAT * load_index(taps.row_weights, i)
                for j in range(first, last):
                    pixel = load(pixels, load_index(taps.column_pixels, j))
                    cell = load_index(taps.column_weights, j)
                    store(cells, cell, load(cells, cell) + pixel * delta)
        store(sums, db, total)


def _row_of(
    rows: int, cells: int, down: int, vectors: int, otherwise: Callable
) -> Callable[..., None]:
    """The same for rows that read `rows` rows of x, for one or two vectors of channels at once.

    The sums are in registers, and so are the dy of the results in flight. `otherwise` is for other
    numbers of rows, and for channels that are left over.
    """
    flight = (cells - 1) // down + 1
    area, together, second = rows * cells, vectors * LANES, vectors - 1

    def row_products(
        line: Line, count: int, taps: TapRecord, sweep: Sweep, dy: Address, step: int, db: int
    ) -> None:
        if count != rows or (vectors == 2 and line.channels % together != 0):
            otherwise(line, count, taps, sweep, dy, step, db)
            return
        for block in range(0, line.channels, together):
            c, to = min(block, line.channels - LANES), line.w + FLOAT * block
            behind = to + FLOAT * LANES * second
            pixels = row_addresses(line.data + FLOAT * c, taps.row_pixels + 8 * line.row, rows)
            sums, deltas = tile_zeros(area, vectors), tile_zeros(flight, vectors)
            total, other = load(to, db), load(behind, db)
            for g in range(sweep.first - (flight - 1), sweep.last):
                b, q = g * down - sweep.column, g + flight - 1
                for v in range(vectors):
                    below = pixels[rows - 1] + FLOAT * LANES * v
                    fetch_below(below, line.width * line.step, line.step, b, down)
                delta = tile_zeros(1, vectors)
                if 0 <= q < line.length:
                    delta = tile_rows((dy + FLOAT * (q * step + c),), vectors, LANES, 1)
                total = total + delta[0]
                other = other + delta[second]
                deltas = tile_shift(deltas, 1, delta)
                if 0 <= b < line.width:
                    sums = slide_products(sums, deltas, pixels, b * line.step, cells, down, 0)
                if down == 2 and 0 <= b + 1 < line.width:
                    sums = slide_products(sums, deltas, pixels, (b + 1) * line.step, cells, down, 1)
            store(to, db, total)
            store(behind, db, other)
            by_row = row_addresses(
                to + FLOAT * sweep.weights, taps.row_weights + 8 * line.row, rows
            )
            add_rows(by_row, cells, sweep.between, sums)

    return always_inline(row_products, name=f"row_products_{rows}_{cells}_{down}_{vectors}")


def _products(
    task: int,
    tasks: int,
    x: Image,
    dy: Image,
    images: int,
    taps: TapRecord,
    sweep: Sweep,
    db: int,
    size: int,
    sums: Address,
) -> None:
    """sums[task] = dw `(kH, kW, C)` and db `(C,)` of the task's rows, `size` floats together.

    db: the floats of dw. The last vector of channels begins earlier in x and dy, so that it is a
    whole one, and has a place of its own.
    """
    first, last = task_range(images * dy.height, task, tasks)
    own = sums + FLOAT * size * task
    fill_zeros(own, size)
    for unit in range(first, last):
        n, p = unit // dy.height, unit % dy.height
        row, rows = load_index(taps.rows, p), load_index(taps.rows, p + 1)
        data = x.data + FLOAT * n * x.height * x.width * x.step
        line = Line(data, x.width, x.step, x.channels, row, own, dy.width, 0)
        deltas = dy.data + FLOAT * unit * dy.width * dy.step
        _any_row(line, rows - row, taps, sweep, deltas, dy.step, db)


def _kernel(cells: int, down: int) -> kernel:
    """The kernel for rows that go by as a sweep of that kind."""
    row = _any_row
    for rows in range(1, cells + 1):
        row = _row_of(rows, cells, down, 1, row)
    for rows in range(cells - 1, cells + 1 if fits_twice(cells) else 0):
        row = _row_of(rows, cells, down, 2, row)
    return kernel(replaced(_products, f"_products_{cells}_{down}", _any_row=row))


# Compiled when it is needed.
_KERNELS = {(0, 1): kernel(_products)} | {
    (cells, down): _kernel(cells, down) for cells in CELLS for down in (1, 2)
}


def conv2d_grad_weight(dy: Array, x: Array, geometry: Window, dw: Array, db: Array) -> None:
    """dw `(kH, kW, 1, C)` and db `(C,)` from dy and x; both are contiguous."""
    (x, step), (dy, _), filters = pixels(x), pixels(dy), dw.shape[3]
    if filters > x.shape[3]:
        x, step = np.repeat(x, filters // x.shape[3], axis=3), filters
    area, whole = geometry.kernel[0] * geometry.kernel[1], filters // LANES * LANES
    width = -(-filters // LANES) * LANES
    taps = forward_taps(geometry, x.shape[1:3], width, step)
    tasks = threads_for(flops=2 * dy.size * area)
    sums = empty((tasks, area + 1, width))
    _KERNELS[taps.kind[0], taps.kind[2]](
        tasks,
        image(x),
        image(dy),
        len(dy),
        taps.record,
        taps.sweep,
        area * width,
        sums[0].size,
        address(sums),
    )
    total = sums.sum(axis=0)
    for target, found in (dw.reshape(area, filters), total[:area]), (db, total[area]):
        target[..., :whole] = found[..., :whole]
        target[..., filters - LANES :] = found[..., width - LANES :]
