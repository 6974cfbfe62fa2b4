"""Fully connected layers.

With many rows (images) the three passes are blocked matrix products, those of matrix.py. With few,
reading the weights takes most of the time: few_rows.py reads them once, in the order of memory.
"""

from ..types import Array
from . import bfloat16, few_rows
from .activation import activate, least_of
from .engine.arrays import address, contiguous, expect_shape, output_array, write_to
from .engine.memory import empty
from .matrix import product, sums_of_products
from .precision import PAIR, in_bfloat16

FEW = 12  # rows up to which packing the weights costs more than it saves
RUNNING_SUM = 2048  # rows: float32 loses digits in longer running sums


def linear(
    x: Array,
    w: Array,
    b: Array | None = None,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """See `reference.linear`."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0]:
        raise ValueError(f"linear: x {x.shape} and w {w.shape}: expected (N, in) and (in, out)")
    if b is not None:
        expect_shape("linear: b", b, (w.shape[1],))
    x, w = contiguous(x), contiguous(w)
    b = None if b is None else contiguous(b)
    (rows, depth), columns = x.shape, w.shape[1]
    y, bias = output_array(out, (rows, columns)), 0 if b is None else address(b)
    if rows <= FEW:
        few_rows.product(x, w, y, bias, least_of(activation))
    elif in_bfloat16(depth):
        bfloat16.linear(x, w, y, bias, activation == "relu")
    else:
        product(x, (address(w), columns, 1), y, bias, activation == "relu")
    if activation not in (None, "relu"):
        activate(y, activation, out=y)
    return write_to(out, y)


def linear_grad_input(dy: Array, w: Array) -> Array:
    """See `reference.linear_grad_input`."""
    if dy.ndim != 2 or w.ndim != 2 or dy.shape[1] != w.shape[1]:
        raise ValueError(
            f"linear_grad_input: dy {dy.shape} and w {w.shape}: expected (N, out) and (in, out)"
        )
    dy, w = contiguous(dy), contiguous(w)
    (rows, depth), columns = dy.shape, w.shape[0]
    dx = empty((rows, columns))
    if rows <= FEW:
        few_rows.transposed_product(dy, w, dx)
    elif in_bfloat16(depth):
        bfloat16.linear_grad_input(dy, w, dx)
    else:
        product(dy, (address(w), 1, depth), dx)
    return dx


def linear_grad_weight(dy: Array, x: Array) -> tuple[Array, Array]:
    """See `reference.linear_grad_weight`."""
    if dy.ndim != 2 or x.ndim != 2 or len(dy) != len(x):
        raise ValueError(
            f"linear_grad_weight: dy {dy.shape} and x {x.shape}: expected (N, out) and (N, in)"
        )
    dy, x = contiguous(dy), contiguous(x)
    sums = bfloat16.sums_of_products if in_bfloat16(PAIR) else sums_of_products
    dw, db = sums(dy[:RUNNING_SUM], x[:RUNNING_SUM])
    for first in range(RUNNING_SUM, len(x), RUNNING_SUM):
        part = sums(dy[first : first + RUNNING_SUM], x[first : first + RUNNING_SUM])
        dw, db = dw + part[0], db + part[1]
    return dw, db
