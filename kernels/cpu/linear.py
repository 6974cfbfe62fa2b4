"""Fully connected layers.

With many rows (images) the three passes are blocked matrix products, those of matrix.py. With few,
reading the weights takes most of the time: the kernels here read them once, in the order of memory.

Small layers take a few microseconds. Records are passed to their kernels as plain tuples, because
making a NamedTuple takes 0.2 us.
"""

from ..types import Array
from . import bfloat16
from .activation import activate, at_least, least_of
from .engine.arrays import address, contiguous, expect_shape, output_array, write_to
from .engine.launch import kernel, task_range, threads_for
from .engine.memory import empty
from .engine.records import Rows
from .engine.rows import fill_zeros
from .engine.simd import (
    FLOAT,
    LANES,
    Address,
    load_part,
    load_scalar,
    reduce_sum,
    splat,
    store_part,
    store_scalar,
)
from .engine.simd.functions import constant
from .matrix import product, sums_of_products
from .precision import PAIR, in_bfloat16

FEW = 12  # rows up to which packing the weights costs more than it saves


@kernel
def _few_rows(task: int, tasks: int, a: Rows, b: Address, columns: int, sums: Address) -> None:
    """The task's part of c = a b for few rows, to sums[task] `(rows, columns)`.

    Tasks share the rows of b, which are read in the order of memory. Four are read at a time, so
    that c is loaded and stored a quarter as often.
    """
    rows, depth = a.rows, a.columns
    first, last = task_range((depth + 3) // 4, task, tasks)
    c = sums + FLOAT * task * rows * columns
    fill_zeros(c, rows * columns)
    for k in range(first * 4, min(last * 4, depth), 4):
        if k + 4 <= depth:
            for j in range(0, columns, LANES):
                n, at = columns - j, k * columns + j
                b0, b1 = load_part(b, at, n), load_part(b, at + columns, n)
                b2, b3 = load_part(b, at + 2 * columns, n), load_part(b, at + 3 * columns, n)
                for r in range(rows):
                    i, place = r * depth + k, r * columns + j
                    a0, a1 = splat(load_scalar(a.data, i)), splat(load_scalar(a.data, i + 1))
                    a2, a3 = splat(load_scalar(a.data, i + 2)), splat(load_scalar(a.data, i + 3))
                    sum = load_part(c, place, n) + a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3
                    store_part(c, place, sum, n)
        else:
            for rest in range(k, depth):
                for j in range(0, columns, LANES):
                    n = columns - j
                    v = load_part(b, rest * columns + j, n)
                    for r in range(rows):
                        factor = splat(load_scalar(a.data, r * depth + rest))
                        sum = load_part(c, r * columns + j, n) + factor * v
                        store_part(c, r * columns + j, sum, n)


@kernel
def _add_parts(
    task: int,
    tasks: int,
    sums: Address,
    parts: int,
    rows: int,
    columns: int,
    bias: Address,
    least: float,
    c: Address,
) -> None:
    """c = max(sum of the parts + bias, least); sums `(parts, rows, columns)`."""
    first, last = task_range(rows, task, tasks)
    for r in range(first, last):
        for j in range(0, columns, LANES):
            n, at = columns - j, r * columns + j
            sum = load_part(sums, at, n)
            for part in range(1, parts):
                sum = sum + load_part(sums, part * rows * columns + at, n)
            if bias != 0:
                sum = sum + load_part(bias, j, n)
            store_part(c, at, at_least(sum, splat(least)), n)


@kernel
def _few_rows_transposed(
    task: int, tasks: int, a: Address, rows: int, depth: int, b: Address, columns: int, c: Address
) -> None:
    """c = a b^T for few rows, b `(columns, depth)`.

    Scalar products of rows that are read in order. Four rows of b at a time give four independent
    chains of additions.
    """
    first, last = task_range(columns, task, tasks)
    for j in range(first, last, 4):
        j1, j2, j3 = min(j + 1, last - 1), min(j + 2, last - 1), min(j + 3, last - 1)
        for r in range(rows):
            s0, s1, s2, s3 = constant(0.0), constant(0.0), constant(0.0), constant(0.0)
            for k in range(0, depth, LANES):
                n = depth - k
                v = load_part(a, r * depth + k, n)
                s0 = s0 + v * load_part(b, j * depth + k, n)
                s1 = s1 + v * load_part(b, j1 * depth + k, n)
                s2 = s2 + v * load_part(b, j2 * depth + k, n)
                s3 = s3 + v * load_part(b, j3 * depth + k, n)
            # In this order the last column keeps its own sum if j1, j2 and j3 are equal to it.
            store_scalar(c, r * columns + j3, reduce_sum(s3))
            store_scalar(c, r * columns + j2, reduce_sum(s2))
            store_scalar(c, r * columns + j1, reduce_sum(s1))
            store_scalar(c, r * columns + j, reduce_sum(s0))


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
        parts = threads_for(flops=2 * w.size * rows)
        sums = empty(parts * rows * columns)
        left = address(x), depth, rows, depth
        _few_rows(parts, left, address(w), columns, address(sums))
        _add_parts(1, address(sums), parts, rows, columns, bias, least_of(activation), address(y))
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
        _few_rows_transposed(
            threads_for(flops=2 * w.size * rows),
            address(dy),
            rows,
            depth,
            address(w),
            columns,
            address(dx),
        )
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
