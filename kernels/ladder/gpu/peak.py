"""The rate of the GPU's ordinary units, to which the ladder's rungs are compared."""

from pathlib import Path

import numpy as np

from ...cuda.device import THREADS, launch, runtime

SOURCE = Path(__file__).with_name("peak.cu")
CHAINS = 8  # of multiply-adds per thread, in peak.cu


def multiply_add_rate(rounds: int = 4096) -> float:
    """FLOP/s of multiply-adds in registers, the best of five measurements."""
    run = runtime()
    blocks = 8 * run.processors
    out = run.empty((blocks * THREADS,), np.float32)

    def work(i: int) -> None:
        launch(SOURCE, "multiply_adds", blocks, THREADS, out, 0.5, rounds)

    seconds = min(run.times(work, 5, 3, captured=False))
    return 2 * CHAINS * rounds * THREADS * blocks / seconds
