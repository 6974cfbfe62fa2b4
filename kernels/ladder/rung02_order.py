"""loops in cache order: the innermost loop walks along memory, so that every cache line is used whole.

The same seven loops with k innermost: w and y are read in order, and the compiler makes vectors of them. The price is that y is loaded
and stored for every product.
"""

from numba import njit

from .finish import passes_of


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


forward, grad_input, grad_weight = passes_of(_convolve, _weights)
