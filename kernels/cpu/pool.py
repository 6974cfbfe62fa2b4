"""Pooling: each result gathers what it needs, a vector of channels at a time, so that no two threads write to one place."""

import functools

import numpy as np

from .. import reference
from ..geometry import pool_window
from .activation import deliver
from .engine.arrays import address, contiguous, pixel_step, pixels
from .engine.functions import constant
from .engine.gemm import FLOAT
from .engine.launch import kernel, reach, share, threads
from .engine.memory import empty, is_far
from .engine.simd import (
    LANES,
    get,
    load,
    load_bytes_part,
    load_part,
    send_part,
    settle,
    splat,
    store,
    store_bytes_part,
    store_part,
    where_equal,
    where_wins,
)


@kernel
def _max(
    task,
    tasks,
    x,
    ld,
    images,
    height,
    width,
    channels,
    rows,
    columns,
    kh,
    kw,
    sy,
    sx,
    top,
    left,
    y,
    y_ld,
    argmax,
):
    """y and argmax of the windows' maxima."""
    first, last = share(images * rows, task, tasks)
    for line in range(first, last):
        n, p = line // rows, line % rows
        i_first, i_last = max(0, top - p * sy), min(kh, height + top - p * sy)
        for q in range(columns):
            j_first, j_last = max(0, left - q * sx), min(kw, width + left - q * sx)
            corner = ((n * height + p * sy - top) * width + q * sx - left) * ld
            result = line * columns + q
            for c in range(0, channels, LANES):
                best, winner = constant(-np.inf), constant(float(i_first * kw + j_first))
                for i in range(i_first, i_last):
                    cell = constant(float(i * kw + j_first))
                    for j in range(j_first, j_last):
                        v = load_part(x, corner + (i * width + j) * ld + c, channels - c)
                        winner, best = (
                            where_wins(v, best, cell, winner),
                            where_wins(v, best, v, best),
                        )
                        cell = cell + constant(1.0)
                store_part(y, result * y_ld + c, best, channels - c)
                store_bytes_part(argmax, result * channels + c, winner, channels - c)


@kernel
def _max_grad(
    task,
    tasks,
    dy,
    ld,
    argmax,
    images,
    height,
    width,
    channels,
    rows,
    columns,
    kh,
    kw,
    sy,
    sx,
    top,
    left,
    dx,
    far,
):
    """dx: each pixel takes the gradient of the windows that it won."""
    first, last = share(images * height, task, tasks)
    for line in range(first, last):
        n, h = line // height, line % height
        p_first, p_last = reach(h, top, sy, kh, rows)
        for w in range(width):
            q_first, q_last = reach(w, left, sx, kw, columns)
            for c in range(0, channels, LANES):
                sum = constant(0.0)
                for p in range(p_first, p_last):
                    for q in range(q_first, q_last):
                        cell = (h + top - p * sy) * kw + w + left - q * sx
                        window = (n * rows + p) * columns + q
                        winner = load_bytes_part(argmax, window * channels + c, channels - c)
                        v = load_part(dy, window * ld + c, channels - c)
                        sum = sum + where_equal(winner, constant(float(cell)), v, constant(0.0))
                send_part(dx, (line * width + w) * channels + c, sum, channels - c, far)
    settle()


@kernel
def _average(
    task,
    tasks,
    x,
    ld,
    images,
    height,
    width,
    channels,
    rows,
    columns,
    kh,
    kw,
    sy,
    sx,
    top,
    left,
    inverse,
    y,
    y_ld,
    scratch,
):
    """y = inverse[p, q] * the sum of the window: columns of it first, which windows side by side may share, then those of each window."""
    first, last = share(images * rows, task, tasks)
    sums = scratch + FLOAT * task * (width * channels + LANES)
    runs, floats = (1, width * channels) if ld == channels else (width, channels)
    for line in range(first, last):
        n, p = line // rows, line % rows
        i_first, i_last = max(0, p * sy - top), min(height, p * sy - top + kh)
        # Whole vectors are stored where they fit: what lies behind a pixel's channels is written over by the next pixel.
        for w in range(runs):
            for c in range(0, floats, LANES):
                sum = constant(0.0)
                for i in range(i_first, i_last):
                    sum = sum + load_part(x, ((n * height + i) * width + w) * ld + c, floats - c)
                store(sums, w * channels + c, sum)
        for q in range(columns):
            j_first, j_last = max(0, q * sx - left), min(width, q * sx - left + kw)
            factor = splat(get(inverse, p * columns + q))
            for c in range(0, channels, LANES):
                room = (columns - q) * channels - c if y_ld == channels else channels - c
                sum = constant(0.0)
                for j in range(j_first, j_last):
                    sum = sum + load(sums, j * channels + c)
                store_part(y, (line * columns + q) * y_ld + c, sum * factor, room)


