"""seven loops: the formula as it stands, output by output.

    y[n, p, q, k] = sum over i, j, c of x[n, p + i, q + j, c] * w[i, j, c, k]

The innermost loop is over c. It reads x in order, but from one c to the next w is K floats further:
each product needs another cache line of w, of which it uses one float in 16. And each product waits
for the sum before it, 4 cycles with one FMA, where two FMA units with 16 lanes could do 128.
"""

import numpy as np
from numba import njit

from ..types import Array
from .finish import passes_of


@njit(cache=True)
def _convolve(x: Array, w: Array, y: Array) -> None:
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
def _weights(x: Array, dy: Array, dw: Array) -> None:
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
