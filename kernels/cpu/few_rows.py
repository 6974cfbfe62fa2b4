"""Products of matrices with few rows, as fully connected layers need them for few images.

Reading the weights takes most of the time: the kernels here read them once, in the order of memory.
In the precision "bf16" they round them on the way. From the second batch of `inference_mode` on
they read words, which are half the bytes.

Small layers take a few microseconds. Records are passed to kernels as plain tuples, because making
a NamedTuple takes 0.2 us.
"""

from ..types import Array
from .activation import at_least
from .engine.arrays import address
from .engine.launch import inline, kernel, replaced, task_range
from .engine.memory import empty
from .engine.records import Rows
from .engine.rows import fill_zeros
from .engine.simd import (
    FLOAT,
    LANES,
    Address,
    Vector,
    load_part,
    load_scalar,
    reduce_sum,
    splat,
    store_part,
    store_scalar,
)
from .engine.simd.functions import constant
from .engine.simd.pairs import add_pair_products, pair
from .engine.threads import threads_for
from .engine.weight_cache import kept_in_block
from .precision import in_bfloat16
from .words import matrix_words, row_words


@inline
def load_row(b: Address, k: int, columns: int, j: int) -> Vector:
    """b[k, j : j + LANES]."""
    return load_part(b, k * columns + j, columns - j)


@inline
def add_product(a: Vector, b: Vector, sums: Vector) -> Vector:
    """sums + a * b in each lane."""
    return sums + a * b


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
                b0, b1 = load_row(b, k, columns, j), load_row(b, k + 1, columns, j)
                b2, b3 = load_row(b, k + 2, columns, j), load_row(b, k + 3, columns, j)
                for r in range(rows):
                    i, place = r * depth + k, r * columns + j
                    a0, a1 = splat(load_scalar(a.data, i)), splat(load_scalar(a.data, i + 1))
                    a2, a3 = splat(load_scalar(a.data, i + 2)), splat(load_scalar(a.data, i + 3))
                    sum = add_product(a0, b0, load_part(c, place, columns - j))
                    sum = add_product(a2, b2, add_product(a1, b1, sum))
                    store_part(c, place, add_product(a3, b3, sum), columns - j)
        else:
            for rest in range(k, depth):
                for j in range(0, columns, LANES):
                    v = load_row(b, rest, columns, j)
                    for r in range(rows):
                        factor = splat(load_scalar(a.data, r * depth + rest))
                        sum = load_part(c, r * columns + j, columns - j)
                        sum = add_product(factor, v, sum)
                        store_part(c, r * columns + j, sum, columns - j)


@inline
def _load_rounded(b: Address, k: int, columns: int, j: int) -> Vector:
    """Words of b[2k, j : j + LANES] and b[2k + 1, j : j + LANES]."""
    return pair(load_row(b, 2 * k, columns, j), load_row(b, 2 * k + 1, columns, j))


_few_words = kernel(replaced(_few_rows, "_few_words", add_product=add_pair_products))
_few_rounded = kernel(
    replaced(_few_rows, "_few_rounded", add_product=add_pair_products, load_row=_load_rounded)
)


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


def product(x: Array, w: Array, y: Array, bias: Address, least: float) -> None:
    """y = max(x w + bias, least); all are contiguous."""
    (rows, depth), columns = x.shape, w.shape[1]
    run, b = _few_rows, w
    if in_bfloat16(depth):
        words = kept_in_block(w, lambda: row_words(w))
        run, b = (_few_rounded, w) if words is None else (_few_words, words)
        x, depth = matrix_words(x), depth // 2
    parts = threads_for(flops=2 * w.size * rows)
    sums = empty(parts * rows * columns)
    run(parts, (address(x), depth, rows, depth), address(b), columns, address(sums))
    _add_parts(1, address(sums), parts, rows, columns, bias, least, address(y))


def transposed_product(dy: Array, w: Array, dx: Array) -> None:
    """dx = dy w^T; all are contiguous. In float32 also in the precision "bf16"."""
    (rows, depth), columns = dy.shape, w.shape[0]
    tasks = threads_for(flops=2 * w.size * rows)
    _few_rows_transposed(tasks, address(dy), rows, depth, address(w), columns, address(dx))
