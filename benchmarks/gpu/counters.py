"""What the hardware's counters say of the slowest convolutions: NVIDIA's profiler `ncu`, if any.

    python -m benchmarks.gpu.counters NAME PASS PRECISION

is what ncu watches: the pass twice, of which the second is profiled.
"""

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from minicnn.device import runtime, set_precision

from . import speed
from .parts import Task

PLACES = ("/usr/local/cuda/bin/ncu", "/opt/nvidia/nsight-compute/ncu")
SECTIONS = ("SpeedOfLight", "WarpStateStats", "Occupancy")
LIMIT = 50  # seconds; a profile replays the kernel some dozens of times
STALLS = 4  # reasons that are kept
CHOSEN = (  # convolutions and passes, the most important first
    ("VGG 3x3, 256 to 256 at 56", "forward"),
    ("VGG 3x3, 256 to 256 at 56", "weight gradient"),
    ("ResNet 1x1, 256 to 64 at 56", "input gradient"),
    ("ResNet 3x3, 64 to 64 at 56", "forward"),
    ("ResNet 3x3/2, 128 to 256 at 28", "input gradient"),
)
TINY = (("tiny 3x3", "weight gradient"),)
KERNELS = {  # of conv.cu
    "forward": "forward",
    "input gradient": "grad_input",
    "weight gradient": "grad_weight",
}
STALL = re.compile(r"issue_stalled_(\w+?)(?:_not_issued)?_per_")
_refused: list[str] = []
SHARES = {  # metric of ncu -> what it is a share of, in percent
    "sm__throughput.avg.pct_of_peak_sustained_elapsed": "multiprocessors",
    "l1tex__throughput.avg.pct_of_peak_sustained_active": "first cache and shared memory",
    "lts__throughput.avg.pct_of_peak_sustained_elapsed": "second cache",
    "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed": "memory",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "warps that are there",
}


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A task per convolution and pass; one that says so if there is no ncu."""
    tool = find()
    if tool is None:
        yield "ncu", lambda: [_row("ncu", precision, "not installed")]
        return
    for name, what in TINY if tiny else CHOSEN:
        yield f"{name}, {what}", partial(_profiled, tool, name, what, precision)


def find() -> str | None:
    """Where ncu is."""
    return shutil.which("ncu") or next((place for place in PLACES if Path(place).exists()), None)


def _row(name: str, precision: str, message: str, **found: Any) -> dict[str, Any]:
    kind = {"kind": "counters", "name": name, "precision": precision, "message": message}
    return kind | {"shares": {}, "stalls": {}} | found


def _profiled(tool: str, name: str, what: str, precision: str) -> Iterator[dict]:
    title, kernel = f"{name}, {what}", KERNELS[what]
    if _refused:
        yield _row(title, precision, _refused[0])
        return
    options = ["--csv", "--page", "raw", "--clock-control", "none"]
    options += [word for section in SECTIONS for word in ("--section", section)]
    options += ["--kernel-name", f"regex:^{kernel}$", "--launch-skip", "1", "--launch-count", "1"]
    watched = [sys.executable, "-m", "benchmarks.gpu.counters", name, what, precision]
    try:
        done = subprocess.run(
            [tool, *options, *watched], capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        yield _row(title, precision, f"ncu was not finished after {LIMIT} s")
        return
    found = parsed(done.stdout)
    message = "" if found else reason(done.stdout + done.stderr)
    if "ERR_NVGPUCTRPERM" in message:  # this user may not read the counters, now or later
        _refused.append(message)
    yield _row(title, precision, message, **found)


def reason(output: str) -> str:
    """Why ncu has no result: its error, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("==ERROR==")]
    return (errors or lines or ["ncu said nothing"])[-1].removeprefix("==ERROR==").strip()[:200]


def parsed(output: str) -> dict[str, Any]:
    """The shares of the peaks and the main reasons why warps wait; empty without a table.

    The table has a line of names, one of units, and one per kernel.
    """
    lines = [line for line in output.splitlines() if line.startswith('"')]
    if len(lines) < 3:
        return {}
    names, _, values = csv.reader([lines[0], lines[1], lines[-1]])
    numbers: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):
        try:
            numbers[name] = float(value.replace(",", ""))
        except ValueError:
            continue  # a name, such as the kernel's
    stalls: dict[str, float] = {}
    for name, number in numbers.items():
        if match := STALL.search(name):
            stalls[match[1]] = max(number, stalls.get(match[1], 0.0))
    main = sorted(stalls.items(), key=lambda item: -item[1])[:STALLS]
    shares = {text: numbers[name] for name, text in SHARES.items() if name in numbers}
    return {"shares": shares, "stalls": dict(main)}


def watched(name: str, what: str, precision: str) -> None:
    """The pass, twice."""
    set_precision(precision)
    work, *_ = speed.prepared(*(speed.TINY | speed.CONVOLUTIONS)[name])
    for i in range(2):
        work[what](i)
    runtime().download(runtime().upload(speed.normal(1)))


if __name__ == "__main__":
    watched(*sys.argv[1:])
