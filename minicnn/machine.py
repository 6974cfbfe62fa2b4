"""The speed of this machine, measured once and kept in a file in the platform's cache folder.

`python -m minicnn.machine` measures it and prints the numbers as JSON.
"""

import json
import os
import platform
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from llvmlite import binding

from .files import replacing
from .kernels import functional as F
from .kernels.cpu.engine.machine import bandwidth, peak_flops
from .kernels.dispatch import get_num_threads, set_num_threads
from .layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential
from .training import SGD, softmax_cross_entropy

CPUINFO = Path("/proc/cpuinfo")
FORM = 1  # of the file: a change of what is measured makes older entries void
ALONE = 0.45  # of the peak of one thread: what each of several threads has at least
SMALL, CALLS, ROUNDS = 64, 200, 20  # floats in an array; calls in each of so many rounds


@dataclass(frozen=True)
class Machine:
    """flops, bytes: per second. call: seconds that a call of an operation takes at least.

    process: bytes of memory of a process that has trained a small network. busy: True if other
    programs took the processor meanwhile.
    """

    flops: float
    bytes: float
    call: float
    process: int
    busy: bool = False


def this_machine(refresh: bool = False) -> Machine:
    """The numbers of this processor with the present number of threads.

    They are read from the cache folder, or measured, which takes a few seconds. refresh: measure
    them again. If the folder cannot be written they are measured each time.
    """
    path, key = cache_file(), f"{processor()}, {get_num_threads()} threads, form {FORM}"
    known = _read(path)
    if refresh or key not in known:
        found = measure()
        known[key] = asdict(found)
        if found.busy:
            warnings.warn(
                "the machine is busy, so its speed is a guess and is measured again next time",
                stacklevel=2,
            )
            return found
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(json.dumps(known, indent=2).encode())
    return Machine(**known[key])


def cache_file() -> Path:
    """Where the numbers are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("minicnn", appauthor=False)) / "machine.json"


def _read(path: Path) -> dict[str, dict]:
    """The entries of the file; none if it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    names = set(Machine.__dataclass_fields__)
    entries = found.items() if isinstance(found, dict) else ()
    return {key: entry for key, entry in entries if isinstance(entry, dict) and set(entry) == names}


def processor() -> str:
    """The name of the processor, with LLVM's name of its cores: `AMD EPYC (znver4)`.

    A virtual machine may name no more than the brand. Linux and macOS do not name ARM cores; LLVM
    does: `neoverse-n1`, `apple-m1`.
    """
    core = binding.get_host_cpu_name()
    with suppress(OSError):
        for line in CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                return f"{name} ({core})" if core != "generic" else name
    is_arm = platform.machine() in ("aarch64", "arm64")
    return core if is_arm and core != "generic" else platform.processor() or platform.machine()


def measure() -> Machine:
    """Measure in a process of its own, whose memory is that of a small network only.

    Raises RuntimeError if it fails.
    """
    n = str(get_num_threads())
    environment = os.environ | {"NUMBA_NUM_THREADS": n}
    command = [sys.executable, "-m", "minicnn.machine"]
    root = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
    for _ in range(2):  # the first may compile kernels, which takes memory
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the machine cannot be measured: {done.stderr.strip()[-500:]}")
    return Machine(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print a `Machine`."""
    process = _train()
    call = _call_seconds()
    n = get_num_threads()
    together = max(peak_flops.__wrapped__() for _ in range(2))
    copied = max(bandwidth.__wrapped__() for _ in range(3))
    set_num_threads(1)
    alone = peak_flops.__wrapped__()
    busy = together < ALONE * n * alone  # two threads of one core are not twice as fast
    flops = max(together, ALONE * n * alone)
    print(json.dumps(asdict(Machine(flops, copied, call, process, busy))))


def _train() -> int:
    """Train a small network, and return the peak memory of this process in bytes."""
    net = Sequential(Conv2d(3, 8, 3, activation="relu"), MaxPool2d(2), Flatten(), Linear(72, 4))
    optimizer = SGD(net.parameters(), lr=0.01, momentum=0.9)
    x = np.ones((2, 8, 8, 3), np.float32)
    for _ in range(2):
        _, gradient = softmax_cross_entropy(net(x), np.zeros(2, int))
        net.backward(gradient)
        optimizer.step()
    return peak_memory() or 0


def _call_seconds() -> float:
    """The time of an operation on arrays that take no time."""
    a = np.ones(SMALL, np.float32)
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(CALLS):
            F.add(a, a)
        best = min(best, (time.perf_counter() - started) / CALLS)
    return best


def peak_memory() -> int | None:
    """The peak resident size of this process in bytes; None where the system has no such number."""
    try:
        # Linux's ru_maxrss also counts the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        pass
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
