"""Convolution in Numba-CUDA: the formula with one thread per number, and the tiled product.

naive    every thread reads its whole patch and its whole filter from global memory
tiled    16x16 threads copy 16x16 pieces of the patches and of the filters to shared memory; each
         number in them is used 16 times
"""

import numpy as np
from numba import cuda, float32

from ..geometry import Window, window
from ..reference.activation import activate
from ..reference.arrays import array_module, write_to
from ..types import Array, IntOrPair, Padding, Pair, Shape
from .launch import THREADS, blocks, contiguous

TILE = 16


@cuda.jit
def naive(
    x: Array,
    w: Array,
    b: Array,
    y: Array,
    stride: Pair,
    corner: Pair,
    dilation: Pair,
    groups: int,
) -> None:
    """One thread per y.

    y[n, p, q, k] = b[k] + sum_{i, j, c} x[n, p s + i d - top, q s + j d - left, c] * w[i, j, c, k]
    """
    at = cuda.grid(1)
    _, rows, columns, filters = y.shape
    if at >= y.size:
        return
    k, pixel = at % filters, at // filters
    q, p, n = pixel % columns, pixel // columns % rows, pixel // columns // rows
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
def tiled(
    x: Array, w: Array, b: Array, y: Array, stride: Pair, corner: Pair, dilation: Pair
) -> None:
    """The same sums as a product of patches, one row per pixel of y, and filters.

    The grid is (pixels, filters): only along x may it have more than 65,535 blocks.
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
        # Each thread copies a number of the patches, at inner index a, and of the filters, at e.
        a, e = start + column, start + row
        c, j, i = a % channels, a // channels % size_x, a // channels // size_x
        u = p * stride[0] + i * dilation[0] - corner[0]
        v = q * stride[1] + j * dilation[1] - corner[1]
        inside = a < inner and n < images
        inside = inside and u >= 0 and u < x.shape[1] and v >= 0 and v < x.shape[2]
        patches[row, column] = x[n, u, v, c] if inside else float32(0)
        c, j, i = e % channels, e // channels % size_x, e // channels // size_x
        weights[row, column] = w[i, j, c, k] if e < inner and k < filters else float32(0)
        cuda.syncthreads()  # the pieces are complete
        for t in range(TILE):
            total += patches[row, t] * weights[t, column]
        cuda.syncthreads()  # no thread reads them any more
    if n < images and k < filters:
        y[n, p, q, k] = total + b[k]


@cuda.jit
def grad_input(
    dy: Array, w: Array, dx: Array, stride: Pair, corner: Pair, dilation: Pair, groups: int
) -> None:
    """One thread per dx.

    dx[n, h, v, c] = sum of dy[n, p, q, k] * w[i, j, c, k] over k and the taps that read the pixel
    """
    at = cuda.grid(1)
    _, height, width, channels = dx.shape
    if at >= dx.size:
        return
    c, pixel = at % channels, at // channels
    v, h, n = pixel % width, pixel // width % height, pixel // width // height
    filters, per_group = w.shape[3] // groups, w.shape[2]
    first = c // per_group * filters
    total = float32(0)
    for i in range(w.shape[0]):
        up = h + corner[0] - i * dilation[0]
        p = up // stride[0]
        if up < 0 or up % stride[0] or p >= dy.shape[1]:
            continue
        for j in range(w.shape[1]):
            over = v + corner[1] - j * dilation[1]
            q = over // stride[1]
            if over < 0 or over % stride[1] or q >= dy.shape[2]:
                continue
            for k in range(first, first + filters):
                total += dy[n, p, q, k] * w[i, j, c % per_group, k]
    dx[n, h, v, c] = total


@cuda.jit
def grad_weight(
    dy: Array, x: Array, dw: Array, stride: Pair, corner: Pair, dilation: Pair, groups: int
) -> None:
    """One thread per dw: dw[i, j, c, k] = sum over all pixels of x[...] * dy[n, p, q, k]."""
    at = cuda.grid(1)
    _, size_x, channels, filters = dw.shape
    if at >= dw.size:
        return
    k, cell = at % filters, at // filters
    c, j, i = cell % channels, cell // channels % size_x, cell // channels // size_x
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
    y = _filled(x, (len(x), *g.output, filters), np.nan)
    b = _filled(x, (filters,), 0) if b is None else contiguous(b)
    if groups == 1:
        pixels = len(x) * g.output[0] * g.output[1]
        grid = blocks(pixels, TILE), blocks(filters, TILE)
        tiled[grid, (TILE, TILE)](x, w, b, y, *_geometry(g))
    else:
        naive[blocks(y.size), THREADS](x, w, b, y, *_geometry(g), groups)
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
    dx = _filled(dy, x_shape, np.nan)
    arrays = contiguous(dy), contiguous(w), dx
    grad_input[blocks(dx.size), THREADS](*arrays, *_geometry(g), groups)
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
    dw = _filled(x, w_shape, np.nan)
    arrays = contiguous(dy), contiguous(x), dw
    grad_weight[blocks(dw.size), THREADS](*arrays, *_geometry(g), groups)
    return dw, dy.sum(axis=(0, 1, 2)) if bias else None


def _geometry(g: Window) -> tuple[Pair, Pair, Pair]:
    """Stride, the padding at the top and at the left, and dilation."""
    return g.stride, (g.padding[0][0], g.padding[1][0]), g.dilation


def _filled(a: Array, shape: Shape, value: float) -> Array:
    """A float32 array on the device of a. NaN shows which values no thread has written."""
    return array_module(a).full(shape, value, np.float32)
