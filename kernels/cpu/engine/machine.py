"""What this machine can do: a kernel's floor is its arithmetic at `peak_flops` or its bytes at `bandwidth`, whichever takes longer."""

import functools
import statistics
import time

import numpy as np

from .arrays import address
from .gemm import FLOAT, panel_tile
from .launch import kernel, share, threads
from .simd import COLUMNS, LANES, ROWS, load, store

STEPS, DEPTH = 1 << 20, 64
FLOATS = 1 << 25  # of a copy: far more than any cache
REPEATS = 7


@kernel
def _multiply_adds(task, tasks, a, b, c, steps):
    """The register tile on a panel that stays in the nearest cache."""
    for _ in range(steps // DEPTH):
        panel_tile(a, 0, 1, b, DEPTH, c + FLOAT * task * 1024, COLUMNS, ROWS, COLUMNS, 0, 0, 0)


@kernel
def _copy(task, tasks, x, y, n):
    """y = x."""
    first, last = share(n // LANES, task, tasks)
    for i in range(first * LANES, last * LANES, LANES):
        store(y, i, load(x, i))


def _seconds(action) -> float:
    """The median time of `action`."""
    action()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


@functools.cache
def peak_flops() -> float:
    """Floating-point operations a second of all threads at once."""
    a, b, c = (
        np.zeros(DEPTH + ROWS, np.float32),
        np.zeros(DEPTH * COLUMNS, np.float32),
        np.zeros(threads() * 1024, np.float32),
    )
    seconds = _seconds(lambda: _multiply_adds(threads(), address(a), address(b), address(c), STEPS))
    return 2 * STEPS * ROWS * COLUMNS * threads() / seconds


@functools.cache
def bandwidth() -> float:
    """Bytes a second of a copy by all threads, read and written."""
    x, y = np.ones(FLOATS, np.float32), np.ones(FLOATS, np.float32)
    return 2 * x.nbytes / _seconds(lambda: _copy(threads(), address(x), address(y), FLOATS))
