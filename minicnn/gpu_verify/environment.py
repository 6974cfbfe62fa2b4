"""What machine this is: versions, the GPU, and its ceilings as they can be measured."""

import importlib
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from ..device import runtime

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


def describe() -> dict:
    """Versions, GPU, commit."""
    found: dict = {"python": platform.python_version(), **{p: version(p) for p in PACKAGES if version(p)}, "cores": os.cpu_count()}
    found |= runtime().describe()
    done = _output("git", "-C", str(Path(__file__).parents[2]), "rev-parse", "--short", "HEAD")
    return found | ({"commit": done} if done else {})


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def ceilings(quick: bool) -> dict[str, float]:
    """Bytes and FLOPs a second that this GPU reaches: copying, and torch's products of large matrices, if there is torch."""
    run, found = runtime(), {}
    size = 1 << (26 if quick else 28)
    a, b = run.empty((size,), np.float32), run.empty((size,), np.float32)
    a[...] = 1

    def copy(i):
        b[...] = a

    found["copy, bytes/s"] = 2 * 4 * size / min(run.times(copy, launches=4))
    if not has_torch():
        return found
    import torch

    n = 4096 if quick else 8192
    for name, kind, tf32 in (("fp32", torch.float32, False), ("tf32", torch.float32, True), ("bf16", torch.bfloat16, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        x, y = (torch.randn(n, n, device="cuda").to(kind) for _ in range(2))
        found[f"{name} product, FLOP/s"] = 2 * n**3 / min(torch_times(lambda x=x, y=y: x @ y))
    return found


def _wait(torch) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def torch_times(work, repeats: int = 5, launches: int = 10) -> list[float]:
    """Seconds that each call of `work` takes, `repeats` times `launches` calls, launching included: what a user of torch waits for."""
    import torch

    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        _wait(torch)
        started = time.perf_counter()
        for _ in range(launches):
            work()
        _wait(torch)
        times.append((time.perf_counter() - started) / launches)
    return times
