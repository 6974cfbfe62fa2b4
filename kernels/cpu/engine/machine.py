"""The limits of this machine, to compare kernels with.

A kernel takes at least the time of its arithmetic at `peak_flops` or of its bytes at `bandwidth`,
whichever is longer.
"""

import functools
import time
from collections.abc import Callable

import numpy as np

from .arrays import address
from .gemm import panel_tile
from .launch import kernel
from .records import Rows, Strided
from .rows import span
from .simd import COLUMNS, FLOAT, LANES, ROWS, Address, load, store
from .threads import threads

STEPS, DEPTH = 1 << 15, 64  # k steps per call: less than a millisecond
FLOATS = 1 << 25  # per copy: far larger than any cache
ROUNDS, CALLS, PAUSE = 20, 10, 0.02  # calls per round; seconds between rounds


@kernel
def _multiply_adds(task: int, tasks: int, a: Address, b: Address, c: Address, steps: int) -> None:
    """The register tile on a panel that stays in the nearest cache."""
    for _ in range(steps // DEPTH):
        to = Rows(c + FLOAT * task * 1024, COLUMNS, ROWS, COLUMNS)
        panel_tile(Strided(a, 0, 1), b, DEPTH, to, False, 0, False)


@kernel
def _copy(task: int, tasks: int, x: Address, y: Address, n: int) -> None:
    """y[:n] = x[:n], n a multiple of LANES."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        store(y, i, load(x, i))


def _best_seconds(action: Callable[[], None], rounds: int, calls: int, pause: float) -> float:
    """The shortest time of `action`, over several rounds of calls with pauses between them.

    Other processes and changing clock rates only ever add time. A median of calls made at one
    moment differs from run to run by a factor of up to two; the best of calls that are short and
    spread over time does not.
    """
    action()
    best = float("inf")
    for _ in range(rounds):
        for _ in range(calls):
            started = time.perf_counter()
            action()
            best = min(best, time.perf_counter() - started)
        time.sleep(pause)
    return best


@functools.cache
def peak_flops() -> float:
    """Floating-point operations per second of all threads together."""
    a = np.zeros(DEPTH + ROWS, np.float32)
    b = np.zeros(DEPTH * COLUMNS, np.float32)
    c = np.zeros(threads() * 1024, np.float32)

    def multiply_adds() -> None:
        _multiply_adds(threads(), address(a), address(b), address(c), STEPS)

    seconds = _best_seconds(multiply_adds, ROUNDS, CALLS, PAUSE)
    return 2 * STEPS * ROWS * COLUMNS * threads() / seconds


@functools.cache
def bandwidth() -> float:
    """Bytes per second, read and written, of a copy by all threads."""
    x, y = np.ones(FLOATS, np.float32), np.ones(FLOATS, np.float32)

    def copy() -> None:
        _copy(threads(), address(x), address(y), FLOATS)

    return 2 * x.nbytes / _best_seconds(copy, 5, 2, PAUSE)
