"""Winograd F(2x2): four results of a 3x3 kernel from 16 products instead of 36 (Lavin & Gray 2015).

A tile of 4 x 4 pixels is transformed by additions alone, multiplied point by point, summed over the channels and transformed back
(`kernels/cpu/winograd.py`).
"""

from ..cpu import conv

ALGORITHM = "winograd2"


def forward(x, w, b, pad):
    """See `ladder`."""
    with conv.algorithm(ALGORITHM):
        return conv.conv2d(x, w, b, padding=pad, activation="relu")


def grad_input(dy, w, pad):
    """See `ladder`."""
    image = [s + len(w) - 1 - 2 * pad for s in dy.shape[1:3]]
    with conv.algorithm(ALGORITHM):
        return conv.conv2d_grad_input(dy, w, (len(dy), *image, w.shape[2]), padding=pad)


def grad_weight(dy, x, size, pad):
    """See `ladder`."""
    with conv.algorithm(ALGORITHM):
        return conv.conv2d_grad_weight(dy, x, (size, size, x.shape[3], dy.shape[3]), padding=pad)
