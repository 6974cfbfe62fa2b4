"""The forward pass and the input gradient: every result is a sum over pixels of its own map."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...geometry import Window
from ...types import Array
from ..engine.arrays import Image, address, image, pixel_step, pixels
from ..engine.launch import kernel, task_range, threads_for
from ..engine.memory import empty, non_temporal
from ..engine.records import Epilogue, Output, epilogue_of
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    Vector,
    fence,
    load,
    load_index,
    multiply_vectors,
    slide_multiply,
    store_nt_part,
    tile_zeros,
)
from ..engine.simd.functions import clamp
from .taps import COLUMNS, TILE, TapRecord, Taps, backward_taps, forward_taps
from .tiles import PAD, Tile, always_inline, fetch_ahead

WIDE = 4  # vectors of channels of one pixel that are computed at once
CHANNELS = 128  # that go along a row together


def supports(channels: int, filters: int, groups: int) -> bool:
    """True for one group per channel, and at least a vector of filters."""
    return groups == channels > 1 and filters >= LANES


class Line(NamedTuple):
    """A row of results, and the part of it that is computed at once.

    data: its image, with `step` floats between pixels of `channels` channels. begin, end: the
    channels of this part. first, last: the entries of `Taps.row_cells` that it reads. result: the
    place of its first pixel in y.
    """

    data: Address
    step: int
    channels: int
    begin: int
    end: int
    first: int
    last: int
    result: int


@always_inline
def _finish(v: Vector, y: Output, place: int, epilogue: Epilogue, c: int) -> None:
    """Write the vector from channel c on to the place of its pixel in y."""
    v = v * load(epilogue.scale, c) + load(epilogue.bias, c)
    v = clamp(v, 0.0 if epilogue.bounds else -np.inf, 6.0 if epilogue.bounds == 2 else np.inf)
    store_nt_part(y.data, place + c, v, LANES, y.non_temporal)


def _tile_sums(cells: int, step: int) -> Callable[..., None]:
    """The function for tiles whose results each read `cells` pixels side by side, `step` apart."""

    def tile_sums(
        line: Line,
        tile: Address,
        taps: TapRecord,
        w: Address,
        y: Output,
        epilogue: Epilogue,
    ) -> None:
        first, between, next = load_index(tile, 2), load_index(tile, 5), taps.result_step * y.step
        w += FLOAT * load_index(taps.column_cells, 2 * first)
        pixels = line.data + FLOAT * load_index(taps.column_cells, 2 * first + 1)
        result = line.result + load_index(tile, 0) * y.step
        for block in range(line.begin, line.end, LANES):
            c = min(block, line.channels - LANES)
            fetch_ahead(line.data + FLOAT * c, taps, line.first, line.last, tile, line.step)
            sums = tile_zeros(TILE, 1)
            for i in range(line.first, line.last):
                weights = w + FLOAT * (load_index(taps.row_cells, 2 * i) + c)
                row = pixels + FLOAT * (load_index(taps.row_cells, 2 * i + 1) + c)
                sums = slide_multiply(sums, cells, step, row, line.step, weights, between)
            _finish(sums[0], y, result, epilogue, c)
            _finish(sums[1], y, result + next, epilogue, c)
            _finish(sums[2], y, result + 2 * next, epilogue, c)
            _finish(sums[3], y, result + 3 * next, epilogue, c)

    return always_inline(tile_sums, name=f"tile_sums_{cells}_{step}")


_of_1, _of_2, _of_3, _of_5 = (_tile_sums(cells, 1) for cells in (1, 2, 3, 5))
_of_3_strided, _of_5_strided = (_tile_sums(cells, 2) for cells in (3, 5))


@always_inline
def _add_cells(
    sums: Tile, line: Line, tile: Address, taps: TapRecord, w: Address, t: int, c: int
) -> Tile:
    """The sums of result t of the tile: a vector of channels each, from channel c on."""
    pixels = line.data + FLOAT * (t * taps.source_step * line.step + c)
    for i in range(line.first, line.last):
        weights = w + FLOAT * (load_index(taps.row_cells, 2 * i) + c)
        row = pixels + FLOAT * load_index(taps.row_cells, 2 * i + 1)
        for j in range(load_index(tile, 2), load_index(tile, 3)):
            cell = weights + FLOAT * load_index(taps.column_cells, 2 * j)
            at = row + FLOAT * load_index(taps.column_cells, 2 * j + 1)
            sums = multiply_vectors(sums, at, cell)
    return sums


@always_inline
def _pixel_sums(
    line: Line,
    tile: Address,
    taps: TapRecord,
    w: Address,
    y: Output,
    epilogue: Epilogue,
) -> None:
    """The results of a tile one by one, for any cells, with WIDE vectors of channels at once.

    They are for the ends of a row and for kernels that no tile is compiled for.
    """
    for t in range(load_index(tile, 1)):
        result = line.result + (load_index(tile, 0) + t * taps.result_step) * y.step
        wide = line.begin + (line.end - line.begin) // (WIDE * LANES) * WIDE * LANES
        for c in range(line.begin, wide, WIDE * LANES):
            sums = _add_cells(tile_zeros(WIDE, 1), line, tile, taps, w, t, c)
            for k in range(WIDE):
                _finish(sums[k], y, result, epilogue, c + k * LANES)
        for block in range(wide, line.end, LANES):
            c = min(block, line.channels - LANES)
            sum = _add_cells(tile_zeros(1, 1), line, tile, taps, w, t, c)
            _finish(sum[0], y, result, epilogue, c)


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
    epilogue: Epilogue,
) -> None:
    """y[n, p, q, :] = f(scale * sum of the taps + bias), `(N, height, width, C)`.

    The last vector of channels begins earlier, so that it is a whole one. A part of CHANNELS
    channels goes along the whole row, so that its weights stay in the nearest cache.
    """
    first, last = task_range(images * height, task, tasks)
    step, channels = source.step, source.channels
    for unit in range(first, last):
        n, p = unit // height, unit % height
        i_first, i_last = load_index(taps.rows, p), load_index(taps.rows, p + 1)
        data = source.data + FLOAT * n * source.height * source.width * step
        result = unit * width * y.step
        for begin in range(0, channels, CHANNELS):
            end = min(channels, begin + CHANNELS)
            line = Line(data, step, channels, begin, end, i_first, i_last, result)
            for t in range(taps.number):
                tile = taps.tiles + 8 * COLUMNS * t
                run = load_index(tile, 4)
                if run == 0 or taps.source_step > 2:
                    _pixel_sums(line, tile, taps, w, y, epilogue)
                elif taps.source_step == 2:
                    if run == 3:
                        _of_3_strided(line, tile, taps, w, y, epilogue)
                    elif run == 5:
                        _of_5_strided(line, tile, taps, w, y, epilogue)
                    else:
                        _pixel_sums(line, tile, taps, w, y, epilogue)
                elif run == 3:
                    _of_3(line, tile, taps, w, y, epilogue)
                elif run == 5:
                    _of_5(line, tile, taps, w, y, epilogue)
                elif run == 2:
                    _of_2(line, tile, taps, w, y, epilogue)
                else:
                    _of_1(line, tile, taps, w, y, epilogue)
    fence()


def _run(
    x: Array, w: Array, taps: Taps, y: Array, scale: Array | None, bias: Array | None, bounds: int
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
        epilogue_of(scale, bias, bounds),
    )


def conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    bounds: int,
    y: Array,
) -> None:
    """y = f(scale * (x conv w) + b); y is contiguous or a slice of channels.

    With several filters per map, x is repeated: y has that size anyway.
    """
    (x, step), filters = pixels(x), w.shape[3]
    if filters > x.shape[3]:
        x, step = np.repeat(x, filters // x.shape[3], axis=3), filters
    taps = forward_taps(geometry, x.shape[1:3], filters + PAD, step)
    _run(x, w, taps, y, scale, b, bounds)


def conv2d_grad_input(dy: Array, w: Array, geometry: Window, dx: Array) -> None:
    """dx from dy; it is contiguous. Several filters of a map add up."""
    (dy, step), filters = pixels(dy), w.shape[3]
    taps = backward_taps(geometry, dx.shape[1:3], filters + PAD, step)
    if filters == dx.shape[3]:
        return _run(dy, w, taps, dx, None, None, 0)
    several = empty((*dx.shape[:3], filters))
    _run(dy, w, taps, several, None, None, 0)
    np.sum(several.reshape(*dx.shape, -1), axis=4, out=dx)
    return None
