"""loops in cache order: the innermost loop walks along memory, so that every cache line is used whole.

The same seven loops with k innermost: w and y are read in order, and the compiler makes vectors of them. The price is that y is loaded
and stored for every product.
"""

import numpy as np
from numba import njit

from .finish import bias_and_relu, bias_gradient, padded, turned


@njit(cache=True)
def _convolve(x, w, y):
    images, rows, columns, filters = y.shape
    size, _, channels, _ = w.shape
    for n in range(images):
        for p in range(rows):
            for i in range(size):
                for q in range(columns):
                    for j in range(size):
                        for c in range(channels):
                            value = x[n, p + i, q + j, c]
                            for k in range(filters):
                                y[n, p, q, k] += value * w[i, j, c, k]


@njit(cache=True)
def _weights(x, dy, dw):
    images, rows, columns, filters = dy.shape
    size, _, channels, _ = dw.shape
    for n in range(images):
        for p in range(rows):
            for q in range(columns):
                for i in range(size):
                    for j in range(size):
                        for c in range(channels):
                            value = x[n, p + i, q + j, c]
                            for k in range(filters):
                                dw[i, j, c, k] += value * dy[n, p, q, k]


def _apply(x, w, pad):
    x = padded(x, pad)
    y = np.zeros((len(x), x.shape[1] - len(w) + 1, x.shape[2] - len(w) + 1, w.shape[3]), np.float32)
    _convolve(x, w, y)
    return y


def forward(x, w, b, pad):
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy, w, pad):
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy, x, size, pad):
    """See `ladder`."""
    dw = np.zeros((size, size, x.shape[3], dy.shape[3]), np.float32)
    _weights(padded(x, pad), dy, dw)
    return dw, bias_gradient(dy)
