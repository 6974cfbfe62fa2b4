"""seven loops: the formula as it stands, output by output.

    y[n, p, q, k] = sum over i, j, c of x[n, p + i, q + j, c] * w[i, j, c, k]

Innermost is c: x is read in order, but each step of w is K floats further, a new cache line every time.
"""

import numpy as np
from numba import njit

from .finish import passes_of


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


forward, grad_input, grad_weight = passes_of(_convolve, _weights)
