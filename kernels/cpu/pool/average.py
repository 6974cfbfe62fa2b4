"""Average pooling, and its global form."""

import functools

import numpy as np

from ... import reference
from ...geometry import Pair, Window, pool_window
from ...types import Array, IntOrPair, Padding, Shape
from ..engine.arrays import (
    Image,
    address,
    contiguous,
    expect_images,
    expect_shape,
    image,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from ..engine.launch import covering_windows, inline, kernel, task_range
from ..engine.memory import empty
from ..engine.rows import fill_zeros
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    load,
    load_part,
    load_scalar,
    splat,
    store,
    store_part,
)
from ..engine.simd.functions import constant
from ..engine.threads import threads_for
from .windows import Windows, are_side_by_side, spread, windows_of


@inline
def sum_rows(x: Image, n: int, first: int, last: int, sums: Address) -> None:
    """sums = the sum of rows first <= h < last of image n, `(W * C,)`.

    Up to LANES - 1 floats behind are overwritten.
    """
    runs, floats = (1, x.width * x.channels) if x.step == x.channels else (x.width, x.channels)
    for w in range(runs):
        for c in range(0, floats, LANES):
            sum = constant(0.0)
            for h in range(first, last):
                pixel = (n * x.height + h) * x.width + w
                sum = sum + load_part(x.data, pixel * x.step + c, floats - c)
            store(sums, w * x.channels + c, sum)


@kernel
def _average(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    windows: Windows,
    inverse: Address,
    y: Address,
    y_step: int,
    scratch: Address,
    size: int,
) -> None:
    """y = inverse[p, q] * the sum of the window, `(N, H_out, W_out, C)`.

    The columns of a line of windows are summed first, because neighboring windows may share them.
    scratch: `size` floats per task.
    """
    first, last = task_range(images * windows.rows, task, tasks)
    sums = scratch + FLOAT * task * size
    for line in range(first, last):
        n, p = line // windows.rows, line % windows.rows
        h = p * windows.stride_y - windows.top
        sum_rows(x, n, max(0, h), min(x.height, h + windows.kh), sums)
        for q in range(windows.columns):
            w = q * windows.stride_x - windows.left
            j_first, j_last = max(0, w), min(x.width, w + windows.kw)
            factor = splat(load_scalar(inverse, p * windows.columns + q))
            # Whole vectors are stored where they fit; the next pixel overwrites the excess.
            room = (windows.columns - q) * x.channels if y_step == x.channels else x.channels
            for c in range(0, x.channels, LANES):
                sum = constant(0.0)
                for j in range(j_first, j_last):
                    sum = sum + load(sums, j * x.channels + c)
                place = (line * windows.columns + q) * y_step + c
                store_part(y, place, sum * factor, room - c)


@kernel
def _average_narrow(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    windows: Windows,
    inverse: Address,
    y: Address,
    y_step: int,
    scratch: Address,
    size: int,
) -> None:
    """As `_average`, for fewer channels than a vector has lanes, without gaps between pixels of y.

    The windows that start at any column are summed in whole vectors: w[s] = sum over j < kw of
    sums[s + j]. Of these, every stride-th is written. `sums` has zeros beside the image.
    """
    channels, step = x.channels, windows.stride_x * x.channels
    first, last = task_range(images * windows.rows, task, tasks)
    left, starts = windows.left * channels, (windows.columns - 1) * step + channels
    w, sums = scratch + FLOAT * task * size, scratch + FLOAT * (task * size + starts + LANES)
    fill_zeros(sums, size - starts - LANES)
    for line in range(first, last):
        n, p = line // windows.rows, line % windows.rows
        h = p * windows.stride_y - windows.top
        sum_rows(x, n, max(0, h), min(x.height, h + windows.kh), sums + FLOAT * left)
        for i in range(0, starts, LANES):
            sum = load(sums, i)
            for j in range(1, windows.kw):
                sum = sum + load(sums, i + j * channels)
            store(w, i, sum)
        for q in range(windows.columns):
            factor = splat(load_scalar(inverse, p * windows.columns + q))
            place, room = (line * windows.columns + q) * y_step, (windows.columns - q) * channels
            store_part(y, place, load(w, q * step) * factor, room)


