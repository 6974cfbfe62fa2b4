"""How long a start takes: the import, and LeNet-5's first step with a cold and a warm kernel cache.

    python benchmarks/startup.py [--repeats 5] [--threads N] [--publish]

Every measurement is a fresh process; "cold" has an empty cache folder, so that every kernel is
compiled. Times are seconds from the start of the interpreter. Writes startup.{json,md}.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import common

IMPORT = "import minicnn"
STEP = """
import numpy as np, minicnn
from minicnn import models, training
model = models.create("lenet5", seed=0)
optimizer = training.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
x, labels = np.ones((64, 32, 32, 1), np.float32), np.arange(64) % 10
_, gradient = minicnn.softmax_cross_entropy(model(x), labels)
model.backward(gradient, need_dx=False)
optimizer.step()
"""


def seconds(code: str, threads: int, cache: str) -> float:
    """From the start of a process to its end."""
    started = time.perf_counter()
    environment = os.environ | {
        "NUMBA_CACHE_DIR": cache,
        "NUMBA_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return time.perf_counter() - started


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    found: dict[str, list[float]] = {
        "interpreter only": [],
        "import minicnn": [],
        "first step, cold cache": [],
        "first step, warm cache": [],
    }
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as cache:
            found["interpreter only"].append(seconds("pass", options.threads, cache))
            found["import minicnn"].append(seconds(IMPORT, options.threads, cache))
            found["first step, cold cache"].append(seconds(STEP, options.threads, cache))
            found["first step, warm cache"].append(seconds(STEP, options.threads, cache))
    lines = ["| start | seconds (min-max) |", "|---|---:|"]
    for name, values in found.items():
        lines.append(
            f"| {name} | {statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f}) |"
        )
    common.report("startup", "\n".join(lines), options, {"seconds": found})


if __name__ == "__main__":
    sys.exit(main())
