"""Fully connected layers.

With many rows (images) they are blocked matrix products. With few rows reading the weights takes
most of the time, and they are read once.
"""

from ..types import Array
from .activation import activate, at_least, least_of
from .engine.arrays import address, contiguous, expect_shape, output_array, write_to
from .engine.gemm import COLUMNS, FLOAT, ROWS, multiply, pack
from .engine.launch import kernel, task_range, threads_for
from .engine.memory import empty
from .engine.simd import (
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

DEPTH = 256  # rows of the weights that are packed at a time
WIDTH = 256  # columns of them
STRIP = 6 * ROWS  # rows of the weight gradient that are written at a time
FEW = 12  # up to so many images, packing the weights costs more than it saves


@kernel
def _product(
    task: int,
    tasks: int,
    a: Address,
    rows: int,
    depth: int,
    b: Address,
    bk_step: int,
    bn_step: int,
    columns: int,
    c: Address,
    bias: Address,
    relu: int,
    scratch: Address,
) -> None:
    """c[rows, columns] = a b; tasks share the columns.

    Element (k, n) of b is at b[k * bk_step + n * bn_step].
    """
    first, last = task_range((columns + COLUMNS - 1) // COLUMNS, task, tasks)
    first, last = first * COLUMNS, min(last * COLUMNS, columns)
    panels = scratch + FLOAT * task * DEPTH * (WIDTH + rows + ROWS)
    left = panels + FLOAT * DEPTH * WIDTH
    for k in range(0, depth, DEPTH):
        steps, final = min(DEPTH, depth - k), k + DEPTH >= depth
        for r in range(rows):
            for i in range(0, steps, LANES):
                store_part(
                    left, r * steps + i, load_part(a, r * depth + k + i, steps - i), steps - i
                )
        for j in range(first, last, WIDTH):
            width = min(WIDTH, last - j)
            pack(
                b + FLOAT * (k * bk_step + j * bn_step),
                bk_step,
                bn_step,
                steps,
                width,
                panels,
                steps,
                0,
            )
            bias_j = bias + FLOAT * j if final and bias != 0 else 0
            multiply(
                left,
                steps,
                1,
                panels,
                steps,
                0,
                steps,
                c + FLOAT * j,
                columns,
                rows,
                width,
                k > 0,
                bias_j,
                relu if final else 0,
            )


@kernel
def _few_rows(
    task: int,
    tasks: int,
    a: Address,
    rows: int,
    depth: int,
    b: Address,
    columns: int,
    sums: Address,
) -> None:
    """The task's part of c = a b for few rows, to sums[task].

    Its rows of b are read in the order of memory, four at a time.
    """
    first, last = task_range((depth + 3) // 4, task, tasks)
    c = sums + FLOAT * task * rows * columns
    for i in range(0, rows * columns, LANES):
        store_part(c, i, constant(0.0), rows * columns - i)
    for k in range(first * 4, min(last * 4, depth), 4):
        if k + 4 <= depth:
            for j in range(0, columns, LANES):
                n, at = columns - j, k * columns + j
                b0, b1 = load_part(b, at, n), load_part(b, at + columns, n)
                b2, b3 = load_part(b, at + 2 * columns, n), load_part(b, at + 3 * columns, n)
                for r in range(rows):
                    i = r * depth + k
                    sum = (
                        load_part(c, r * columns + j, n)
                        + splat(load_scalar(a, i)) * b0
                        + splat(load_scalar(a, i + 1)) * b1
                    )
                    store_part(
                        c,
                        r * columns + j,
                        sum + splat(load_scalar(a, i + 2)) * b2 + splat(load_scalar(a, i + 3)) * b3,
                        n,
                    )
        else:
            for rest in range(k, depth):
                for j in range(0, columns, LANES):
                    v = load_part(b, rest * columns + j, columns - j)
                    for r in range(rows):
                        sum = (
                            load_part(c, r * columns + j, columns - j)
                            + splat(load_scalar(a, r * depth + rest)) * v
                        )
                        store_part(c, r * columns + j, sum, columns - j)


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
    """c = max(sum of the parts + bias, least)."""
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

    Scalar products of rows that are read in order, four rows of b at a time.
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
            # In this order the last column's own sum is what stays.
            store_scalar(c, r * columns + j3, reduce_sum(s3))
            store_scalar(c, r * columns + j2, reduce_sum(s2))
            store_scalar(c, r * columns + j1, reduce_sum(s1))
            store_scalar(c, r * columns + j, reduce_sum(s0))


@kernel
def _outer_products(
    task: int,
    tasks: int,
    x: Address,
    x_step: int,
    images: int,
    rows: int,
    dy: Address,
    columns: int,
    dw: Address,
    db: Address,
    scratch: Address,
) -> None:
    """dw[rows, columns] = x^T dy, one strip of dw after the other; tasks share the rows."""
    first, last = task_range((rows + ROWS - 1) // ROWS, task, tasks)
    first, last = first * ROWS, min(last * ROWS, rows)
    panels = scratch + FLOAT * task * images * WIDTH
    for j in range(0, columns, WIDTH):
        width = min(WIDTH, columns - j)
        pack(dy + FLOAT * j, columns, 1, images, width, panels, images, 0)
        for r in range(first, last, STRIP):
            multiply(
                x + FLOAT * r,
                1,
                x_step,
                panels,
                images,
                0,
                images,
                dw + FLOAT * (r * columns + j),
                columns,
                min(STRIP, last - r),
                width,
                0,
                0,
                0,
            )
    if task == 0:
        for j in range(0, columns, LANES):
            sum = constant(0.0)
            for m in range(images):
                sum = sum + load_part(dy, m * columns + j, columns - j)
            store_part(db, j, sum, columns - j)


def _multiply(
    a: Array,
    b: Array,
    bk_step: int,
    bn_step: int,
    columns: int,
    c: Array,
    bias: Address = 0,
    relu: bool = False,
) -> None:
    rows, depth = a.shape
    tasks = threads_for(flops=2 * rows * depth * columns)
    scratch = empty(tasks * DEPTH * (WIDTH + rows + ROWS) + LANES)
    _product(
        tasks,
        address(a),
        rows,
        depth,
        address(b),
        bk_step,
        bn_step,
        columns,
        address(c),
        bias,
        relu,
        address(scratch),
    )


TOGETHER = 2048  # rows of one running sum: float32 loses digits in longer ones


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
        _few_rows(parts, address(x), rows, depth, address(w), columns, address(sums))
        _add_parts(1, address(sums), parts, rows, columns, bias, least_of(activation), address(y))
    else:
        _multiply(x, w, columns, 1, columns, y, bias, activation == "relu")
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
    else:
        _multiply(dy, w, 1, depth, columns, dx)
    return dx


def linear_grad_weight(dy: Array, x: Array) -> tuple[Array, Array]:
    """See `reference.linear_grad_weight`."""
    if dy.ndim != 2 or x.ndim != 2 or len(dy) != len(x):
        raise ValueError(
            f"linear_grad_weight: dy {dy.shape} and x {x.shape}: expected (N, out) and (N, in)"
        )
    dy, x = contiguous(dy), contiguous(x)
    dw, db = _sums_of_products(dy[:TOGETHER], x[:TOGETHER])
    for first in range(TOGETHER, len(x), TOGETHER):
        part = _sums_of_products(dy[first : first + TOGETHER], x[first : first + TOGETHER])
        dw, db = dw + part[0], db + part[1]
    return dw, db


def _sums_of_products(dy: Array, x: Array) -> tuple[Array, Array]:
    """x^T dy and the sums of dy, each a running sum over the rows."""
    (images, rows), columns = x.shape, dy.shape[1]
    dw, db = empty((rows, columns)), empty(columns)
    # Tiles read ROWS columns of x at a time, also where the last of them are missing.
    left = empty((images, -(-rows // ROWS) * ROWS))
    left[:, :rows] = x
    tasks = threads_for(flops=2 * dw.size * images)
    scratch = empty(tasks * images * WIDTH + LANES)
    _outer_products(
        tasks,
        address(left),
        left.shape[1],
        images,
        rows,
        address(dy),
        columns,
        address(dw),
        address(db),
        address(scratch),
    )
    return dw, db
