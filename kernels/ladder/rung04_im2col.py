"""im2col: write every patch out as a row, and let a tuned matrix product do the rest.

    y = A w,   A (N H' W', R R C)      dw = A^T dy      (Chellapilla, Puri & Simard 2006)

NumPy's product is its BLAS library's. The price is A: R * R times the image, written and read again.
"""

import numpy as np

from .finish import bias_and_relu, bias_gradient, padded, turned


def _patches(x, size, pad):
    """A: one row a pixel, `(N H' W', R R C)`."""
    x = padded(x, pad)
    windows = np.lib.stride_tricks.sliding_window_view(
        x, (size, size), axis=(1, 2)
    )  # (N, H', W', C, R, R)
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * x.shape[3]), windows.shape[
        :3
    ]


def _apply(x, w, pad):
    rows, shape = _patches(x, len(w), pad)
    return (rows @ w.reshape(rows.shape[1], -1)).reshape(*shape, -1)


def forward(x, w, b, pad):
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy, w, pad):
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy, x, size, pad):
    """See `ladder`."""
    rows, _ = _patches(x, size, pad)
    dw = rows.T @ dy.reshape(len(rows), -1)
    return dw.reshape(size, size, x.shape[3], -1), bias_gradient(dy)
