"""loops in cache order: the innermost loop goes along memory.

The same seven loops with k innermost. It reads w and y in order: all 16 floats of a cache line are
used, and since neighboring k are separate sums, the compiler computes a vector of them at a time.
The price is that y is no longer a sum in a register: each FMA loads w, loads y and stores y.
"""

from numba import njit

from ..types import Array
from .finish import passes_of


@njit(cache=True)
def _convolve(x: Array, w: Array, y: Array) -> None:
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
def _weights(x: Array, dy: Array, dw: Array) -> None:
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


forward, grad_input, grad_weight = passes_of(_convolve, _weights)
