"""Softmax and its cross-entropy, row by row: each row `(classes,)` stays in the nearest cache."""

import math

import numpy as np
from numba import float32

from ..types import Array
from .engine.arrays import address, contiguous, expect_shape
from .engine.launch import inline, kernel, task_range, threads_for
from .engine.memory import empty
from .engine.simd import (
    FLOAT,
    LANES,
    Address,
    load_index,
    load_part,
    load_part_or,
    load_scalar,
    maximum,
    reduce_max,
    reduce_sum,
    splat,
    store_part,
    store_scalar,
)
from .engine.simd.functions import constant, exp


@inline
def exponentials(row: Address, y: Address, n: int) -> tuple[float, float]:
    """y[:n] = exp(row - max(row)); returns max(row) and the sum of y.

    Subtracting the maximum keeps exp from overflowing.
    """
    top = constant(-np.inf)
    for i in range(0, n, LANES):
        top = maximum(load_part_or(row, i, n - i, constant(-np.inf)), top)
    high = reduce_max(top)
    sums = constant(0.0)
    for i in range(0, n, LANES):
        e = exp(load_part(row, i, n - i) - splat(high))
        store_part(y, i, e, n - i)
        sums = sums + load_part(y, i, n - i)
    return high, reduce_sum(sums)


@kernel
def _softmax(task: int, tasks: int, z: Address, y: Address, rows: int, n: int) -> None:
    """y = exp(z - max) / sum of exp(z - max) per row, `(rows, n)`."""
    first, last = task_range(rows, task, tasks)
    for r in range(first, last):
        row = y + FLOAT * r * n
        _, sum = exponentials(z + FLOAT * r * n, row, n)
        for i in range(0, n, LANES):
            store_part(row, i, load_part(row, i, n - i) * splat(float32(1.0) / sum), n - i)


@kernel
def _cross_entropy(
    task: int,
    tasks: int,
    z: Address,
    labels: Address,
    losses: Address,
    dz: Address,
    rows: int,
    n: int,
) -> None:
    """losses[r] = -log softmax(z[r])[label], dz = (softmax(z) - onehot) / rows; z `(rows, n)`."""
    first, last = task_range(rows, task, tasks)
    for r in range(first, last):
        row, label = dz + FLOAT * r * n, load_index(labels, r)
        high, sum = exponentials(z + FLOAT * r * n, row, n)
        store_scalar(losses, r, float32(math.log(sum)) - (load_scalar(z, r * n + label) - high))
        scale = float32(1.0) / (sum * float32(rows))
        for i in range(0, n, LANES):
            store_part(row, i, load_part(row, i, n - i) * splat(scale), n - i)
        store_scalar(row, label, load_scalar(row, label) - float32(1.0) / float32(rows))


def softmax(logits: Array) -> Array:
    """See `reference.softmax`."""
    logits = contiguous(logits)
    y, n = empty(logits.shape), logits.shape[-1]
    _softmax(threads_for(bytes=logits.nbytes), address(logits), address(y), logits.size // n, n)
    return y


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[np.float32, Array]:
    """See `reference.softmax_cross_entropy`."""
    if logits.ndim != 2 or not logits.size:
        raise ValueError(
            f"softmax_cross_entropy: logits have shape {logits.shape}: expected (N, classes),"
            " at least one of each"
        )
    logits, n = contiguous(logits), logits.shape[1]
    labels = np.ascontiguousarray(labels, np.int64)
    expect_shape("softmax_cross_entropy: labels", labels, (len(logits),))
    if labels.min() < -n or labels.max() >= n:
        raise IndexError(f"labels from {labels.min()} to {labels.max()}: expected 0 to {n - 1}")
    labels = np.where(labels < 0, labels + n, labels)
    losses, dlogits = empty(len(logits)), empty(logits.shape)
    _cross_entropy(
        threads_for(bytes=logits.nbytes),
        address(logits),
        address(labels),
        address(losses),
        address(dlogits),
        len(logits),
        n,
    )
    return losses.mean(), dlogits