@kernel
def _average_grad(
    task,
    tasks,
    dy,
    ld,
    images,
    height,
    width,
    channels,
    rows,
    columns,
    kh,
    kw,
    sy,
    sx,
    top,
    left,
    inverse,
    dx,
):
    """dx: each pixel takes its share of the gradient of the windows that cover it."""
    first, last = share(images * height, task, tasks)
    for line in range(first, last):
        n, h = line // height, line % height
        p_first, p_last = reach(h, top, sy, kh, rows)
        for w in range(width):
            q_first, q_last = reach(w, left, sx, kw, columns)
            for c in range(0, channels, LANES):
                sum = constant(0.0)
                for p in range(p_first, p_last):
                    for q in range(q_first, q_last):
                        v = load_part(dy, ((n * rows + p) * columns + q) * ld + c, channels - c)
                        sum = sum + splat(get(inverse, p * columns + q)) * v
                store_part(dx, (line * width + w) * channels + c, sum, channels - c)


@kernel
def _spread(
    task,
    tasks,
    dy,
    ld,
    argmax,
    images,
    height,
    width,
    channels,
    rows,
    columns,
    kh,
    kw,
    inverse: float,
    dx,
):
    """dx where windows lie side by side: each result belongs to its own window, by a share or, with `argmax`, to the one that won."""
    first, last = share(images * rows, task, tasks)
    line_length = width * channels
    for line in range(first, last):
        n, p = line // rows, line % rows
        # What is left over at the right and, with the last windows, at the bottom belongs to none.
        for i in range(kh if p < rows - 1 else height - p * kh):
            to = dx + FLOAT * (n * height + p * kh + i) * line_length
            inside = columns if i < kh else 0
            if argmax == 0 and 0 < i < kh:
                for place in range(0, line_length, LANES):  # the same again
                    store_part(
                        to,
                        place,
                        load_part(to, place - line_length, line_length - place),
                        line_length - place,
                    )
                continue
            for q in range(inside):
                # Pixel after pixel, in whole vectors where they fit: what lies behind a pixel's channels is written over by the next one.
                for j in range(kw):
                    for c in range(0, channels, LANES):
                        v = load_part(dy, (line * columns + q) * ld + c, channels - c) * splat(
                            inverse
                        )
                        if argmax != 0:
                            winner = load_bytes_part(
                                argmax, (line * columns + q) * channels + c, channels - c
                            )
                            v = where_equal(winner, constant(float(i * kw + j)), v, constant(0.0))
                        place = (q * kw + j) * channels + c
                        store_part(to, place, v, line_length - place)
            for place in range(inside * kw * channels, line_length, LANES):
                store_part(to, place, constant(0.0), line_length - place)


@kernel
def _broadcast(task, tasks, dy, pixels, channels, images, factor: float, dx):
    """dx[n, pixel, :] = factor * dy[n, :]."""
    first, last = share(images * pixels, task, tasks)
    for m in range(first, last):
        for c in range(0, channels, LANES):
            v = load_part(dy, m // pixels * channels + c, channels - c) * splat(factor)
            store_part(dx, m * channels + c, v, channels - c)


def _tasks(size: int) -> int:
    return threads() if size > 1 << 13 else 1


def _side_by_side(g) -> bool:
    """Whether windows neither overlap nor leave gaps, and none hangs over an edge."""
    return g.stride == g.kernel and g.reach == g.padding == ((0, 0), (0, 0))


def _place(out, shape):
    """`out` if it is an array or a slice of channels that kernels can write to, else memory of their own."""
    return out if out is not None and out.shape == shape and pixel_step(out) else empty(shape)


def max_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, out=None):
    """See `reference.max_pool2d`."""
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    if g.kernel[0] * g.kernel[1] > 256:
        return reference.max_pool2d(x, kernel_size, stride, padding, ceil_mode, out)
    x, ld = pixels(x)
    shape = (len(x), *g.output, x.shape[3])
    y, argmax = _place(out, shape), empty(shape, np.uint8)
    _max(
        _tasks(x.size),
        *(
            address(x),
            ld,
            *x.shape,
            *g.output,
            *g.kernel,
            *g.stride,
            g.padding[0][0],
            g.padding[1][0],
        ),
        *(address(y), pixel_step(y), address(argmax)),
    )
    return deliver(y, out), argmax


