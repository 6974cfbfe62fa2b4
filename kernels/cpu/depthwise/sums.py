"""The forward pass and the input gradient: every result is a sum over pixels of its own map."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...geometry import Window
from ...types import Array
from ..engine.arrays import Image, address, contiguous, image, pixel_step, pixels
from ..engine.launch import kernel, replaced, task_range
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
    row_addresses,
    select_greater,
    slide_multiply,
    store_nt_part,
    tile_rows,
    tile_shift,
    tile_zeros,
)
from ..engine.simd.functions import constant
from ..engine.threads import threads_for
from .rows import Line, Tile, always_inline, fetch_below, fits_twice
from .taps import CELLS, Sweep, TapRecord, Taps, backward_taps, forward_taps

WIDE = 4  # vectors of channels of one pixel that are computed at once


def supports(channels: int, filters: int, groups: int) -> bool:
    """True for one group per channel, and at least a vector of filters."""
    return groups == channels > 1 and filters >= LANES


class Finish(NamedTuple):
    """What happens to every sum of a channel: max(low, min(high, scale * sum + bias)), vectors."""

    scale: Vector
    bias: Vector
    low: Vector
    high: Vector


@always_inline
def _finish_of(epilogue: Epilogue, c: int) -> Finish:
    """That of the channels from c on."""
    low = constant(0.0 if epilogue.bounds else -np.inf)
    high = constant(6.0 if epilogue.bounds == 2 else np.inf)
    return Finish(load(epilogue.scale, c), load(epilogue.bias, c), low, high)


@always_inline
def _finish(sum: Vector, f: Finish, y: Output, place: int) -> None:
    """Write the result of a sum to its place in y."""
    v = sum * f.scale + f.bias
    v = select_greater(f.low, v, f.low, v)
    store_nt_part(y.data, place, select_greater(v, f.high, f.high, v), LANES, y.non_temporal)


@always_inline
def _add_cells(sums: Tile, line: Line, rows: int, taps: TapRecord, q: int, c: int) -> Tile:
    """The sums of result q: a vector of channels each, from channel c on."""
    first, last = load_index(taps.columns, q), load_index(taps.columns, q + 1)
    for i in range(line.row, line.row + rows):
        weights = line.w + FLOAT * (load_index(taps.row_weights, i) + c)
        row = line.data + FLOAT * (load_index(taps.row_pixels, i) + c)
        for j in range(first, last):
            cell = weights + FLOAT * load_index(taps.column_weights, j)
            at = row + FLOAT * load_index(taps.column_pixels, j)
            sums = multiply_vectors(sums, at, cell)
    return sums


@always_inline
def _any_row(
    line: Line, rows: int, taps: TapRecord, sweep: Sweep, y: Output, epilogue: Epilogue
) -> None:
    """Write a row of results, for any number of cells: one by one, WIDE vectors at once."""
    whole = line.channels // (WIDE * LANES) * WIDE * LANES
    for q in range(line.length):
        place = line.place + q * y.step
        for c in range(0, whole, WIDE * LANES):
            sums = _add_cells(tile_zeros(WIDE, 1), line, rows, taps, q, c)
            for k in range(WIDE):
                at = c + k * LANES
                _finish(sums[k], _finish_of(epilogue, at), y, place + at)
        for block in range(whole, line.channels, LANES):
            c = min(block, line.channels - LANES)
            sum = _add_cells(tile_zeros(1, 1), line, rows, taps, q, c)
            _finish(sum[0], _finish_of(epilogue, c), y, place + c)


def _row_of(
    rows: int, cells: int, up: int, down: int, vectors: int, otherwise: Callable
) -> Callable[..., None]:
    """A row of results from `rows` rows of the source, for one or two vectors of channels at once.

    The weights are in registers, and so are the sums of the results in flight. `otherwise` is for
    other numbers of rows, and for fewer channels.
    """
    flight = cells if up > 1 else (cells - 1) // down + 1
    together, behind = vectors * LANES, (vectors - 1) * LANES
    second = flight * (vectors - 1)  # the first sum of the second vector
    after_second = second + 1

    def row_sums(
        line: Line, count: int, taps: TapRecord, sweep: Sweep, y: Output, epilogue: Epilogue
    ) -> None:
        if count != rows or line.channels < together:
            otherwise(line, count, taps, sweep, y, epilogue)
            return
        for block in range(0, line.channels, together):
            c = min(block, line.channels - together)
            f, g = _finish_of(epilogue, c), _finish_of(epilogue, c + behind)
            pixels = row_addresses(line.data + FLOAT * c, taps.row_pixels + 8 * line.row, rows)
            weights = line.w + FLOAT * (c + sweep.weights)
            by_row = row_addresses(weights, taps.row_weights + 8 * line.row, rows)
            w = tile_rows(by_row, cells, sweep.between, vectors)
            sums = tile_zeros(flight, vectors)
            for step in range(sweep.first, sweep.last):
                b, q = step * down - sweep.column, step * up - sweep.result
                for v in range(vectors):
                    below = pixels[rows - 1] + FLOAT * LANES * v
                    fetch_below(below, line.width * line.step, line.step, b, down)
                if 0 <= b < line.width:
                    sums = slide_multiply(sums, w, pixels, b * line.step, cells, down, 0)
                if down == 2 and 0 <= b + 1 < line.width:
                    sums = slide_multiply(sums, w, pixels, (b + 1) * line.step, cells, down, 1)
                place = line.place + q * y.step + c
                if 0 <= q < line.length:
                    _finish(sums[0], f, y, place)
                    if vectors == 2:
                        _finish(sums[second], g, y, place + LANES)
                if up == 2 and 0 <= q + 1 < line.length:
                    _finish(sums[1], f, y, place + y.step)
                    if vectors == 2:
                        _finish(sums[after_second], g, y, place + y.step + LANES)
                sums = tile_shift(sums, up, tile_zeros(1, vectors))

    return always_inline(row_sums, name=f"row_sums_{rows}_{cells}_{up}_{down}_{vectors}")


def _sums(
    task: int,
    tasks: int,
    source: Image,
    images: int,
    w: Address,
    taps: TapRecord,
    sweep: Sweep,
    y: Output,
    height: int,
    width: int,
    epilogue: Epilogue,
) -> None:
    """y[n, p, q, :] = f(scale * sum of the taps + bias), `(N, height, width, C)`.

    The last vector of channels begins earlier, so that it is a whole one.
    """
    first, last = task_range(images * height, task, tasks)
    for unit in range(first, last):
        n, p = unit // height, unit % height
        row, rows = load_index(taps.rows, p), load_index(taps.rows, p + 1)
        data = source.data + FLOAT * n * source.height * source.width * source.step
        place = unit * width * y.step
        line = Line(data, source.width, source.step, source.channels, row, w, width, place)
        _any_row(line, rows - row, taps, sweep, y, epilogue)
    fence()


def _kernel(cells: int, up: int, down: int) -> kernel:
    """The kernel for rows that go by as a sweep of that kind."""
    row = _any_row
    for rows in range(1, cells + 1):
        row = _row_of(rows, cells, up, down, 1, row)
    # Weights of 5x5 cells that are read from the stack cost less than what every step costs once.
    twice = fits_twice(cells) or (cells == 5 and down == 2)
    for rows in range(cells - 1, cells + 1 if twice else 0):
        row = _row_of(rows, cells, up, down, 2, row)
    return kernel(replaced(_sums, f"_sums_{cells}_{up}_{down}", _any_row=row))


# Compiled when it is needed.
_KERNELS = {(0, 1, 1): kernel(_sums)} | {
    (cells, up, down): _kernel(cells, up, down)
    for cells in CELLS
    for up, down in ((1, 1), (1, 2), (2, 1))
}


def _run(
    x: Array, w: Array, taps: Taps, y: Array, scale: Array | None, bias: Array | None, bounds: int
) -> None:
    """The sums with weights w `(kH, kW, 1, C)`, an epilogue, and a task for some rows of y."""
    channels, step = y.shape[3], pixel_step(y)
    # The last vector is aligned only if all are whole.
    streams = channels % LANES == 0 and non_temporal(y, step)
    scale = np.ones(channels, np.float32) if scale is None else scale
    bias = np.zeros(channels, np.float32) if bias is None else bias
    _KERNELS[taps.kind](
        threads_for(flops=2 * y.size * w.shape[0] * w.shape[1]),
        image(x),
        len(x),
        address(contiguous(w)),
        taps.record,
        taps.sweep,
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
    taps = forward_taps(geometry, x.shape[1:3], filters, step)
    _run(x, w, taps, y, scale, b, bounds)


def conv2d_grad_input(dy: Array, w: Array, geometry: Window, dx: Array) -> None:
    """dx from dy; it is contiguous. Several filters of a map add up."""
    (dy, step), filters = pixels(dy), w.shape[3]
    taps = backward_taps(geometry, dx.shape[1:3], filters, step)
    if filters == dx.shape[3]:
        return _run(dy, w, taps, dx, None, None, 0)
    several = empty((*dx.shape[:3], filters))
    _run(dy, w, taps, several, None, None, 0)
    np.sum(several.reshape(*dx.shape, -1), axis=4, out=dx)
    return None
