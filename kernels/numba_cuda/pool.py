"""Max pooling in Numba-CUDA: a thread for each result, and in the gradient for each pixel, which gathers from the windows that it won."""

import numpy as np
from numba import cuda, float32

from ..geometry import pool_window
from ..reference.arrays import array_module, write_to
from .launch import THREADS, blocks, contiguous


@cuda.jit
def _max(x, y, argmax, size, stride, corner):
    at = cuda.grid(1)
    _, rows, columns, channels = y.shape
    if at >= y.size:
        return
    c, q, p, n = at % channels, at // channels % columns, at // channels // columns % rows, at // channels // columns // rows
    best, winner = float32(-np.inf), -1
    for i in range(size[0]):
        for j in range(size[1]):
            row, column = p * stride[0] + i - corner[0], q * stride[1] + j - corner[1]
            if row < 0 or row >= x.shape[1] or column < 0 or column >= x.shape[2]:
                continue
            if winner < 0 or x[n, row, column, c] > best:
                best, winner = x[n, row, column, c], i * size[1] + j
    y[n, p, q, c] = best
    argmax[n, p, q, c] = winner


@cuda.jit
def _max_grad(dy, argmax, dx, size, stride, corner):
    at = cuda.grid(1)
    _, height, width, channels = dx.shape
    if at >= dx.size:
        return
    c, v, h, n = at % channels, at // channels % width, at // channels // width % height, at // channels // width // height
    total = float32(0)
    for i in range(size[0]):
        up = h + corner[0] - i
        if up < 0 or up % stride[0] or up // stride[0] >= dy.shape[1]:
            continue
        for j in range(size[1]):
            over = v + corner[1] - j
            if over < 0 or over % stride[1] or over // stride[1] >= dy.shape[2]:
                continue
            if argmax[n, up // stride[0], over // stride[1], c] == i * size[1] + j:
                total += dy[n, up // stride[0], over // stride[1], c]
    dx[n, h, v, c] = total


def max_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, out=None):
    """See `reference.max_pool2d`."""
    g = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    x, xp, shape = contiguous(x), array_module(x), (len(x), *g.output, x.shape[3])
    y = xp.empty(shape, x.dtype)
    argmax = xp.empty(shape, np.uint8 if g.kernel[0] * g.kernel[1] <= 256 else np.int32)
    _max[blocks(y.size), THREADS](x, y, argmax, g.kernel, g.stride, (g.padding[0][0], g.padding[1][0]))
    return write_to(out, y), argmax


def max_pool2d_grad(dy, argmax, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False):
    """See `reference.max_pool2d_grad`."""
    g = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    dy, dx = contiguous(dy), array_module(dy).empty(x_shape, dy.dtype)
    _max_grad[blocks(dx.size), THREADS](dy, contiguous(argmax), dx, g.kernel, g.stride, (g.padding[0][0], g.padding[1][0]))
    return dx
