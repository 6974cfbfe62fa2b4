"""Adaptive max pooling: windows of nearly equal size, which overlap by at most a row or column.

The kernels compute the positions of maxima as floats, which represent whole numbers up to 2^24.
"""

import functools

import numpy as np

from ...geometry import adaptive_windows
from ...types import Array, Pair, Shape
from ..engine.arrays import (
    Image,
    address,
    expect_images,
    expect_shape,
    image,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from ..engine.launch import kernel, task_range
from ..engine.memory import empty
from ..engine.simd import (
    LANES,
    Address,
    load_index,
    load_part,
    select_equal,
    select_greater_or_nan,
    splat,
    store_part,
)
from ..engine.simd.functions import constant
from ..engine.threads import threads_for


@functools.lru_cache(maxsize=256)
def _windows(size: int, count: int) -> Array:
    """The first and last + 1 pixel of each window along an axis, int64 `(count, 2)`."""
    return np.array(adaptive_windows(size, count), np.int64)


@kernel
def _adaptive_max(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    rows: Address,
    columns: Address,
    height: int,
    width: int,
    y: Address,
    y_step: int,
    argmax: Address,
) -> None:
    """y = the maximum of each window, argmax = its cell; the first one, and NaN if there is one.

    rows, columns: the first and last + 1 pixel of each window along the axis.
    """
    first, last = task_range(images * height, task, tasks)
    for line in range(first, last):
        n, p = line // height, line % height
        top, bottom = load_index(rows, 2 * p), load_index(rows, 2 * p + 1)
        for q in range(width):
            left, right = load_index(columns, 2 * q), load_index(columns, 2 * q + 1)
            result = line * width + q
            for c in range(0, x.channels, LANES):
                best, winner, cell = constant(-np.inf), constant(0.0), constant(0.0)
                for a in range(top, bottom):
                    for b in range(left, right):
                        pixel = (n * x.height + a) * x.width + b
                        v = load_part(x.data, pixel * x.step + c, x.channels - c)
                        winner = select_greater_or_nan(v, best, cell, winner)
                        best = select_greater_or_nan(v, best, v, best)
                        cell = cell + constant(1.0)
                store_part(y, result * y_step + c, best, x.channels - c)
                store_part(argmax, result * x.channels + c, winner, x.channels - c)


@kernel
def _adaptive_max_grad(
    task: int,
    tasks: int,
    dy: Image,
    argmax: Address,
    images: int,
    rows: Address,
    columns: Address,
    above: Address,
    beside: Address,
    dx: Image,
) -> None:
    """dx = the sum of dy over the windows whose maximum the pixel was.

    above, beside: the first and last + 1 window that cover each pixel, down and across.
    """
    first, last = task_range(images * dx.height, task, tasks)
    for line in range(first, last):
        n, h = line // dx.height, line % dx.height
        p_first, p_last = load_index(above, 2 * h), load_index(above, 2 * h + 1)
        for w in range(dx.width):
            q_first, q_last = load_index(beside, 2 * w), load_index(beside, 2 * w + 1)
            for c in range(0, dx.channels, LANES):
                rest, sum = dx.channels - c, constant(0.0)
                for p in range(p_first, p_last):
                    for q in range(q_first, q_last):
                        left, right = load_index(columns, 2 * q), load_index(columns, 2 * q + 1)
                        cell = (h - load_index(rows, 2 * p)) * (right - left) + w - left
                        window = (n * dy.height + p) * dy.width + q
                        winner = load_part(argmax, window * dx.channels + c, rest)
                        v = load_part(dy.data, window * dy.step + c, rest)
                        here = splat(np.float32(cell))
                        sum = sum + select_equal(winner, here, v, constant(0.0))
                store_part(dx.data, (line * dx.width + w) * dx.step + c, sum, rest)


def adaptive_max_pool2d(
    x: Array, output_size: Pair, out: Array | None = None
) -> tuple[Array, Array]:
    """See `functional.adaptive_max_pool2d`."""
    expect_images("adaptive_max_pool2d: x", x)
    x, _ = pixels(x)
    shape = (len(x), *output_size, x.shape[3])
    y, argmax = output_array(out, shape, channel_slice=True), empty(shape)
    rows, columns = map(_windows, x.shape[1:3], output_size)
    if y.size:
        _adaptive_max(
            threads_for(bytes=x.nbytes + y.nbytes),
            image(x),
            len(x),
            address(rows),
            address(columns),
            *output_size,
            address(y),
            pixel_step(y),
            address(argmax),
        )
    return write_to(out, y), argmax.astype(np.int32)


def adaptive_max_pool2d_grad(dy: Array, argmax: Array, x_shape: Shape) -> Array:
    """See `functional.adaptive_max_pool2d_grad`."""
    expect_images("adaptive_max_pool2d_grad: dy", dy)
    expect_shape("adaptive_max_pool2d_grad: dy", dy, (x_shape[0], *dy.shape[1:3], x_shape[3]))
    expect_shape("adaptive_max_pool2d_grad: argmax", argmax, dy.shape)
    (dy, _), winners, dx = pixels(dy), argmax.astype(np.float32, order="C"), empty(tuple(x_shape))
    windows = [_windows(*sizes) for sizes in zip(x_shape[1:3], dy.shape[1:3], strict=True)]
    covering = [_windows(*sizes) for sizes in zip(dy.shape[1:3], x_shape[1:3], strict=True)]
    if dx.size:
        _adaptive_max_grad(
            threads_for(bytes=dx.nbytes + dy.nbytes),
            image(dy),
            address(winners),
            len(dy),
            *(address(table) for table in (*windows, *covering)),
            image(dx),
        )
    return dx
