"""Products of matrices with many rows, as fully connected layers need them."""

from ..types import Array
from .engine.arrays import address
from .engine.gemm import multiply, pack
from .engine.launch import kernel, task_range
from .engine.memory import empty
from .engine.records import Rows, Strided
from .engine.rows import copy
from .engine.simd import COLUMNS, FLOAT, LANES, ROWS, Address, load_part, store_part
from .engine.simd.functions import constant
from .engine.threads import threads_for

DEPTH = 256  # rows of the weights that are packed at a time
WIDTH = 256  # columns of them
STRIP = 6 * ROWS  # rows of the weight gradient that are written at a time


@kernel
def row_products(
    task: int,
    tasks: int,
    a: Rows,
    b: Strided,
    c: Rows,
    bias: Address,
    relu: bool,
    scratch: Address,
) -> None:
    """c = a b + bias, at least 0 with `relu`: `(rows, depth) (depth, columns)`.

    Tasks share the columns. DEPTH rows and WIDTH columns of b are packed at a time, so that they
    stay in the cache while all rows of a are multiplied by them.
    """
    first, last = task_range((c.columns + COLUMNS - 1) // COLUMNS, task, tasks)
    first, last = first * COLUMNS, min(last * COLUMNS, c.columns)
    panels = scratch + FLOAT * task * DEPTH * (WIDTH + a.rows + ROWS)
    left = panels + FLOAT * DEPTH * WIDTH
    for k in range(0, a.columns, DEPTH):
        steps, final = min(DEPTH, a.columns - k), k + DEPTH >= a.columns
        for r in range(a.rows):
            for i in range(0, steps, LANES):
                v = load_part(a.data, r * a.step + k + i, steps - i)
                store_part(left, r * steps + i, v, steps - i)
        for j in range(first, last, WIDTH):
            width = min(WIDTH, last - j)
            block = b.data + FLOAT * (k * b.row_step + j * b.column_step)
            pack(Strided(block, b.row_step, b.column_step), steps, width, panels, steps, 0)
            bias_j = bias + FLOAT * j if final and bias != 0 else 0
            result = Rows(c.data + FLOAT * j, c.step, c.rows, width)
            rows = Strided(left, steps, 1)
            multiply(rows, panels, steps, result, k > 0, bias_j, relu and final)


@kernel
def outer_products(
    task: int, tasks: int, x: Rows, dy: Rows, dw: Address, db: Address, scratch: Address
) -> None:
    """dw = x^T dy `(in, out)`, db = the sums of dy `(out,)`; tasks share the rows of dw.

    WIDTH columns of dy are packed and stay in the cache while all strips of dw are computed. The
    last tile reads ROWS columns of x: of the `tail` that there are, it reads a copy.
    """
    images, columns = dy.rows, dy.columns
    first, last = task_range((x.columns + ROWS - 1) // ROWS, task, tasks)
    first, last = first * ROWS, min(last * ROWS, x.columns)
    tail = (last - first) % ROWS
    whole = last - tail
    ends = scratch + FLOAT * tasks * images * WIDTH
    for m in range(images if tail else 0):
        copy(x.data + FLOAT * (m * x.step + whole), ends + FLOAT * m * ROWS, tail)
    panels = scratch + FLOAT * task * images * WIDTH
    for j in range(0, columns, WIDTH):
        width = min(WIDTH, columns - j)
        pack(Strided(dy.data + FLOAT * j, dy.step, 1), images, width, panels, images, 0)
        for r in range(first, whole, STRIP):
            transposed = Strided(x.data + FLOAT * r, 1, x.step)
            place = dw + FLOAT * (r * columns + j)
            strip = Rows(place, columns, min(STRIP, whole - r), width)
            multiply(transposed, panels, images, strip, False, 0, False)
        if tail:
            strip = Rows(dw + FLOAT * (whole * columns + j), columns, tail, width)
            multiply(Strided(ends, 1, ROWS), panels, images, strip, False, 0, False)
    if task == 0:
        for j in range(0, columns, LANES):
            sum = constant(0.0)
            for m in range(images):
                sum = sum + load_part(dy.data, m * dy.step + j, columns - j)
            store_part(db, j, sum, columns - j)


def product(
    a: Array,
    b: tuple[int, int, int],
    c: Array,
    bias: Address = 0,
    relu: bool = False,
    run: kernel = row_products,
) -> None:
    """c = a b + bias, at least 0 with `relu`; a `(rows, depth)` and c are contiguous.

    b: a `Strided`.
    """
    (rows, depth), columns = a.shape, c.shape[1]
    tasks = threads_for(flops=2 * rows * depth * columns)
    scratch = empty(tasks * DEPTH * (WIDTH + rows + ROWS) + LANES)
    left, result = (address(a), depth, rows, depth), (address(c), columns, rows, columns)
    run(tasks, left, b, result, bias, relu, address(scratch))


def sums_of_products(dy: Array, x: Array, run: kernel = outer_products) -> tuple[Array, Array]:
    """x^T dy and the sums of dy, each a running sum over the rows."""
    (images, rows), columns = x.shape, dy.shape[1]
    dw, db = empty((rows, columns)), empty(columns)
    tasks = threads_for(flops=2 * dw.size * images)
    scratch = empty(images * (tasks * WIDTH + ROWS) + LANES)
    left_rows = address(x), rows, images, rows
    dy_rows = address(dy), columns, images, columns
    run(tasks, left_rows, dy_rows, address(dw), address(db), address(scratch))
    return dw, db
