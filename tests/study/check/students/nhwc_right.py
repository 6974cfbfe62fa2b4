"""A right solution in NHWC with filters (kH, kW, C, K): the layout of minicnn and of needle."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d_forward(x, w, b, stride, padding):
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    patches = sliding_window_view(x, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("npqcij,ijck->npqk", patches, w) + b


def conv2d_backward(dy, x, w, b, stride, padding):
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    patches = sliding_window_view(padded, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    dw = np.einsum("npqcij,npqk->ijck", patches, dy)
    dpadded = np.zeros_like(padded)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            height, width = dy.shape[1:3]
            rows, cols = slice(i, i + height * stride, stride), slice(j, j + width * stride, stride)
            dpadded[:, rows, cols][:, :height, :width] += dy @ w[i, j].T
    h, v = x.shape[1:3]
    return dpadded[:, padding : padding + h, padding : padding + v], dw, dy.sum((0, 1, 2))


def avg_pool_forward(x, kernel_size, stride, padding=0):
    kh, kw = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return sliding_window_view(x, (kh, kw), axis=(1, 2))[:, ::stride, ::stride].mean(axis=(4, 5))


def avg_pool_backward(dy, x, kernel_size, stride, padding=0):
    kh, kw = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    n, h, v, c = x.shape
    dx = np.zeros((n, h + 2 * padding, v + 2 * padding, c))
    for p in range(dy.shape[1]):
        for q in range(dy.shape[2]):
            share = dy[:, p, q][:, None, None] / (kh * kw)
            dx[:, p * stride : p * stride + kh, q * stride : q * stride + kw] += share
    return dx[:, padding : padding + h, padding : padding + v]


def lrn_forward(x, size, alpha, beta, k):
    squares, half = np.zeros_like(x), size // 2
    for c in range(x.shape[-1]):
        squares[..., c] = (x[..., max(0, c - half) : c + half + 1] ** 2).sum(axis=-1)
    scale = k + alpha * squares
    return x * scale**-beta, (x, scale, size, alpha, beta)


def lrn_backward(dy, cache):
    x, scale, size, alpha, beta = cache
    half = size // 2
    inner = dy * x * scale ** (-beta - 1)
    crossed = np.zeros_like(x)
    for c in range(x.shape[-1]):
        crossed[..., c] = inner[..., max(0, c - half) : c + half + 1].sum(axis=-1)
    return dy * scale**-beta - 2 * alpha * beta * x * crossed
