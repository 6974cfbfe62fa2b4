"""seven loops: the formula as it stands, output by output.

    y[n, p, q, k] = sum over i, j, c of x[n, p + i, q + j, c] * w[i, j, c, k]

Innermost is c: x is read in order, but each step of w is K floats further, a new cache line every time.
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
            for q in range(columns):
                for k in range(filters):
                    total = np.float32(0)
                    for i in range(size):
                        for j in range(size):
                            for c in range(channels):
                                total += x[n, p + i, q + j, c] * w[i, j, c, k]
                    y[n, p, q, k] = total


@njit(cache=True)
def _weights(x, dy, dw):
    images, rows, columns, filters = dy.shape
    size, _, channels, _ = dw.shape
    for i in range(size):
        for j in range(size):
            for c in range(channels):
                for k in range(filters):
                    total = np.float32(0)
                    for n in range(images):
                        for p in range(rows):
                            for q in range(columns):
                                total += x[n, p + i, q + j, c] * dy[n, p, q, k]
                    dw[i, j, c, k] = total


def _apply(x, w, pad):
    x = padded(x, pad)
    y = np.empty((len(x), x.shape[1] - len(w) + 1, x.shape[2] - len(w) + 1, w.shape[3]), np.float32)
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
    dw = np.empty((size, size, x.shape[3], dy.shape[3]), np.float32)
    _weights(padded(x, pad), dy, dw)
    return dw, bias_gradient(dy)
