"""Convolution in Numba-CUDA: the formula, a thread for each number, and the tiled product that reads each number far less often.

naive    every thread reads its whole patch and its whole filter from global memory
tiled    16x16 threads copy 16x16 pieces of the patches and of the filters to shared memory, and each piece serves 16 times
"""

import numpy as np
from numba import cuda, float32

from ..geometry import window
from ..types import Array, IntOrPair, Padding, Shape
from ..reference.activation import activate
from ..reference.arrays import array_module, write_to
from .launch import THREADS, blocks, contiguous

TILE = 16


@cuda.jit
def naive(x, w, b, y, stride, corner, dilation, groups):
    """y[n, p, q, k] = b[k] + sum over i, j, c of x[n, p s + i d - top, q s + j d - left, c] * w[i, j, c, k]; a thread for each y."""
    at = cuda.grid(1)
    _, rows, columns, filters = y.shape
    if at >= y.size:
        return
    k, q, p, n = at % filters, at // filters % columns, at // filters // columns % rows, at // filters // columns // rows
    channels = w.shape[2]
    first = k // (filters // groups) * channels  # of this filter's group
    total = b[k]
    for i in range(w.shape[0]):
        row = p * stride[0] + i * dilation[0] - corner[0]
        if row < 0 or row >= x.shape[1]:
            continue
        for j in range(w.shape[1]):
            column = q * stride[1] + j * dilation[1] - corner[1]
            if column < 0 or column >= x.shape[2]:
                continue
            for c in range(channels):
                total += x[n, row, column, first + c] * w[i, j, c, k]
    y[n, p, q, k] = total


@cuda.jit
def tiled(x, w, b, y, stride, corner, dilation):
    """The same as a product of patches (a row for each pixel of y) and filters; threads of a block share what they read.

    The grid is (pixels, filters): along x alone it may have more than 65,535 blocks.
    """
    patches = cuda.shared.array((TILE, TILE), float32)
    weights = cuda.shared.array((TILE, TILE), float32)
    row, column = cuda.threadIdx.y, cuda.threadIdx.x
    m, k = cuda.blockIdx.x * TILE + row, cuda.blockIdx.y * TILE + column
    images, rows, columns, filters = y.shape
    size_x, channels = w.shape[1], w.shape[2]
    q, p, n = m % columns, m // columns % rows, m // columns // rows
    inner = w.shape[0] * size_x * channels
    total = float32(0)
    for start in range(0, inner, TILE):
        # Each thread brings one number of the patches, at inner index `a`, and one of the filters, at inner index `e`.
        a, e = start + column, start + row
        c, j, i = a % channels, a // channels % size_x, a // channels // size_x
        u, v = p * stride[0] + i * dilation[0] - corner[0], q * stride[1] + j * dilation[1] - corner[1]
        inside = a < inner and n < images and u >= 0 and u < x.shape[1] and v >= 0 and v < x.shape[2]
        patches[row, column] = x[n, u, v, c] if inside else float32(0)
        inside = e < inner and k < filters
        weights[row, column] = w[e // channels // size_x, e // channels % size_x, e % channels, k] if inside else float32(0)
        cuda.syncthreads()  # the pieces are whole
        for t in range(TILE):
            total += patches[row, t] * weights[t, column]
        cuda.syncthreads()  # nobody reads them any more
    if n < images and k < filters:
        y[n, p, q, k] = total + b[k]


@cuda.jit
def grad_input(dy, w, dx, stride, corner, dilation, groups):
    """dx[n, h, v, c] = sum over the taps that saw the pixel, and k, of dy[n, p, q, k] * w[i, j, c, k]; a thread for each dx."""
    at = cuda.grid(1)
    _, height, width, channels = dx.shape
    if at >= dx.size:
        return
    c, v, h, n = at % channels, at // channels % width, at // channels // width % height, at // channels // width // height
    filters, per_group = w.shape[3] // groups, w.shape[2]
    first = c // per_group * filters
    total = float32(0)
    for i in range(w.shape[0]):
        up = h + corner[0] - i * dilation[0]
        if up < 0 or up % stride[0] or up // stride[0] >= dy.shape[1]:
            continue
        for j in range(w.shape[1]):
            over = v + corner[1] - j * dilation[1]
            if over < 0 or over % stride[1] or over // stride[1] >= dy.shape[2]:
                continue
            for k in range(first, first + filters):
                total += dy[n, up // stride[0], over // stride[1], k] * w[i, j, c % per_group, k]
    dx[n, h, v, c] = total


@cuda.jit
def grad_weight(dy, x, dw, stride, corner, dilation, groups):
    """dw[i, j, c, k] = sum over all pixels of x[...] * dy[n, p, q, k]; a thread for each dw."""
    at = cuda.grid(1)
    _, size_x, channels, filters = dw.shape
    if at >= dw.size:
        return
    k, c, j, i = at % filters, at // filters % channels, at // filters // channels % size_x, at // filters // channels // size_x
    first = k // (filters // groups) * channels
    total = float32(0)
    for n in range(x.shape[0]):
        for p in range(dy.shape[1]):
            row = p * stride[0] + i * dilation[0] - corner[0]
            if row < 0 or row >= x.shape[1]:
                continue
            for q in range(dy.shape[2]):
                column = q * stride[1] + j * dilation[1] - corner[1]
                if column >= 0 and column < x.shape[2]:
                    total += x[n, row, column, first + c] * dy[n, p, q, k]
    dw[i, j, c, k] = total


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """See `functional.conv2d`."""
    g = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    x, w = contiguous(x), contiguous(w)
    filters = w.shape[3]
    y = _like(x, (len(x), *g.output, filters))
    if b is None:
        b = _like(x, (filters,))
        b[...] = 0
    geometry = g.stride, _corner(g), g.dilation
    if groups == 1:
        pixels = len(x) * g.output[0] * g.output[1]
        grid = blocks(pixels, TILE), blocks(filters, TILE)
        tiled[grid, (TILE, TILE)](x, w, contiguous(b), y, *geometry)
    else:
        naive[blocks(y.size), THREADS](x, w, contiguous(b), y, *geometry, groups)
    return write_to(out, activate(y, activation))


def conv2d_grad_input(
    dy: Array,
    w: Array,
    x_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """See `functional.conv2d_grad_input`."""
    g = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    dy, w = contiguous(dy), contiguous(w)
    dx = _like(dy, x_shape)
    grad_input[blocks(dx.size), THREADS](dy, w, dx, g.stride, _corner(g), g.dilation, groups)
    return dx


def conv2d_grad_weight(
    dy: Array,
    x: Array,
    w_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = True,
) -> tuple[Array, Array | None]:
    """See `functional.conv2d_grad_weight`."""
    g = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    dy, x = contiguous(dy), contiguous(x)
    dw = _like(x, w_shape)
    grad_weight[blocks(dw.size), THREADS](dy, x, dw, g.stride, _corner(g), g.dilation, groups)
    return dw, dy.sum(axis=(0, 1, 2)) if bias else None


def _corner(g):
    """How far the first window lies outside of the image, at the top and at the left."""
    return g.padding[0][0], g.padding[1][0]


def _like(a, shape):
    """An array of a's kind, full of NaN: a value that no thread writes shows."""
    return array_module(a).full(shape, np.nan, np.float32)
