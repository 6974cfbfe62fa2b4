"""cache blocking: what has been loaded is used several times before the next comes.

Rung 2 goes through all weights of a kernel row for each pixel; they come from the second cache, at
best. Here a block of 64 x 64 weights, 16 KB, is packed side by side, stays in the nearest cache
(32 KB or more), and serves all pixels of an image before the next block comes.

The sums of a pixel take four channels at a time: five loads and one store for four FMAs, where rung
2 makes eight loads and four stores. The weight gradient does the same with a block of dw and four
pixels at a time.
"""

import numpy as np
from numba import njit

from ..types import Array
from .finish import passes_of

BLOCK = 64  # channels and filters; a constant, so that the compiler knows the length of the loops


@njit(cache=True)
def _convolve(x: Array, w: Array, y: Array) -> None:
    images, rows, columns, filters = y.shape
    size, _, channels, _ = w.shape
    b, sums = np.zeros((BLOCK, BLOCK), np.float32), np.zeros(BLOCK, np.float32)
    for n in range(images):
        for k0 in range(0, filters, BLOCK):
            k1 = min(k0 + BLOCK, filters)
            for c0 in range(0, channels, BLOCK):
                c1 = min(c0 + BLOCK, channels)
                fours = (c1 - c0) // 4 * 4
                for i in range(size):
                    for j in range(size):
                        b[: c1 - c0, : k1 - k0] = w[i, j, c0:c1, k0:k1]
                        for p in range(rows):
                            for q in range(columns):
                                a = x[n, p + i, q + j, c0:c1]
                                sums[: k1 - k0] = y[n, p, q, k0:k1]
                                for c in range(0, fours, 4):
                                    a0, a1, a2, a3 = a[c], a[c + 1], a[c + 2], a[c + 3]
                                    for k in range(BLOCK):
                                        sums[k] += (
                                            a0 * b[c, k]
                                            + a1 * b[c + 1, k]
                                            + a2 * b[c + 2, k]
                                            + a3 * b[c + 3, k]
                                        )
                                for c in range(fours, c1 - c0):
                                    for k in range(BLOCK):
                                        sums[k] += a[c] * b[c, k]
                                y[n, p, q, k0:k1] = sums[: k1 - k0]


@njit(cache=True)
def _weights(x: Array, dy: Array, dw: Array) -> None:
    images, rows, columns, filters = dy.shape
    size, _, channels, _ = dw.shape
    a, b = np.zeros((columns + 3, BLOCK), np.float32), np.zeros((columns + 3, BLOCK), np.float32)
    sums = np.zeros((BLOCK, BLOCK), np.float32)
    for k0 in range(0, filters, BLOCK):
        k1 = min(k0 + BLOCK, filters)
        for c0 in range(0, channels, BLOCK):
            c1 = min(c0 + BLOCK, channels)
            for i in range(size):
                for j in range(size):
                    sums[:] = 0
                    for n in range(images):
                        for p in range(rows):
                            a[:columns, : c1 - c0] = x[n, p + i, j : j + columns, c0:c1]
                            b[:columns, : k1 - k0] = dy[n, p, :, k0:k1]
                            for q in range(0, columns, 4):
                                for c in range(c1 - c0):
                                    a0, a1, a2, a3 = a[q, c], a[q + 1, c], a[q + 2, c], a[q + 3, c]
                                    for k in range(BLOCK):
                                        sums[c, k] += (
                                            a0 * b[q, k]
                                            + a1 * b[q + 1, k]
                                            + a2 * b[q + 2, k]
                                            + a3 * b[q + 3, k]
                                        )
                    dw[i, j, c0:c1, k0:k1] = sums[: c1 - c0, : k1 - k0]


forward, grad_input, grad_weight = passes_of(_convolve, _weights)
