"""Max pooling in Numba-CUDA: one thread per result.

In the gradient one thread per pixel gathers from the windows in which the pixel was the maximum, so
that no two threads write to one address.
"""

import math

import numpy as np
from numba import cuda, float32

from ..geometry import Window, pool_window
from ..reference.arrays import array_module, write_to
from ..types import Array, IntOrPair, Padding, Pair, Shape
from .launch import THREADS, blocks, contiguous


@cuda.jit
def _max(x: Array, y: Array, argmax: Array, size: Pair, stride: Pair, corner: Pair) -> None:
    at = cuda.grid(1)
    _, rows, columns, channels = y.shape
    if at >= y.size:
        return
    c, pixel = at % channels, at // channels
    q, p, n = pixel % columns, pixel // columns % rows, pixel // columns // rows
    best, winner = float32(-np.inf), -1
    for i in range(size[0]):
        for j in range(size[1]):
            row, column = p * stride[0] + i - corner[0], q * stride[1] + j - corner[1]
            if row < 0 or row >= x.shape[1] or column < 0 or column >= x.shape[2]:
                continue
            value = x[n, row, column, c]
            if winner < 0 or value > best or (math.isnan(value) and not math.isnan(best)):
                best, winner = value, i * size[1] + j
    y[n, p, q, c] = best
    argmax[n, p, q, c] = winner


@cuda.jit
def _max_grad(dy: Array, argmax: Array, dx: Array, size: Pair, stride: Pair, corner: Pair) -> None:
    at = cuda.grid(1)
    _, height, width, channels = dx.shape
    if at >= dx.size:
        return
    c, pixel = at % channels, at // channels
    v, h, n = pixel % width, pixel // width % height, pixel // width // height
    total = float32(0)
    for i in range(size[0]):
        up = h + corner[0] - i
        p = up // stride[0]
        if up < 0 or up % stride[0] or p >= dy.shape[1]:
            continue
        for j in range(size[1]):
            over = v + corner[1] - j
            q = over // stride[1]
            if over < 0 or over % stride[1] or q >= dy.shape[2]:
                continue
            if argmax[n, p, q, c] == i * size[1] + j:
                total += dy[n, p, q, c]
    dx[n, h, v, c] = total


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
    x, xp, shape = contiguous(x), array_module(x), (len(x), *g.output, x.shape[3])
    y = xp.empty(shape, x.dtype)
    argmax = xp.empty(shape, np.uint8 if g.kernel[0] * g.kernel[1] <= 256 else np.int32)
    _max[blocks(y.size), THREADS](x, y, argmax, g.kernel, g.stride, _corner(g))
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
    dy, dx = contiguous(dy), array_module(dy).empty(x_shape, dy.dtype)
    geometry = g.kernel, g.stride, _corner(g)
    _max_grad[blocks(dx.size), THREADS](dy, contiguous(argmax), dx, *geometry)
    return dx


def _corner(g: Window) -> Pair:
    """The padding at the top and at the left."""
    return g.padding[0][0], g.padding[1][0]
