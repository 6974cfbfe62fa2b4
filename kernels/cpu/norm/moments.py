"""The mean and the variance of a batch per channel, in one pass over memory."""

import functools

import numpy as np

from ...types import Array
from ..engine.arrays import address
from ..engine.launch import inline, kernel, task_range
from ..engine.memory import empty
from ..engine.records import Rows
from ..engine.rows import fill_zeros
from ..engine.simd import FLOAT, LANES, Address, Vector, load_part, store_part
from ..engine.simd.functions import constant

# Floats whose mean and variance are computed together: they are read twice from the nearest cache.
BLOCK = 1 << 13


@inline
def add_differences(x: Rows, first: int, last: int, sums: Address) -> None:
    """sums[:] += the sum of x - x[first] over rows first...last.

    Four rows at a time, because every addition to `sums` waits for the one before.
    """
    for r in range(first, last - 3, 4):
        for i in range(0, x.columns, LANES):
            n, at = x.columns - i, r * x.step + i
            start = load_part(x.data, first * x.step + i, n)
            two = load_part(x.data, at, n) + load_part(x.data, at + x.step, n)
            more = load_part(x.data, at + 2 * x.step, n) + load_part(x.data, at + 3 * x.step, n)
            difference = two + more - constant(4.0) * start  # 4 times a number is exact
            store_part(sums, i, load_part(sums, i, n) + difference, n)
    for r in range(last - (last - first) % 4, last):
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            start = load_part(x.data, first * x.step + i, n)
            difference = load_part(x.data, r * x.step + i, n) - start
            store_part(sums, i, load_part(sums, i, n) + difference, n)


@inline
def squared_difference(x: Address, at: int, n: int, mean: Vector) -> Vector:
    """(x - mean)^2 of the n numbers from x[at] on."""
    difference = load_part(x, at, n) - mean
    return difference * difference


@inline
def add_squares(x: Rows, first: int, last: int, means: Address, sums: Address) -> None:
    """sums[:] += the sum of (x - means)^2 over rows first...last, four rows at a time."""
    for r in range(first, last - 3, 4):
        for i in range(0, x.columns, LANES):
            n, at, mean = x.columns - i, r * x.step + i, load_part(means, i, x.columns - i)
            two = squared_difference(x.data, at, n, mean)
            two = two + squared_difference(x.data, at + x.step, n, mean)
            more = squared_difference(x.data, at + 2 * x.step, n, mean)
            more = more + squared_difference(x.data, at + 3 * x.step, n, mean)
            store_part(sums, i, load_part(sums, i, n) + (two + more), n)
    for r in range(last - (last - first) % 4, last):
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            square = squared_difference(x.data, r * x.step + i, n, load_part(means, i, n))
            store_part(sums, i, load_part(sums, i, n) + square, n)


@kernel
def _moments(task: int, tasks: int, x: Rows, block: int, sums: Address, scratch: Address) -> None:
    """Each task's mean and sum of squared deviations, to sums[task] `(2, C)`; x `(pixels, C)`.

        mean += (block's mean - mean) * count / total
        squares += block's squares + (block's mean - mean)^2 * count * seen / total

    Blocks of rows are merged by this formula of Chan, Golub & LeVeque (1979): one pass over memory,
    without the cancellation of E[x^2] - E[x]^2. The mean of a block is a sum of differences to its
    first row, so that the mean of a constant channel is exact.
    """
    first, last = task_range(x.rows, task, tasks)
    channels = x.columns
    means = sums + FLOAT * task * 2 * channels
    squares = means + FLOAT * channels
    mean = scratch + FLOAT * task * 2 * channels
    square = mean + FLOAT * channels
    fill_zeros(means, 2 * channels)
    for m in range(first, last, block):
        count, seen = min(block, last - m), m - first
        fill_zeros(mean, 2 * channels)
        add_differences(x, m, m + count, mean)
        for i in range(0, channels, LANES):
            n = channels - i
            shifted = load_part(mean, i, n) * constant(1.0 / count)
            store_part(mean, i, load_part(x.data, m * x.step + i, n) + shifted, n)
        add_squares(x, m, m + count, mean, square)
        share, weight = count / (seen + count), count * (seen / (seen + count))
        for i in range(0, channels, LANES):
            n = channels - i
            old = load_part(means, i, n)
            shift = load_part(mean, i, n) - old
            store_part(means, i, old + shift * constant(share), n)
            more = load_part(square, i, n) + shift * shift * constant(weight)
            store_part(squares, i, load_part(squares, i, n) + more, n)


@functools.lru_cache(maxsize=1024)
def _shares(count: int, tasks: int) -> Array:
    """How many of `count` rows each task has, `(tasks, 1)`, as in `task_range`."""
    bounds = [count * task // tasks for task in range(tasks + 1)]
    return np.diff(bounds)[:, None].astype(np.float32)


def batch_moments(x: Rows, tasks: int) -> tuple[Array, Array]:
    """The mean and the biased variance of the columns of x, `(C,)` each."""
    sums = np.empty((tasks, 2, x.columns), np.float32)
    scratch = empty((tasks, 2, x.columns))
    _moments(tasks, x, max(8, BLOCK // x.columns), address(sums), address(scratch))
    shares, means, start = _shares(x.rows, tasks), sums[:, 0], sums[0, 0]
    mean = start + ((means - start) * (shares / x.rows)).sum(axis=0)
    squares = sums[:, 1] + shares * (means - mean) ** 2
    return mean, squares.sum(axis=0) / np.float32(x.rows)
