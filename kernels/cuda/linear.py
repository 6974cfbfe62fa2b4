"""Fully connected layers on the GPU: convolutions of images of one pixel."""

from ..reference.arrays import write_to
from ..types import Array
from .conv import conv2d, conv2d_grad_input, conv2d_grad_weight


def linear(
    x: Array,
    w: Array,
    b: Array | None = None,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """See `functional.linear`."""
    y = conv2d(_images(x), w[None, None], b, activation=activation)
    return write_to(out, y.reshape(len(x), -1))


def linear_grad_input(dy: Array, w: Array) -> Array:
    """See `functional.linear_grad_input`."""
    dx = conv2d_grad_input(_images(dy), w[None, None], (len(dy), 1, 1, len(w)))
    return dx.reshape(len(dy), -1)


def linear_grad_weight(dy: Array, x: Array) -> tuple[Array, Array | None]:
    """See `functional.linear_grad_weight`."""
    shape = 1, 1, x.shape[1], dy.shape[1]
    dw, db = conv2d_grad_weight(_images(dy), _images(x), shape)
    return dw[0, 0], db


def _images(rows: Array) -> Array:
    """`(N, C)` as `(N, 1, 1, C)`."""
    return rows[:, None, None, :]
