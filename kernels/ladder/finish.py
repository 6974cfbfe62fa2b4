"""What several rungs need: the border, the turned kernel, and bias and ReLU as passes over y."""

import math
from collections.abc import Callable

import numpy as np

from ..cpu.engine.memory import empty
from ..types import Array

SLACK = 16  # floats behind a padded array that the tiles of rung 5 may read


def padded(x: Array, pad: int) -> Array:
    """The images `(N, H, W, C)` with `pad` zeros around each."""
    n, h, w, c = x.shape
    shape = n, h + 2 * pad, w + 2 * pad, c
    result = empty(math.prod(shape) + SLACK)[:-SLACK].reshape(shape)
    result[:, :pad] = result[:, pad + h :] = 0
    result[:, :, :pad] = result[:, :, pad + w :] = 0
    result[:, pad : pad + h, pad : pad + w] = x
    return result


def turned(w: Array) -> Array:
    """The kernel turned by 180 degrees, C and K exchanged: dx is the convolution of dy with it."""
    return np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))


def bias_and_relu(y: Array, b: Array) -> Array:
    """`max(y + b, 0)`, in place: two more passes over y."""
    y += b
    return np.maximum(y, 0, out=y)


def bias_gradient(dy: Array) -> Array:
    """The sum over all pixels, `(K,)`."""
    return dy.sum(axis=(0, 1, 2))


def passes_of(
    convolve: Callable, weights: Callable
) -> tuple[Callable[..., Array], Callable[..., Array], Callable[..., tuple[Array, Array]]]:
    """`forward`, `grad_input` and `grad_weight` (see `ladder`) from two loops that add to zeros.

    `convolve(x, w, y)`: y += x conv w, for padded x. `weights(x, dy, dw)`: dw += x^T dy.
    """

    def apply(x: Array, w: Array, pad: int) -> Array:
        x = padded(x, pad)
        rows, columns = x.shape[1] - len(w) + 1, x.shape[2] - len(w) + 1
        y = np.zeros((len(x), rows, columns, w.shape[3]), np.float32)
        convolve(x, w, y)
        return y

    def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
        return bias_and_relu(apply(x, w, pad), b)

    def grad_input(dy: Array, w: Array, pad: int) -> Array:
        return apply(dy, turned(w), len(w) - 1 - pad)

    def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
        dw = np.zeros((size, size, x.shape[3], dy.shape[3]), np.float32)
        weights(padded(x, pad), dy, dw)
        return dw, bias_gradient(dy)

    return forward, grad_input, grad_weight
