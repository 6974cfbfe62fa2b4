"""The weight gradient: every weight is multiplied with one pixel per result of its map."""

import numpy as np

from ...geometry import Window
from ...types import Array
from ..engine.arrays import Image, address, image, pixels
from ..engine.launch import kernel, task_range, threads_for
from ..engine.memory import empty
from ..engine.rows import fill_zeros
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    load,
    load_index,
    prefetch,
    slide_products,
    store,
    tile_load,
)
from .taps import COLUMNS, TILE, TapRecord, forward_taps
from .tiles import AHEAD, PAD, Tile, always_inline, fetch_ahead


@always_inline
def _add_cells(
    factors: Tile, tile: Address, taps: TapRecord, step: int, sums: Address, row: Address
) -> None:
    """Add the products of one row of the kernel to its sums, cell by cell."""
    for j in range(load_index(tile, 2), load_index(tile, 3)):
        to = sums + FLOAT * load_index(taps.column_cells, 2 * j)
        at = row + FLOAT * load_index(taps.column_cells, 2 * j + 1)
        slide_products(factors, 1, 1, at, taps.source_step * step, to, 0)


@always_inline
def _add_row(
    factors: Tile, tile: Address, taps: TapRecord, step: int, sums: Address, row: Address
) -> None:
    """Add the products of one row of the kernel to its sums."""
    run, between, first = load_index(tile, 4), load_index(tile, 5), load_index(tile, 2)
    if run < 2 or taps.source_step > 2:
        _add_cells(factors, tile, taps, step, sums, row)
        return
    sums += FLOAT * load_index(taps.column_cells, 2 * first)
    row += FLOAT * load_index(taps.column_cells, 2 * first + 1)
    if taps.source_step == 1:
        if run == 3:
            slide_products(factors, 3, 1, row, step, sums, between)
        elif run == 5:
            slide_products(factors, 5, 1, row, step, sums, between)
        else:
            slide_products(factors, 2, 1, row, step, sums, between)
    elif run == 3:
        slide_products(factors, 3, 2, row, step, sums, between)
    elif run == 5:
        slide_products(factors, 5, 2, row, step, sums, between)
    else:
        slide_products(factors, 2, 2, row, step, sums, between)


@kernel
def _products(
    task: int,
    tasks: int,
    x: Image,
    dy: Image,
    images: int,
    taps: TapRecord,
    sums: Address,
    size: int,
    db: int,
) -> None:
    """sums[task] = dw `(kH, kW, C)` and, `db` floats behind, db `(C,)`, of the task's rows of dy.

    Each cell has `db / (kH kW)` floats there. The last vector of channels begins earlier in x and
    dy, so that it is a whole one; among the sums it has a place of its own.
    """
    first, last = task_range(images * dy.height, task, tasks)
    own = sums + FLOAT * task * size
    fill_zeros(own, size)
    for unit in range(first, last):
        n, p = unit // dy.height, unit % dy.height
        i_first, i_last = load_index(taps.rows, p), load_index(taps.rows, p + 1)
        image_data = x.data + FLOAT * n * x.height * x.width * x.step
        for t in range(taps.number):
            tile = taps.tiles + 8 * COLUMNS * t
            for block in range(0, x.channels, LANES):
                c = min(block, x.channels - LANES)
                place = (unit * dy.width + load_index(tile, 0)) * dy.step + c
                total = load(own, db + block)
                if load_index(tile, 1) == TILE:
                    d = tile_load(TILE, dy.data + FLOAT * place, dy.step)
                    for k in range(TILE):
                        prefetch(dy.data, place + k * dy.step + AHEAD)
                    fetch_ahead(image_data + FLOAT * c, taps, i_first, i_last, tile, x.step)
                    store(own, db + block, total + ((d[0] + d[1]) + (d[2] + d[3])))
                    for i in range(i_first, i_last):
                        to = own + FLOAT * (load_index(taps.row_cells, 2 * i) + block)
                        row = image_data + FLOAT * (load_index(taps.row_cells, 2 * i + 1) + c)
                        _add_row(d, tile, taps, x.step, to, row)
                else:
                    one = tile_load(1, dy.data + FLOAT * place, dy.step)
                    store(own, db + block, total + one[0])
                    for i in range(i_first, i_last):
                        to = own + FLOAT * (load_index(taps.row_cells, 2 * i) + block)
                        row = image_data + FLOAT * (load_index(taps.row_cells, 2 * i + 1) + c)
                        _add_cells(one, tile, taps, x.step, to, row)


def conv2d_grad_weight(dy: Array, x: Array, geometry: Window, dw: Array, db: Array) -> None:
    """dw `(kH, kW, 1, C)` and db `(C,)` from dy and x; both are contiguous."""
    (x, step), (dy, _), filters = pixels(x), pixels(dy), dw.shape[3]
    if filters > x.shape[3]:
        x, step = np.repeat(x, filters // x.shape[3], axis=3), filters
    width = -(-filters // LANES) * LANES + PAD
    area = dw.shape[0] * dw.shape[1]
    taps = forward_taps(geometry, x.shape[1:3], width, step)
    tasks, size = threads_for(flops=2 * dy.size * area), (area + 1) * width
    sums = empty((tasks, area + 1, width))
    _products(
        tasks,
        image(x),
        image(dy),
        len(dy),
        taps.record,
        address(sums),
        size,
        area * width,
    )
    total = sums.sum(axis=0)
    last = width - PAD - LANES  # the place of the last vector of channels
    total[:, filters - LANES : filters] = total[:, last : last + LANES].copy()
    dw[...] = total[:area, :filters].reshape(dw.shape)
    db[...] = total[area, :filters]
