"""The rates of the GPU's ordinary units and of its memory, to which the rungs are compared."""

import functools
from pathlib import Path

import numpy as np

from ...cuda.device import THREADS, blocks, launch, runtime

SOURCE = Path(__file__).with_name("peak.cu")
CHAINS = 8  # of multiply-adds per thread, in peak.cu


@functools.cache
def multiply_add_rate(rounds: int = 4096) -> float:
    """FLOP/s of multiply-adds in registers, the best of five measurements."""
    run = runtime()
    count = 8 * run.processors
    out = run.empty((count * THREADS,), np.float32)

    def work(i: int) -> None:
        launch(SOURCE, "multiply_adds", count, THREADS, out, 0.5, rounds)

    seconds = min(run.times(work, 5, 3, captured=False))
    return 2 * CHAINS * rounds * THREADS * count / seconds


@functools.cache
def copy_rate(size: int = 1 << 29) -> float:
    """Bytes per second of a copy of `size` bytes, reads and writes, the best of five."""
    run = runtime()
    source, target = (run.empty((size,), np.uint8) for _ in range(2))

    def work(i: int) -> None:
        launch(SOURCE, "copy", blocks(size // 16), THREADS, source, target, size // 16)

    return 2 * size / min(run.times(work, 5, 3, captured=False))
