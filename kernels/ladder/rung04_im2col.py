"""im2col: write each patch as a row of a matrix, and leave the product to a tuned library.

    y = A w        A (N H' W', R R C)        dw = A^T dy        (Chellapilla, Puri & Simard 2006)

NumPy multiplies with a BLAS library, which keeps blocks of the result in registers and uses all
cores. The price is A: R R times as large as the image, written to memory and read again. A product
of BLAS makes 2 K FLOP with each float of A; the smaller K, the more of the time goes into A.
"""

import numpy as np

from ..types import Array, Shape
from .finish import bias_and_relu, bias_gradient, padded, turned


def _patches(x: Array, size: int, pad: int) -> tuple[Array, Shape]:
    """A, one row per pixel, `(N H' W', R R C)`; and `(N, H', W')`."""
    x = padded(x, pad)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    rows = windows.transpose(0, 1, 2, 4, 5, 3)  # (N, H', W', C, R, R) -> (N, H', W', R, R, C)
    return rows.reshape(-1, size * size * x.shape[3]), windows.shape[:3]


def _apply(x: Array, w: Array, pad: int) -> Array:
    a, shape = _patches(x, len(w), pad)
    return (a @ w.reshape(a.shape[1], -1)).reshape(*shape, -1)


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    a, _ = _patches(x, size, pad)
    dw = a.T @ dy.reshape(len(a), -1)
    return dw.reshape(size, size, x.shape[3], -1), bias_gradient(dy)