def max_pool2d_grad(dy, argmax, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False):
    """See `reference.max_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    if argmax.dtype != np.uint8:
        return reference.max_pool2d_grad(
            dy, argmax, x_shape, kernel_size, stride, padding, ceil_mode
        )
    (dy, ld), argmax = pixels(dy), np.ascontiguousarray(argmax)
    dx = empty(x_shape)
    if _side_by_side(g):
        _spread(
            _tasks(dx.size),
            address(dy),
            ld,
            address(argmax),
            *x_shape,
            *g.output,
            *g.kernel,
            1.0,
            address(dx),
        )
        return dx
    _max_grad(
        _tasks(dx.size),
        *(
            address(dy),
            ld,
            address(argmax),
            *x_shape,
            *g.output,
            *g.kernel,
            *g.stride,
            g.padding[0][0],
            g.padding[1][0],
        ),
        *(address(dx), is_far(dx, x_shape[3])),
    )
    return dx


@functools.lru_cache(maxsize=256)
def _inverse(geometry, image, count_include_pad):
    """1 / the divisor of each window, `(H_out, W_out)`."""
    like = np.empty(0, np.float32)
    divisor = reference.pool.window_areas(like, (1, *image, 1), geometry, count_include_pad)
    return np.ascontiguousarray(1 / divisor[..., 0], np.float32)


def avg_pool2d(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, out=None
):
    """See `reference.avg_pool2d`."""
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    inverse = _inverse(g, x.shape[1:3], count_include_pad)
    x, ld = pixels(x)
    y = _place(out, (len(x), *g.output, x.shape[3]))
    scratch = empty(_tasks(x.size) * (x.shape[2] * x.shape[3] + LANES))
    _average(
        _tasks(x.size),
        *(
            address(x),
            ld,
            *x.shape,
            *g.output,
            *g.kernel,
            *g.stride,
            g.padding[0][0],
            g.padding[1][0],
            address(inverse),
        ),
        *(address(y), pixel_step(y), address(scratch)),
    )
    return deliver(y, out)


def avg_pool2d_grad(
    dy, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """See `reference.avg_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    inverse = _inverse(g, tuple(x_shape[1:3]), count_include_pad)
    dy, ld = pixels(dy)
    dx = empty(x_shape)
    if _side_by_side(g):
        share_of_each = 1 / (g.kernel[0] * g.kernel[1])
        _spread(
            _tasks(dx.size),
            address(dy),
            ld,
            0,
            *x_shape,
            *g.output,
            *g.kernel,
            share_of_each,
            address(dx),
        )
        return dx
    _average_grad(
        _tasks(dx.size),
        *(
            address(dy),
            ld,
            *x_shape,
            *g.output,
            *g.kernel,
            *g.stride,
            g.padding[0][0],
            g.padding[1][0],
            address(inverse),
            address(dx),
        ),
    )
    return dx


def global_avg_pool2d(x, out=None):
    """See `reference.global_avg_pool2d`."""
    y = avg_pool2d(x, x.shape[1:3])
    return deliver(y.reshape(len(x), x.shape[3]), out)


def global_avg_pool2d_grad(dy, x_shape):
    """See `reference.global_avg_pool2d_grad`."""
    dy, dx = contiguous(dy), empty(x_shape)
    count = x_shape[1] * x_shape[2]
    _broadcast(_tasks(dx.size), address(dy), count, x_shape[3], x_shape[0], 1 / count, address(dx))
    return dx
