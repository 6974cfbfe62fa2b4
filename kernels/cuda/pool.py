"""Pooling on the GPU."""

import functools
from typing import Any

import numpy as np

from .. import reference
from ..geometry import Window, pool_window
from ..reference.arrays import write_to
from ..types import Array, IntOrPair, Padding, Pair, Shape
from .arrays import contiguous, empty, options, output_array, pixel_step, spaced, vector_width
from .device import DIVISOR, THREADS, blocks, divisor, divisors, launch

_IMAGE = ("images", "height", "width", "channels", "rows", "columns")
_KERNEL = ("kh", "kw", "sy", "sx", "top", "left", "bottom", "right")
_DIVISORS = ("by_vectors", "by_columns", "by_rows", "by_width", "by_height", "by_sy", "by_sx")
WINDOW = np.dtype(
    [(name, np.int32) for name in (*_IMAGE, *_KERNEL)] + [(name, DIVISOR) for name in _DIVISORS]
)
_SIZES = ("height", "width", "channels", "rows", "columns")
_BY = ("by_vectors", "by_rows", "by_columns", "by_height", "by_width")
ADAPTIVE = np.dtype([(name, np.int32) for name in _SIZES] + [(name, DIVISOR) for name in _BY])
MOST_CELLS = 256  # of a window, so that a cell's number is one byte


def max_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """See `functional.max_pool2d`."""
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    if g.kernel[0] * g.kernel[1] > MOST_CELLS:
        return reference.max_pool2d(x, kernel_size, stride, padding, ceil_mode, out)
    x, shape = spaced(x), (len(x), *g.output, x.shape[3])
    y, argmax = output_array(out, x, shape), empty(x, shape, np.uint8)
    v = vector_width(x.shape[3], x, y, argmax)
    _launch("max_pool", (x, pixel_step(x), y, pixel_step(y), argmax), x.shape, g, argmax.size, v)
    return write_to(out, y), argmax


def max_pool2d_grad(
    dy: Array,
    argmax: Array,
    x_shape: Shape,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Array:
    """See `functional.max_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    if argmax.dtype != np.uint8:
        return reference.max_pool2d_grad(
            dy, argmax, x_shape, kernel_size, stride, padding, ceil_mode
        )
    dy, argmax, dx = spaced(dy), contiguous(argmax), empty(dy, x_shape)
    v = vector_width(x_shape[3], dy, argmax, dx)
    _launch("max_pool_grad", (dy, pixel_step(dy), argmax, dx), x_shape, g, dx.size, v)
    return dx


def avg_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    out: Array | None = None,
) -> Array:
    """See `functional.avg_pool2d`."""
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    x, shape = spaced(x), (len(x), *g.output, x.shape[3])
    y = output_array(out, x, shape)
    v = vector_width(x.shape[3], x, y)
    images = x, pixel_step(x), y, pixel_step(y)
    _launch("avg_pool", images, x.shape, g, y.size, v, count_include_pad)
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
    """See `functional.avg_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    dy, dx = spaced(dy), empty(dy, x_shape)
    v = vector_width(x_shape[3], dy, dx)
    images = dy, pixel_step(dy), dx
    _launch("avg_pool_grad", images, x_shape, g, dx.size, v, count_include_pad)
    return dx


def adaptive_max_pool2d(
    x: Array, output_size: Pair, out: Array | None = None
) -> tuple[Array, Array]:
    """See `functional.adaptive_max_pool2d`."""
    x, shape = spaced(x), (len(x), *output_size, x.shape[3])
    y, argmax = output_array(out, x, shape), empty(x, shape, np.int32)
    v = vector_width(x.shape[3], x, y)
    images = x, pixel_step(x), y, pixel_step(y), argmax
    _launch_adaptive("adaptive_max", images, x.shape, output_size, argmax.size // v, v)
    return write_to(out, y), argmax


def adaptive_max_pool2d_grad(dy: Array, argmax: Array, x_shape: Shape) -> Array:
    """See `functional.adaptive_max_pool2d_grad`."""
    dy, argmax, dx = spaced(dy), contiguous(argmax), empty(dy, x_shape)
    v, output = vector_width(x_shape[3], dy, dx), (dy.shape[1], dy.shape[2])
    images = dy, pixel_step(dy), argmax, dx
    _launch_adaptive("adaptive_max_grad", images, x_shape, output, dx.size // v, v)
    return dx


def _launch_adaptive(
    kernel: str, images: tuple[Any, ...], x_shape: Shape, output: Pair, vectors: int, v: int
) -> None:
    """Start a kernel of pool.cu on `vectors` vectors of channels."""
    (_, height, width, channels), (rows, columns) = x_shape, output
    by = map(divisor, (channels // v, rows, columns, height, width))
    adaptive = np.array([(height, width, channels, rows, columns, *by)], ADAPTIVE)
    arguments = *images, adaptive, vectors
    launch("pool.cu", kernel, blocks(vectors), THREADS, *arguments, **options(images[0], v))


def global_avg_pool2d(x: Array, out: Array | None = None) -> Array:
    """See `functional.global_avg_pool2d`."""
    x, (n, height, width, channels) = spaced(x), x.shape
    y = empty(x, (n, channels))
    v = vector_width(channels, x, y)
    columns = min(32, 1 << (-(-channels // v) - 1).bit_length())
    grid, block = (n, -(-channels // (columns * v))), (columns, THREADS // columns)
    arguments = x, pixel_step(x), y, height * width, channels, 1.0 / (height * width)
    launch(
        "pool.cu", "global_avg", grid, block, *arguments, shared=THREADS * v * 4, **options(x, v)
    )
    return write_to(out, y)


def global_avg_pool2d_grad(dy: Array, x_shape: Shape) -> Array:
    """See `functional.global_avg_pool2d_grad`."""
    dy, dx, area = contiguous(dy), empty(dy, x_shape), x_shape[1] * x_shape[2]
    v = vector_width(x_shape[3], dy, dx)
    vectors = dx.size // v
    arguments = dy, dx, *divisors(x_shape[3] // v, area), vectors, 1.0 / area
    launch("pool.cu", "global_avg_grad", blocks(vectors), THREADS, *arguments, **options(dy, v))
    return dx


def _launch(
    kernel: str,
    images: tuple[Any, ...],
    x_shape: Shape,
    g: Window,
    size: int,
    v: int,
    *flags: bool,
) -> None:
    """Start a kernel of pool.cu with one thread per V channels of the `size` numbers it writes."""
    vectors = size // v
    arguments = *images, _window(tuple(x_shape), g, v), vectors, *flags
    launch("pool.cu", kernel, blocks(vectors), THREADS, *arguments, **options(images[0], v))


@functools.lru_cache(maxsize=1024)
def _window(x_shape: Shape, g: Window, v: int) -> np.ndarray:
    """The structure `Window` of pool.cu."""
    n, height, width, channels = x_shape
    (rows, columns), (top, bottom), (left, right) = g.output, *g.padding
    image = n, height, width, channels, rows, columns
    kernel = *g.kernel, *g.stride, top, left, bottom, right
    by = map(divisor, (channels // v, columns, rows, width, height, *g.stride))
    return np.array([(*image, *kernel, *by)], WINDOW)
