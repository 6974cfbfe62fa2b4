"""Pooling. Each result gathers what it needs, one vector of channels at a time.

Tasks share results, so no two threads write to the same place.
"""

import functools
from typing import NamedTuple

import numpy as np

from .. import reference
from ..geometry import Pair, Window, pool_window
from .engine.arrays import (
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
from .engine.gemm import FLOAT
from .engine.launch import covering_windows, kernel, task_range, threads_for
from .engine.memory import empty, non_temporal
from .engine.simd import (
    LANES,
    fence,
    load,
    load_bytes_part,
    load_part,
    load_scalar,
    select_equal,
    select_greater_or_nan,
    splat,
    store,
    store_bytes_part,
    store_nt_part,
    store_part,
)
from .engine.simd.functions import constant


class Windows(NamedTuple):
    """rows x columns windows of kh x kw pixels; the first starts at (-top, -left)."""

    rows: int
    columns: int
    kh: int
    kw: int
    stride_y: int
    stride_x: int
    top: int
    left: int


@kernel
def _max(task, tasks, x: Image, images, windows: Windows, y, y_step, argmax):
    """y and argmax of the windows' maxima."""
    data, width, step, channels, kw = x.data, x.width, x.step, x.channels, windows.kw
    first, last = task_range(images * windows.rows, task, tasks)
    for line in range(first, last):
        n, p = line // windows.rows, line % windows.rows
        h = p * windows.stride_y - windows.top
        i_first, i_last = max(0, -h), min(windows.kh, x.height - h)
        for q in range(windows.columns):
            w = q * windows.stride_x - windows.left
            j_first, j_last = max(0, -w), min(kw, width - w)
            corner = ((n * x.height + h) * width + w) * step
            result = line * windows.columns + q
            for c in range(0, channels, LANES):
                best, winner = constant(-np.inf), constant(float(i_first * kw + j_first))
                for i in range(i_first, i_last):
                    cell = constant(float(i * kw + j_first))
                    for j in range(j_first, j_last):
                        v = load_part(data, corner + (i * width + j) * step + c, channels - c)
                        winner = select_greater_or_nan(v, best, cell, winner)
                        best = select_greater_or_nan(v, best, v, best)
                        cell = cell + constant(1.0)
                store_part(y, result * y_step + c, best, channels - c)
                store_bytes_part(argmax, result * channels + c, winner, channels - c)


@kernel
def _max_grad(task, tasks, dy, step, argmax, images, windows: Windows, dx: Image, nt):
    """dx: each pixel takes the gradient of the windows whose maximum it was."""
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
                rest, sum = dx.channels - c, constant(0.0)
                for p in range(p_first, p_last):
                    row = (h + windows.top - p * windows.stride_y) * windows.kw
                    for q in range(q_first, q_last):
                        cell = row + w + windows.left - q * windows.stride_x
                        window = (n * windows.rows + p) * windows.columns + q
                        winner = load_bytes_part(argmax, window * dx.channels + c, rest)
                        v = load_part(dy, window * step + c, rest)
                        sum = sum + select_equal(winner, constant(float(cell)), v, constant(0.0))
                store_nt_part(dx.data, (line * dx.width + w) * dx.channels + c, sum, rest, nt)
    fence()


@kernel
def _average(task, tasks, x: Image, images, windows: Windows, inverse, y, y_step, scratch):
    """y = inverse[p, q] * the sum of the window.

    Columns are summed first, because neighboring windows may share them, then those of each window.
    """
    first, last = task_range(images * windows.rows, task, tasks)
    sums = scratch + FLOAT * task * (x.width * x.channels + LANES)
    runs, floats = (1, x.width * x.channels) if x.step == x.channels else (x.width, x.channels)
    for line in range(first, last):
        n, p = line // windows.rows, line % windows.rows
        h = p * windows.stride_y - windows.top
        i_first, i_last = max(0, h), min(x.height, h + windows.kh)
        # Whole vectors are stored where they fit: the next pixel overwrites what lies behind.
        for w in range(runs):
            for c in range(0, floats, LANES):
                sum = constant(0.0)
                for i in range(i_first, i_last):
                    pixel = (n * x.height + i) * x.width + w
                    sum = sum + load_part(x.data, pixel * x.step + c, floats - c)
                store(sums, w * x.channels + c, sum)
        for q in range(windows.columns):
            w = q * windows.stride_x - windows.left
            j_first, j_last = max(0, w), min(x.width, w + windows.kw)
            factor = splat(load_scalar(inverse, p * windows.columns + q))
            for c in range(0, x.channels, LANES):
                room = (windows.columns - q) * x.channels if y_step == x.channels else x.channels
                sum = constant(0.0)
                for j in range(j_first, j_last):
                    sum = sum + load(sums, j * x.channels + c)
                place = (line * windows.columns + q) * y_step + c
                store_part(y, place, sum * factor, room - c)


@kernel
def _average_grad(task, tasks, dy, step, images, windows: Windows, inverse, dx: Image):
    """dx: each pixel takes its part of the gradient of the windows that cover it."""
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
def _spread(
    task, tasks, dy, step, argmax, images, windows: Windows, inverse: float, dx: Image
):  # fmt: skip
    """dx of windows side by side: each pixel belongs to one window.

    It takes a part of the window's gradient or, with `argmax`, all of it if it was the maximum.
    """
    first, last = task_range(images * windows.rows, task, tasks)
    channels, length = dx.channels, dx.width * dx.channels
    for line in range(first, last):
        n, p = line // windows.rows, line % windows.rows
        # The pixels left over at the right and, with the last windows, at the bottom get 0.
        for i in range(windows.kh if p < windows.rows - 1 else dx.height - p * windows.kh):
            to = dx.data + FLOAT * (n * dx.height + p * windows.kh + i) * length
            if argmax == 0 and 0 < i < windows.kh:
                for place in range(0, length, LANES):  # the same row again
                    v = load_part(to, place - length, length - place)
                    store_part(to, place, v, length - place)
                continue
            inside = windows.columns if i < windows.kh else 0
            # Whole vectors are written where they fit: the next pixel overwrites what lies behind.
            for q in range(inside):
                window = line * windows.columns + q
                for j in range(windows.kw):
                    for c in range(0, channels, LANES):
                        v = load_part(dy, window * step + c, channels - c) * splat(inverse)
                        if argmax != 0:
                            winner = load_bytes_part(argmax, window * channels + c, channels - c)
                            cell = constant(float(i * windows.kw + j))
                            v = select_equal(winner, cell, v, constant(0.0))
                        place = (q * windows.kw + j) * channels + c
                        store_part(to, place, v, length - place)
            for place in range(inside * windows.kw * channels, length, LANES):
                store_part(to, place, constant(0.0), length - place)


@kernel
def _broadcast(task, tasks, dy, pixels, channels, images, factor: float, dx):
    """dx[n, pixel, :] = factor * dy[n, :]."""
    first, last = task_range(images * pixels, task, tasks)
    for m in range(first, last):
        for c in range(0, channels, LANES):
            v = load_part(dy, m // pixels * channels + c, channels - c) * splat(factor)
            store_part(dx, m * channels + c, v, channels - c)


def _windows(g: Window) -> Windows:
    return Windows(*g.output, *g.kernel, *g.stride, g.padding[0][0], g.padding[1][0])


def _side_by_side(g: Window) -> bool:
    """True if windows neither overlap nor leave gaps, and none extends over an edge."""
    return g.stride == g.kernel and g.reach == g.padding == ((0, 0), (0, 0))


def max_pool2d(
    x: np.ndarray, kernel_size: int | Pair, stride: int | Pair | None = None, padding=0,
    ceil_mode: bool = False, out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """See `reference.max_pool2d`."""
    expect_images("max_pool2d: x", x)
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    if g.kernel[0] * g.kernel[1] > 256:
        return reference.max_pool2d(x, kernel_size, stride, padding, ceil_mode, out)
    x, _ = pixels(x)
    shape = (len(x), *g.output, x.shape[3])
    y, argmax = output_array(out, shape, channel_slice=True), empty(shape, np.uint8)
    if y.size:
        _max(
            threads_for(bytes=x.nbytes), image(x), len(x), _windows(g), address(y), pixel_step(y),
            address(argmax),
        )  # fmt: skip
    return write_to(out, y), argmax


def max_pool2d_grad(
    dy: np.ndarray, argmax: np.ndarray, x_shape: tuple[int, ...], kernel_size: int | Pair,
    stride: int | Pair | None = None, padding=0, ceil_mode: bool = False,
) -> np.ndarray:  # fmt: skip
    """See `reference.max_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    if argmax.dtype != np.uint8:
        return reference.max_pool2d_grad(
            dy, argmax, x_shape, kernel_size, stride, padding, ceil_mode
        )
    expected = (x_shape[0], *g.output, x_shape[3])
    expect_shape("max_pool2d_grad: dy", dy, expected)
    expect_shape("max_pool2d_grad: argmax", argmax, expected)
    (dy, step), argmax = pixels(dy), np.ascontiguousarray(argmax)
    dx = empty(tuple(x_shape))
    if not dx.size:
        return dx
    tasks, target = threads_for(bytes=dx.nbytes), image(dx)
    results, windows = (address(dy), step, address(argmax)), _windows(g)
    if _side_by_side(g):
        _spread(tasks, *results, len(dx), windows, 1.0, target)
    else:
        _max_grad(tasks, *results, len(dx), windows, target, non_temporal(dx, x_shape[3]))
    return dx


@functools.lru_cache(maxsize=256)
def _inverse(geometry: Window, size: Pair, count_include_pad: bool) -> np.ndarray:
    """1 / the divisor of each window, `(H_out, W_out)`."""
    like = np.empty(0, np.float32)
    divisor = reference.pool.window_areas(like, (1, *size, 1), geometry, count_include_pad)
    return np.ascontiguousarray(1 / divisor[..., 0], np.float32)


def avg_pool2d(
    x: np.ndarray, kernel_size: int | Pair, stride: int | Pair | None = None, padding=0,
    ceil_mode: bool = False, count_include_pad: bool = True, out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """See `reference.avg_pool2d`."""
    expect_images("avg_pool2d: x", x)
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    inverse = _inverse(g, x.shape[1:3], count_include_pad)
    x, _ = pixels(x)
    y = output_array(out, (len(x), *g.output, x.shape[3]), channel_slice=True)
    tasks = threads_for(bytes=x.nbytes)
    scratch = empty(tasks * (x.shape[2] * x.shape[3] + LANES))
    if y.size:
        _average(
            tasks, image(x), len(x), _windows(g), address(inverse), address(y), pixel_step(y),
            address(scratch),
        )  # fmt: skip
    return write_to(out, y)


def avg_pool2d_grad(
    dy: np.ndarray, x_shape: tuple[int, ...], kernel_size: int | Pair,
    stride: int | Pair | None = None, padding=0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:  # fmt: skip
    """See `reference.avg_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    expect_shape("avg_pool2d_grad: dy", dy, (x_shape[0], *g.output, x_shape[3]))
    inverse = _inverse(g, tuple(x_shape[1:3]), count_include_pad)
    dy, step = pixels(dy)
    dx = empty(tuple(x_shape))
    if not dx.size:
        return dx
    tasks, target, windows = threads_for(bytes=dx.nbytes), image(dx), _windows(g)
    if _side_by_side(g):
        part = 1 / (g.kernel[0] * g.kernel[1])
        _spread(tasks, address(dy), step, 0, len(dx), windows, part, target)
    else:
        _average_grad(tasks, address(dy), step, len(dx), windows, address(inverse), target)
    return dx


def global_avg_pool2d(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """See `reference.global_avg_pool2d`."""
    y = avg_pool2d(x, x.shape[1:3])
    return write_to(out, y.reshape(len(x), x.shape[3]))


def global_avg_pool2d_grad(dy: np.ndarray, x_shape: tuple[int, ...]) -> np.ndarray:
    """See `reference.global_avg_pool2d_grad`."""
    expect_shape("global_avg_pool2d_grad: dy", dy, (x_shape[0], x_shape[3]))
    dy, dx = contiguous(dy), empty(tuple(x_shape))
    count, tasks = x_shape[1] * x_shape[2], threads_for(bytes=dx.nbytes)
    if dx.size:
        _broadcast(tasks, address(dy), count, x_shape[3], x_shape[0], 1 / count, address(dx))
    return dx
