"""cache blocking: a block of weights and of outputs stays in the nearest cache while it is used again and again.

Rung 2 reads all R * R * C * K weights for each pixel. Here 32 filters' weights for 32 channels (4 KB at a time) serve 16 pixels of a row
before the next ones come.
"""

import numpy as np
from numba import njit

from .finish import bias_and_relu, bias_gradient, padded, turned

PIXELS, CHANNELS, FILTERS = 16, 32, 32


@njit(cache=True)
def _convolve(x, w, y):
    images, rows, columns, filters = y.shape
    size, _, channels, _ = w.shape
    for k0 in range(0, filters, FILTERS):
        for n in range(images):
            for p in range(rows):
                for q0 in range(0, columns, PIXELS):
                    for c0 in range(0, channels, CHANNELS):
                        for i in range(size):
                            for j in range(size):
                                for q in range(q0, min(q0 + PIXELS, columns)):
                                    for c in range(c0, min(c0 + CHANNELS, channels)):
                                        value = x[n, p + i, q + j, c]
                                        for k in range(k0, min(k0 + FILTERS, filters)):
                                            y[n, p, q, k] += value * w[i, j, c, k]


@njit(cache=True)
def _weights(x, dy, dw):
    images, rows, columns, filters = dy.shape
    size, _, channels, _ = dw.shape
    for k0 in range(0, filters, FILTERS):
        for c0 in range(0, channels, CHANNELS):
            for n in range(images):
                for p in range(rows):
                    for i in range(size):
                        for j in range(size):
                            for q in range(columns):
                                for c in range(c0, min(c0 + CHANNELS, channels)):
                                    value = x[n, p + i, q + j, c]
                                    for k in range(k0, min(k0 + FILTERS, filters)):
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
