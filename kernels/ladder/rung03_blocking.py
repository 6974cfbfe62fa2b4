"""cache blocking: a block of weights, packed, stays in the nearest cache while a whole row of pixels uses it.

Rung 2 goes through all weights of a kernel row for each pixel; with many channels they come from the second cache every time. Here 64 x 64
of them (16 KB) are copied side by side and serve all pixels of a row before the next ones come. The loops over the block have a length
that the compiler knows.
"""

import numpy as np
from numba import njit

from .finish import passes_of

BLOCK = 64  # channels and filters


@njit(cache=True)
def _convolve(x, w, y):
    images, rows, columns, filters = y.shape
    size, _, channels, _ = w.shape
    weights, sums = np.zeros((BLOCK, BLOCK), np.float32), np.empty((columns, BLOCK), np.float32)
    for k0 in range(0, filters, BLOCK):
        k1 = min(k0 + BLOCK, filters)
        for n in range(images):
            for p in range(rows):
                sums[:] = 0
                for c0 in range(0, channels, BLOCK):
                    c1 = min(c0 + BLOCK, channels)
                    for i in range(size):
                        for j in range(size):
                            weights[: c1 - c0, : k1 - k0] = w[i, j, c0:c1, k0:k1]
                            for q in range(columns):
                                for c in range(c1 - c0):
                                    value = x[n, p + i, q + j, c0 + c]
                                    for k in range(BLOCK):
                                        sums[q, k] += value * weights[c, k]
                y[n, p, :, k0:k1] = sums[:, : k1 - k0]


@njit(cache=True)
def _weights(x, dy, dw):
    images, rows, columns, filters = dy.shape
    size, _, channels, _ = dw.shape
    sums, gradient = np.empty((BLOCK, BLOCK), np.float32), np.zeros((columns, BLOCK), np.float32)
    for k0 in range(0, filters, BLOCK):
        k1 = min(k0 + BLOCK, filters)
        for c0 in range(0, channels, BLOCK):
            c1 = min(c0 + BLOCK, channels)
            for i in range(size):
                for j in range(size):
                    sums[:] = 0
                    for n in range(images):
                        for p in range(rows):
                            gradient[:, : k1 - k0] = dy[n, p, :, k0:k1]
                            for q in range(columns):
                                for c in range(c1 - c0):
                                    value = x[n, p + i, q + j, c0 + c]
                                    for k in range(BLOCK):
                                        sums[c, k] += value * gradient[q, k]
                    dw[i, j, c0:c1, k0:k1] = sums[: c1 - c0, : k1 - k0]


forward, grad_input, grad_weight = passes_of(_convolve, _weights)
