"""The parts, and the child process that runs one of them.

    python -m benchmarks.gpu --part NAME --json FILE [--first I]

A part is a list of tasks. For each task the child writes one line when it begins, one per result,
and one when it ends. Each is written at once: whatever ends the child, the parent has the results
and knows which task was running.
"""

import json
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn.device import runtime, set_precision

from . import launches

DEVICE_LOST = 4  # the child's exit code when an error has made the device useless to its process

Task = tuple[str, Callable[[], Iterable[dict]]]


class Part(NamedTuple):
    """Tasks that run in one process; `limit`: the seconds that one of them may take."""

    name: str
    tasks: Callable[[], Iterator[Task]]
    limit: float


def parts(
    precisions: list[str],
    tiny: bool,
    has_torch: bool,
    sweep: Sequence[tuple[str, int]] | None = None,
    stored: Collection[tuple[str, str]] = (),
) -> list[Part]:
    """All parts, the most important first, because a budget of time may leave out the last ones.

    `sweep`: networks and batches; the parts are then those that measure their products' plans.
    `stored`: names and precisions of PyTorch's rows that are known.
    """
    from . import (
        ablations,
        causes,
        communication,
        correctness,
        counters,
        environment,
        hopper,
        learning,
        memory,
        networks,
        rungs,
        speed,
        steps,
        torch_memory,
        torch_side,
        torch_steps,
        variants,
        whole,
    )

    def each(what: str, tasks: Callable[..., Iterator[Task]], limit: float) -> list[Part]:
        return [Part(f"{what} {p}", partial(tasks, p, tiny), limit) for p in precisions]

    def torchs(what: str, tasks: Callable[..., Iterator[Task]], limit: float) -> list[Part]:
        return each(f"torch {what}", partial(tasks, stored=stored), limit) if has_torch else []

    if sweep is not None:
        from . import sweep as sweeps

        return each("sweep", partial(sweeps.tasks, sweep), 300)
    short = 60 if tiny else 40  # a rehearsal runs on an emulator, which compiles slowly
    found = [Part("environment", lambda: environment.tasks(tiny), 60)]
    found += each("kernels", correctness.tasks, short)
    found += each("variants", variants.tasks, short)
    if "bf16" in precisions and hopper.is_here():
        found += [Part("hopper", lambda: hopper.tasks(tiny), short)]
    found += [Part("whole steps", lambda: whole.tasks(precisions, tiny), 90)]
    found += [Part("communication", lambda: communication.tasks(tiny), 60)]
    found += each("networks", networks.tasks, 120)
    found += each("steps", steps.tasks, short) + torchs("steps", torch_steps.tasks, 60)
    found += each("operations", speed.operations, short)
    found += torchs("operations", torch_side.operations, 60)
    found += each("memory", memory.tasks, short) + torchs("memory", torch_memory.tasks, short)
    found += each("inference", steps.inference, short)
    found += torchs("inference", torch_steps.inference, 60)
    found += each("causes", partial(causes.tasks, has_torch=has_torch), 60)
    found += each("ablations", ablations.tasks, 60)
    found += each("counters", counters.tasks, counters.LIMIT + 10)
    found += [Part("ladder", lambda: rungs.tasks(tiny), short)]
    found += [Part("learning", lambda: learning.tasks(precisions, tiny), 240)]
    found += torchs("compiled steps", partial(torch_steps.tasks, compiled=True), 180)
    return found


def run_part(part: Part, path: Path, first: int = 0) -> int:
    """Run a part's tasks from number `first` on, appending to the file; returns the exit code.

    After a failed process kernels are compiled one by one, in case that was what failed.
    """
    launches.ahead = first == 0
    with path.open("a", encoding="utf-8") as file:

        def write(**line: Any) -> None:
            file.write(json.dumps({"part": part.name} | line, default=_plain) + "\n")
            file.flush()

        for number, (name, task) in enumerate(part.tasks()):
            if number < first:
                continue
            write(kind="begin", task=number, name=name)
            started = time.monotonic()
            try:
                for row in task():
                    write(**row)
                _settled()
            except Exception as error:  # of any kind: the next task may well work
                first_line = (str(error).strip().splitlines() or [""])[0]
                message = f"{type(error).__name__}: {first_line}"
                write(
                    kind="failure", name=name, message=message, trace=traceback.format_exc()[-2000:]
                )
                if not _works():
                    write(kind="lost", name=name)
                    return DEVICE_LOST
            write(kind="end", task=number, seconds=round(time.monotonic() - started, 3))
    set_precision("fp32")
    return 0


def _settled() -> None:
    """Wait for the device, so that what a task's kernels did wrong is raised in that task."""
    run = runtime()
    run.download(run.upload(np.zeros(1, np.float32)))


def _works() -> bool:
    """Whether this process can still use the device; after an illegal address it cannot."""
    try:
        _settled()
    except Exception:  # whatever its type, the answer is no
        return False
    return True


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else str(value)
