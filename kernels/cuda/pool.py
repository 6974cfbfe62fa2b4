"""Pooling on the GPU."""

import functools

import numpy as np

from .. import reference
from ..geometry import pool_window
from .activation import deliver
from .arrays import contiguous, destination, empty, number_type, pixel_step, spaced, vector_width
from .device import DIVISOR, THREADS, blocks, divisor, divisors, launch

_SIZES = ("images", "height", "width", "channels", "rows", "columns", "kh", "kw", "sy", "sx", "top", "left", "bottom", "right")
_DIVISORS = ("by_vectors", "by_columns", "by_rows", "by_width", "by_height", "by_sy", "by_sx")
WINDOW = np.dtype([(name, np.int32) for name in _SIZES] + [(name, DIVISOR) for name in _DIVISORS])


@functools.lru_cache(maxsize=1024)
def _window(x_shape, g, v: int) -> np.ndarray:
    """The structure `Window` of pool.cu."""
    n, height, width, channels = x_shape
    (rows, columns), (top, bottom), (left, right) = g.output, *g.padding
    sizes = (n, height, width, channels, rows, columns, *g.kernel, *g.stride, top, left, bottom, right)
    return np.array([(*sizes, *map(divisor, (channels // v, columns, rows, width, height, *g.stride)))], WINDOW)


def max_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, out=None):
    """See `reference.max_pool2d`."""
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    if g.kernel[0] * g.kernel[1] > 256:
        return reference.max_pool2d(x, kernel_size, stride, padding, ceil_mode, out)
    x, shape = spaced(x), (len(x), *g.output, x.shape[3])
    y, argmax = destination(out, x, shape), empty(x, shape, np.uint8)
    v = vector_width(x.shape[3], x, y, argmax)
    count = argmax.size // v
    window = _window(x.shape, g, v)
    steps = x, pixel_step(x), y, pixel_step(y)
    launch("pool.cu", "max_pool", blocks(count), THREADS, *steps, argmax, window, count, REAL=number_type(x), V=v)
    return deliver(y, out), argmax


def max_pool2d_grad(dy, argmax, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False):
    """See `reference.max_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    if argmax.dtype != np.uint8:
        return reference.max_pool2d_grad(dy, argmax, x_shape, kernel_size, stride, padding, ceil_mode)
    dy, argmax, dx = spaced(dy), contiguous(argmax), empty(dy, x_shape)
    v = vector_width(x_shape[3], dy, argmax, dx)
    count = dx.size // v
    window = _window(tuple(x_shape), g, v)
    launch("pool.cu", "max_pool_grad", blocks(count), THREADS, dy, pixel_step(dy), argmax, dx, window, count, REAL=number_type(dy), V=v)
    return dx


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, out=None):
    """See `reference.avg_pool2d`."""
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    x, shape = spaced(x), (len(x), *g.output, x.shape[3])
    y = destination(out, x, shape)
    v = vector_width(x.shape[3], x, y)
    count = y.size // v
    arguments = x, pixel_step(x), y, pixel_step(y), _window(x.shape, g, v), count, count_include_pad
    launch("pool.cu", "avg_pool", blocks(count), THREADS, *arguments, REAL=number_type(x), V=v)
    return deliver(y, out)


def avg_pool2d_grad(dy, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """See `reference.avg_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    dy, dx = spaced(dy), empty(dy, x_shape)
    v = vector_width(x_shape[3], dy, dx)
    count = dx.size // v
    arguments = dy, pixel_step(dy), dx, _window(tuple(x_shape), g, v), count, count_include_pad
    launch("pool.cu", "avg_pool_grad", blocks(count), THREADS, *arguments, REAL=number_type(dy), V=v)
    return dx


def global_avg_pool2d(x, out=None):
    """See `reference.global_avg_pool2d`."""
    x, (n, height, width, channels) = spaced(x), x.shape
    y = empty(x, (n, channels))
    v = vector_width(channels, x, y)
    columns = min(32, 1 << (-(-channels // v) - 1).bit_length())
    grid, block = (n, -(-channels // (columns * v))), (columns, 256 // columns)
    arguments = x, pixel_step(x), y, height * width, channels, 1.0 / (height * width)
    launch("pool.cu", "global_avg", grid, block, *arguments, shared=256 * v * 4, REAL=number_type(x), V=v)
    return deliver(y, out)


def global_avg_pool2d_grad(dy, x_shape):
    """See `reference.global_avg_pool2d_grad`."""
    dy, dx, area = contiguous(dy), empty(dy, x_shape), x_shape[1] * x_shape[2]
    v = vector_width(x_shape[3], dy, dx)
    count = dx.size // v
    arguments = dy, dx, *divisors(x_shape[3] // v, area), count, 1.0 / area
    launch("pool.cu", "global_avg_grad", blocks(count), THREADS, *arguments, REAL=number_type(dy), V=v)
    return dx
