"""Winograd F(4x4, 3x3): 36 products instead of 144 for 4 x 4 results.

    Y = A^T [ (G g G^T) * (B^T d B) ] A       g (3, 3), d (6, 6), Y (4, 4)

The same algorithm as rung 9 with two more points, 2 and -2. Each of the 36 positions has a matrix
product over a quarter as many squares as in rung 9, which saves 1 - 36/144 = 75 % of the FMAs. V
and M are smaller too: 36/16 = 2.25 floats per pixel and channel instead of 4.

The maps now multiply, and their factors from 1/24 to 8 cost accuracy: large numbers cancel. The
relative error is about 2e-6 instead of 3e-7, which is small against the noise of a training step.
It grows fast with the number of points.
"""

import numpy as np

from ..types import Array
from .finish import bias_gradient, turned
from .rung09_winograd2 import KERNEL, convolve, maps, weight_gradient

__all__ = ["KERNEL", "forward", "grad_input", "grad_weight"]

B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
A_T = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ]
)

F = maps(B_T, G, A_T)


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return convolve(F, x, w, b, pad)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return convolve(F, dy, turned(w), None, 2 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    return weight_gradient(F, dy, x, size, pad), bias_gradient(dy)
