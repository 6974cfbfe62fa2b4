"""The forward pass and the input gradient: every result is a sum over pixels of its own map."""

import math

import numpy as np

from ...geometry import Window
from ...types import Array
from ..activation import at_least
from ..engine.arrays import Image, address, image, pixel_step, pixels
from ..engine.launch import kernel, task_range, threads_for
from ..engine.memory import empty, non_temporal
from ..engine.records import Output
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    Vector,
    fence,
    load,
    load_index,
    slide_multiply,
    splat,
    store_nt_part,
    tile_zeros,
)
from .taps import COLUMNS, TILE, TapRecord, Taps, backward_taps, forward_taps
from .tiles import PAD, Tile, always_inline, fetch_ahead


def supports(channels: int, filters: int, groups: int) -> bool:
    """True for one group per channel, and at least a vector of filters."""
    return groups == channels > 1 and filters >= LANES


@always_inline
def _finish(v: Vector, y: Output, place: int, scale: Vector, bias: Vector, least: float) -> None:
    v = at_least(v * scale + bias, splat(least))
    store_nt_part(y.data, place, v, LANES, y.non_temporal)


@always_inline
def _add_cells(
    sums: Tile, tile: Address, taps: TapRecord, step: int, weights: Address, row: Address
) -> Tile:
    """The sums of a tile with the products of one row of the kernel, cell by cell."""
    for j in range(load_index(tile, 2), load_index(tile, 3)):
        w = weights + FLOAT * load_index(taps.column_cells, 2 * j)
        at = row + FLOAT * load_index(taps.column_cells, 2 * j + 1)
        sums = slide_multiply(sums, 1, 1, at, taps.source_step * step, w, 0)
    return sums


@always_inline
def _add_row(
    sums: Tile, tile: Address, taps: TapRecord, step: int, weights: Address, row: Address
) -> Tile:
    """The sums of a tile with the products of one row of the kernel."""
    run, between, first = load_index(tile, 4), load_index(tile, 5), load_index(tile, 2)
    if run != 0 and taps.source_step <= 2:
        weights += FLOAT * load_index(taps.column_cells, 2 * first)
        row += FLOAT * load_index(taps.column_cells, 2 * first + 1)
        if taps.source_step == 1:
            if run == 3:
                return slide_multiply(sums, 3, 1, row, step, weights, between)
            if run == 5:
                return slide_multiply(sums, 5, 1, row, step, weights, between)
            return slide_multiply(sums, 2, 1, row, step, weights, between)
        if run == 3:
            return slide_multiply(sums, 3, 2, row, step, weights, between)
        if run == 5:
            return slide_multiply(sums, 5, 2, row, step, weights, between)
        return slide_multiply(sums, 2, 2, row, step, weights, between)
    return _add_cells(sums, tile, taps, step, weights, row)


@kernel
def _sums(
    task: int,
    tasks: int,
    source: Image,
    images: int,
    w: Address,
    taps: TapRecord,
    y: Output,
    height: int,
    width: int,
    scale: Address,
    bias: Address,
    least: float,
) -> None:
    """y[n, p, q, :] = max(scale * sum of the taps + bias, least), `(N, height, width, C)`.

    The last vector of channels begins earlier, so that it is a whole one.
    """
    first, last = task_range(images * height, task, tasks)
    step, to_next = source.step, taps.result_step * y.step
    for unit in range(first, last):
        n, p = unit // height, unit % height
        i_first, i_last = load_index(taps.rows, p), load_index(taps.rows, p + 1)
        image_data = source.data + FLOAT * n * source.height * source.width * step
        for t in range(taps.number):
            tile = taps.tiles + 8 * COLUMNS * t
            for block in range(0, source.channels, LANES):
                c = min(block, source.channels - LANES)
                place = (unit * width + load_index(tile, 0)) * y.step + c
                factor, added = load(scale, c), load(bias, c)
                if load_index(tile, 1) == TILE:
                    fetch_ahead(image_data + FLOAT * c, taps, i_first, i_last, tile, step)
                    sums = tile_zeros(TILE, 1)
                    for i in range(i_first, i_last):
                        weights = w + FLOAT * (load_index(taps.row_cells, 2 * i) + c)
                        row = image_data + FLOAT * (load_index(taps.row_cells, 2 * i + 1) + c)
                        sums = _add_row(sums, tile, taps, step, weights, row)
                    _finish(sums[0], y, place, factor, added, least)
                    _finish(sums[1], y, place + to_next, factor, added, least)
                    _finish(sums[2], y, place + 2 * to_next, factor, added, least)
                    _finish(sums[3], y, place + 3 * to_next, factor, added, least)
                else:
                    sum = tile_zeros(1, 1)
                    for i in range(i_first, i_last):
                        weights = w + FLOAT * (load_index(taps.row_cells, 2 * i) + c)
                        row = image_data + FLOAT * (load_index(taps.row_cells, 2 * i + 1) + c)
                        sum = _add_cells(sum, tile, taps, step, weights, row)
                    _finish(sum[0], y, place, factor, added, least)
    fence()


def _run(
    x: Array, w: Array, taps: Taps, y: Array, scale: Array | None, bias: Array | None, relu: bool
) -> None:
    """The sums with weights w `(kH, kW, 1, C)`, an epilogue, and a task for some rows of y."""
    channels, step = y.shape[3], pixel_step(y)
    weights = empty((*w.shape[:2], channels + PAD))
    weights[..., :channels] = w[:, :, 0]
    # The last vector is aligned only if all are whole.
    streams = channels % LANES == 0 and non_temporal(y, step)
    scale = np.ones(channels, np.float32) if scale is None else scale
    bias = np.zeros(channels, np.float32) if bias is None else bias
    _sums(
        threads_for(flops=2 * y.size * w.shape[0] * w.shape[1]),
        image(x),
        len(x),
        address(weights),
        taps.record,
        Output(address(y), step, streams),
        *y.shape[1:3],
        address(scale),
        address(bias),
        0.0 if relu else -math.inf,
    )


def conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    relu: bool,
    y: Array,
) -> None:
    """y = relu(scale * (x conv w) + b); y is contiguous or a slice of channels.

    With several filters per map, x is repeated: y has that size anyway.
    """
    (x, step), filters = pixels(x), w.shape[3]
    if filters > x.shape[3]:
        x, step = np.repeat(x, filters // x.shape[3], axis=3), filters
    taps = forward_taps(geometry, x.shape[1:3], filters + PAD, step)
    _run(x, w, taps, y, scale, b, relu)


def conv2d_grad_input(dy: Array, w: Array, geometry: Window, dx: Array) -> None:
    """dx from dy; it is contiguous. Several filters of a map add up."""
    (dy, step), filters = pixels(dy), w.shape[3]
    taps = backward_taps(geometry, dx.shape[1:3], filters + PAD, step)
    if filters == dx.shape[3]:
        return _run(dy, w, taps, dx, None, None, False)
    several = empty((*dx.shape[:3], filters))
    _run(dy, w, taps, several, None, None, False)
    np.sum(several.reshape(*dx.shape, -1), axis=4, out=dx)
    return None
