"""Softmax and its cross-entropy, row by row: each row `(classes,)` stays in the nearest cache."""

import math

import numpy as np
from numba import float32

from ..reference.loss import smoothed_targets
from ..types import Array
from .engine.arrays import address, contiguous, expect_shape
from .engine.launch import inline, kernel, task_range
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
from .engine.threads import threads_for


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
def _softmax_grad(
    task: int, tasks: int, dy: Address, y: Address, dx: Address, rows: int, n: int
) -> None:
    """dx = y (dy - sum of dy y) per row, `(rows, n)`."""
    first, last = task_range(rows, task, tasks)
    for r in range(first, last):
        sums = constant(0.0)
        for i in range(0, n, LANES):
            sums = sums + load_part(dy, r * n + i, n - i) * load_part(y, r * n + i, n - i)
        total = splat(reduce_sum(sums))
        for i in range(0, n, LANES):
            v = load_part(y, r * n + i, n - i) * (load_part(dy, r * n + i, n - i) - total)
            store_part(dx, r * n + i, v, n - i)


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


@kernel
def _soft_cross_entropy(
    task: int,
    tasks: int,
    z: Address,
    targets: Address,
    losses: Address,
    dz: Address,
    rows: int,
    n: int,
) -> None:
    """losses[r] = -sum t log softmax(z[r]), dz = (softmax(z) sum t - t) / rows; t = targets[r]."""
    first, last = task_range(rows, task, tasks)
    for r in range(first, last):
        logits, t, row = z + FLOAT * r * n, targets + FLOAT * r * n, dz + FLOAT * r * n
        high, sum = exponentials(logits, row, n)
        totals, products = constant(0.0), constant(0.0)
        for i in range(0, n, LANES):
            target = load_part(t, i, n - i)
            totals = totals + target
            products = products + target * (load_part(logits, i, n - i) - splat(high))
        total, share = reduce_sum(totals), float32(1.0) / float32(rows)
        store_scalar(losses, r, float32(math.log(sum)) * total - reduce_sum(products))
        for i in range(0, n, LANES):
            p = load_part(row, i, n - i) * splat(total / sum)
            store_part(row, i, (p - load_part(t, i, n - i)) * splat(share), n - i)


def softmax(logits: Array) -> Array:
    """See `reference.softmax`."""
    logits = contiguous(logits)
    y, n = empty(logits.shape), logits.shape[-1]
    _softmax(threads_for(bytes=logits.nbytes), address(logits), address(y), logits.size // n, n)
    return y


def softmax_grad(dy: Array, y: Array) -> Array:
    """See `reference.softmax_grad`."""
    expect_shape("softmax_grad: dy", dy, y.shape)
    dy, y, n = contiguous(dy), contiguous(y), y.shape[-1]
    dx = empty(y.shape)
    arguments = address(dy), address(y), address(dx), y.size // n, n
    _softmax_grad(threads_for(bytes=y.nbytes), *arguments)
    return dx


def softmax_cross_entropy(
    logits: Array,
    targets: Array,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
) -> tuple[np.float32, Array]:
    """See `reference.softmax_cross_entropy`."""
    if logits.ndim != 2 or not logits.size:
        raise ValueError(
            f"softmax_cross_entropy: logits have shape {logits.shape}: expected (N, classes),"
            " at least one of each"
        )
    logits, n = contiguous(logits), logits.shape[1]
    if class_weights is not None:
        expect_shape("softmax_cross_entropy: class_weights", class_weights, (n,))
    is_soft = targets.ndim == 2
    if is_soft:
        expect_shape("softmax_cross_entropy: targets", targets, logits.shape)
    else:
        targets = _checked_labels(targets, len(logits), n)
    if is_soft or label_smoothing or class_weights is not None:
        weighted = smoothed_targets(logits, targets, class_weights, label_smoothing)
        kernel, targets = _soft_cross_entropy, contiguous(weighted)
    else:
        kernel = _cross_entropy
    losses, dlogits = empty(len(logits)), empty(logits.shape)
    kernel(
        threads_for(bytes=logits.nbytes),
        address(logits),
        address(targets),
        address(losses),
        address(dlogits),
        len(logits),
        n,
    )
    return losses.sum() / np.float32(len(losses)), dlogits


def _checked_labels(labels: Array, rows: int, classes: int) -> Array:
    """Labels as the kernel reads them. Raises for a wrong shape, or one that is no class."""
    labels = np.ascontiguousarray(labels, np.int64)
    expect_shape("softmax_cross_entropy: labels", labels, (rows,))
    low, high = labels.min(), labels.max()
    if low < -classes or high >= classes:
        raise IndexError(f"labels from {low} to {high}: expected 0 to {classes - 1}")
    return labels if low >= 0 else np.where(labels < 0, labels + classes, labels)
