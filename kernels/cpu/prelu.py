"""PReLU: a leaky ReLU with one trained slope per channel."""

import numpy as np

from ..types import Array
from .engine.arrays import (
    address,
    contiguous,
    expect_shape,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from .engine.launch import kernel, task_range
from .engine.memory import empty, non_temporal
from .engine.records import Output, Rows
from .engine.rows import fill_zeros
from .engine.simd import (
    FLOAT,
    LANES,
    Address,
    fence,
    load_part,
    select_greater,
    store_nt_part,
    store_part,
)
from .engine.simd.functions import constant
from .engine.threads import threads_for


@kernel
def _prelu(task: int, tasks: int, x: Rows, w: Address, y: Output) -> None:
    """y = x where x > 0, else w x, `(pixels, C)`."""
    first, last = task_range(x.rows, task, tasks)
    for m in range(first, last):
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            v = load_part(x.data, m * x.step + i, n)
            v = select_greater(v, constant(0.0), v, load_part(w, i, n) * v)
            store_nt_part(y.data, m * y.step + i, v, n, y.non_temporal)
    fence()


@kernel
def _prelu_grad(
    task: int, tasks: int, dy: Rows, x: Rows, w: Address, sums: Address, dx: Output
) -> None:
    """dx = dy where x > 0, else w dy; each task's sums of dy x where x <= 0, to sums[task] `(C,)`.

    Four rows are added in registers before the sums are stored.
    """
    first, last = task_range(x.rows, task, tasks)
    own, zero = sums + FLOAT * task * x.columns, constant(0.0)
    fill_zeros(own, x.columns)
    for m in range(first, last, 4):
        rows = min(4, last - m)
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            slope, total = load_part(w, i, n), load_part(own, i, n)
            for r in range(m, m + rows):
                v, d = load_part(x.data, r * x.step + i, n), load_part(dy.data, r * dy.step + i, n)
                total = total + select_greater(v, zero, zero, d * v)
                d = select_greater(v, zero, d, slope * d)
                store_nt_part(dx.data, r * dx.step + i, d, n, dx.non_temporal)
            store_part(own, i, total, n)
    fence()


def prelu(x: Array, w: Array, out: Array | None = None) -> Array:
    """See `functional.prelu`."""
    slopes = _slopes("prelu: w", x, w)
    y = output_array(out, x.shape, channel_slice=True)
    (x, step), y_step = pixels(x), pixel_step(y)
    target = Output(address(y), y_step, non_temporal(y, y_step))
    _prelu(threads_for(bytes=x.nbytes), _rows(x, step), address(slopes), target)
    return write_to(out, y)


def prelu_grad(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """See `functional.prelu_grad`."""
    slopes = _slopes("prelu_grad: w", x, w)
    expect_shape("prelu_grad: dy", dy, x.shape)
    (dy, dy_step), (x, step) = pixels(dy), pixels(x)
    rows, tasks = _rows(x, step), threads_for(bytes=x.nbytes)
    dx, sums = empty(x.shape), np.empty((tasks, x.shape[-1]), np.float32)
    target = Output(address(dx), rows.columns, non_temporal(dx, rows.columns))
    _prelu_grad(tasks, _rows(dy, dy_step), rows, address(slopes), address(sums), target)
    dw = sums.sum(axis=0)
    return dx, dw if w.size == dw.size else dw.sum(keepdims=True)


def _slopes(name: str, x: Array, w: Array) -> Array:
    """w as one slope per channel of x. Raises ValueError unless it is `(C,)` or `(1,)`."""
    channels = x.shape[-1]
    if w.shape != (1,):
        expect_shape(name, w, (channels,))
    return contiguous(np.broadcast_to(w, channels))


def _rows(x: Array, step: int) -> Rows:
    return Rows(address(x), step, x.size // x.shape[-1], x.shape[-1])