@kernel
def _average_grad(
    task: int,
    tasks: int,
    dy: Address,
    step: int,
    images: int,
    windows: Windows,
    inverse: Address,
    dx: Image,
) -> None:
    """dx = the sum of inverse[p, q] * dy over the windows (p, q) that cover the pixel."""
    first, last = task_range(images * dx.height, task, tasks)
    for line in range(first, last):
        n, h = line // dx.height, line % dx.height
        p_first, p_last = covering_windows(
            h, windows.top, windows.stride_y, windows.kh, windows.rows
        )
        for w in range(dx.width):
            q_first, q_last = covering_windows(
                w, windows.left, windows.stride_x, windows.kw, windows.columns
            )
            for c in range(0, dx.channels, LANES):
                sum = constant(0.0)
                for p in range(p_first, p_last):
                    for q in range(q_first, q_last):
                        window = (n * windows.rows + p) * windows.columns + q
                        v = load_part(dy, window * step + c, dx.channels - c)
                        sum = sum + splat(load_scalar(inverse, p * windows.columns + q)) * v
                place = (line * dx.width + w) * dx.channels + c
                store_part(dx.data, place, sum, dx.channels - c)


@kernel
def _broadcast(
    task: int,
    tasks: int,
    dy: Address,
    pixels: int,
    channels: int,
    images: int,
    factor: float,
    dx: Address,
) -> None:
    """dx[n, pixel, :] = factor * dy[n, :]."""
    first, last = task_range(images * pixels, task, tasks)
    for m in range(first, last):
        for c in range(0, channels, LANES):
            v = load_part(dy, m // pixels * channels + c, channels - c) * splat(factor)
            store_part(dx, m * channels + c, v, channels - c)


@functools.lru_cache(maxsize=256)
def _inverse(geometry: Window, size: Pair, count_include_pad: bool) -> Array:
    """1 / the divisor of each window, `(H_out, W_out)`."""
    like = np.empty(0, np.float32)
    divisor = reference.pool.window_areas(like, (1, *size, 1), geometry, count_include_pad)
    return np.ascontiguousarray(1 / divisor[..., 0], np.float32)


def avg_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    out: Array | None = None,
) -> Array:
    """See `reference.avg_pool2d`."""
    expect_images("avg_pool2d: x", x)
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    inverse = _inverse(g, x.shape[1:3], count_include_pad)
    x, _ = pixels(x)
    y = output_array(out, (len(x), *g.output, x.shape[3]), channel_slice=True)
    tasks = threads_for(bytes=x.nbytes)
    channels, step, windows = x.shape[3], pixel_step(y), windows_of(g)
    starts = (windows.columns - 1) * windows.stride_x + 1
    width = max(starts + windows.kw - 1, windows.left + x.shape[2])
    size = (starts + width) * channels + 3 * LANES
    scratch = empty(tasks * size)
    run = _average_narrow if channels < LANES and step == channels else _average
    if y.size:
        result = address(y), step
        run(tasks, image(x), len(x), windows, address(inverse), *result, address(scratch), size)
    return write_to(out, y)


def avg_pool2d_grad(
    dy: Array,
    x_shape: Shape,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """See `reference.avg_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    expect_shape("avg_pool2d_grad: dy", dy, (x_shape[0], *g.output, x_shape[3]))
    inverse = _inverse(g, tuple(x_shape[1:3]), count_include_pad)
    dy, step = pixels(dy)
    dx = empty(tuple(x_shape))
    if not dx.size:
        return dx
    tasks, target, windows = threads_for(bytes=dx.nbytes), image(dx), windows_of(g)
    if are_side_by_side(g):
        part = 1 / (g.kernel[0] * g.kernel[1])
        spread(tasks, address(dy), step, 0, len(dx), windows, part, target)
    else:
        _average_grad(tasks, address(dy), step, len(dx), windows, address(inverse), target)
    return dx


def global_avg_pool2d(x: Array, out: Array | None = None) -> Array:
    """See `reference.global_avg_pool2d`."""
    y = avg_pool2d(x, x.shape[1:3])
    return write_to(out, y.reshape(len(x), x.shape[3]))


def global_avg_pool2d_grad(dy: Array, x_shape: Shape) -> Array:
    """See `reference.global_avg_pool2d_grad`."""
    expect_shape("global_avg_pool2d_grad: dy", dy, (x_shape[0], x_shape[3]))
    dy, dx = contiguous(dy), empty(tuple(x_shape))
    count, tasks = x_shape[1] * x_shape[2], threads_for(bytes=dx.nbytes)
    if dx.size:
        _broadcast(tasks, address(dy), count, x_shape[3], x_shape[0], 1 / count, address(dx))
    return dx
