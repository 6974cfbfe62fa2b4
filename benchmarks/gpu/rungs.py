"""The rungs of the ladders: every result against float64, and the speed of every pass.

`minicnn ladder conv --device cuda` draws them; here each rung is a task, so that one that hangs or
loses the device does not end the others.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from minicnn.kernels.ladder import gpu as ladder
from minicnn.study import ladder_gpu
from minicnn.study.ladder import Problem

from .correctness import Check
from .parts import Task

SMALLEST = {"conv": Problem(1, 5, 64, 64), "batch_norm": ladder_gpu.Maps(1, 5, 32)}
LARGE = {"conv": ladder_gpu.PROBLEM, "batch_norm": ladder_gpu.Maps()}
WORK: dict[str, Callable[[Any], ladder_gpu.Work]] = {
    "conv": cache(ladder_gpu.convolution),
    "batch_norm": cache(ladder_gpu.batch_norm),
}


def tasks(tiny: bool) -> Iterator[Task]:
    """A task per rung."""
    for operation, problem in (SMALLEST if tiny else LARGE).items():
        for rung in ladder.rungs(operation):
            yield f"{operation}: {rung.name}", partial(_rung, operation, rung, problem)


def _rung(operation: str, rung: ladder.Rung, problem: Any) -> Iterator[dict]:
    found = ladder_gpu.climb_work(WORK[operation](problem)._replace(rungs=[rung]))
    for name, reason in found.wrong.items():
        raise AssertionError(f"{name}: {reason}")
    for name, readings in found.readings.items():
        for reading in readings:
            title = f"{operation} {name}, rung {reading.name}"
            yield Check(title, "", reading.error, rung.error, True).row()
            amount = reading.speed * 1e9 * reading.seconds
            is_rate = found.unit == "GFLOP/s"
            yield {
                "kind": "speed",
                "group": "ladder",
                "name": f"{title}: {problem}",
                "precision": "",
                "seconds": reading.seconds,
                "flops": amount if is_rate else 0.0,
                "bytes": 0.0 if is_rate else amount,
            }
