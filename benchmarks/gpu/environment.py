"""What machine this is: versions, the GPU, and its ceilings as they can be measured."""

import importlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.device import runtime

from .parts import Task

PACKAGES = ("minicnn", "numpy", "cupy-cuda13x", "cupy-cuda12x", "torch", "numba", "numba-cuda")


def version(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def has_torch() -> bool:
    """Whether there is a torch that sees the GPU."""
    if version("torch") is None:
        return False
    return bool(importlib.import_module("torch").cuda.is_available())


def tasks(tiny: bool) -> Iterator[Task]:
    """What machine this is, and what it can reach."""
    yield "versions", lambda: [{"kind": "environment"} | describe()]
    yield "ceilings", lambda: [{"kind": "ceilings"} | ceilings(tiny)]


def describe() -> dict[str, Any]:
    """Versions, GPU, date, and the commit from git or, without git, from MINICNN_COMMIT."""
    found: dict = {
        "python": platform.python_version(),
        **{p: version(p) for p in PACKAGES if version(p)},
        "cores": os.cpu_count(),
    }
    commit = os.environ.get("MINICNN_COMMIT") or _output(
        "git", "-C", str(Path(__file__).parents[2]), "rev-parse", "--short", "HEAD"
    )
    return (
        found
        | runtime().describe()
        | {"commit": commit or "unknown", "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    )


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def ceilings(tiny: bool) -> dict[str, float]:
    """Bytes per second of copies and, with torch, FLOP/s of products of large matrices."""
    run, found = runtime(), {}
    size = 1 << (12 if tiny else 28)
    a, b = run.empty((size,), np.float32), run.empty((size,), np.float32)
    a[...] = 1

    def copy(i):
        b[...] = a

    found["copy, bytes/s"] = 2 * 4 * size / min(run.times(copy, launches=4))
    if not has_torch():
        return found
    import torch

    n = 8192
    for name, kind, tf32 in (
        ("fp32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bf16", torch.bfloat16, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        x, y = (torch.randn(n, n, device="cuda").to(kind) for _ in range(2))
        found[f"{name} product, FLOP/s"] = 2 * n**3 / min(torch_times(partial(torch.matmul, x, y)))
    return found


def torch_times(work: Callable[[], Any], repeats: int = 5, launches: int = 10) -> list[float]:
    """Seconds per call of `work`, in `repeats` measurements of `launches` calls.

    CUDA's events measure them, as in our runtime; without a GPU, the clock.
    """
    import torch

    for _ in range(3):
        work()
    if not torch.cuda.is_available():
        started = time.perf_counter()
        work()
        return [time.perf_counter() - started]
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(launches):
            work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / launches)
    return times
