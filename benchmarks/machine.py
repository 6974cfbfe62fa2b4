"""What the machine can do: multiply-adds a second with all cores, and bytes a second of a copy.

python benchmarks/machine.py [--threads N]

The floor of any kernel is the larger of its FLOPs at this peak and its bytes at this bandwidth. Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import time

import numpy as np
from minicnn.kernels.cpu.arrays import address
from minicnn.kernels.cpu.gemm import panel_tile
from minicnn.kernels.cpu.launch import kernel, set_num_threads, share
from minicnn.kernels.cpu.simd import COLUMNS, LANES, ROWS, load, store

STEPS, FLOATS, REPEATS = 1 << 21, 1 << 25, 7


@kernel
def multiply_adds(task, tasks, a, b, c, steps):
    """The register tile's inner loop on a panel that stays in the nearest cache."""
    for _ in range(steps // 64):
        panel_tile(a, 0, 1, b, 64, c + 4 * task * 1024, COLUMNS, ROWS, COLUMNS, 0, 0, 0)


@kernel
def copy(task, tasks, x, y, n):
    """y = x."""
    first, last = share(n // LANES, task, tasks)
    for i in range(first * LANES, last * LANES, LANES):
        store(y, i, load(x, i))


def seconds(action) -> float:
    """The median time of `action`."""
    action()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    threads = parser.parse_args().threads
    set_num_threads(threads)
    a, b, c = np.zeros(64 + ROWS, np.float32), np.zeros(64 * COLUMNS, np.float32), np.zeros(threads * 1024, np.float32)
    flops = 2 * STEPS * ROWS * COLUMNS * threads / seconds(lambda: multiply_adds(threads, address(a), address(b), address(c), STEPS))
    x, y = np.ones(FLOATS, np.float32), np.ones(FLOATS, np.float32)
    bandwidth = 2 * x.nbytes / seconds(lambda: copy(threads, address(x), address(y), FLOATS))
    print(json.dumps({"flops": flops, "bytes": bandwidth}))


if __name__ == "__main__":
    main()
