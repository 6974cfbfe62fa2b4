"""What an operation launches: kernels, their blocks, and what limits how many run at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from minicnn.device import runtime
from minicnn.kernels.cuda.plan import RESERVED

# A multiprocessor of compute capability 8.0 or 9.0: CUDA C++ Programming Guide, table "Technical
# Specifications per Compute Capability".
REGISTERS, WARPS, BLOCKS = 64 << 10, 64, 32
ROUNDED = 256  # a warp gets a multiple of that many registers


class Launch(NamedTuple):
    """A kernel's source, name and options, its blocks, and the threads and shared bytes of each."""

    file: str
    name: str
    options: tuple[str, ...]
    blocks: int
    threads: int
    shared: int


ahead = True  # whether `compile_ahead` compiles; not in a process that follows a failed one


@contextmanager
def noted(run_them: bool = True) -> Iterator[list[Launch]]:
    """Fill a list with what is launched in this block; without `run_them` nothing is launched."""
    run, found = runtime(), []
    start = run.launch

    def launch(file, name, options, grid, block, arguments, shared, together) -> None:
        blocks, threads = grid[0] * grid[1] * grid[2], block[0] * block[1] * block[2]
        found.append(Launch(str(file), name, options, blocks, threads, shared))
        if run_them:
            start(file, name, options, grid, block, arguments, shared, together)

    with mock.patch.object(run, "launch", launch):
        yield found


def compile_ahead(work: Callable[[], Any]) -> None:
    """Compile all kernels that `work` launches, on all cores; what it computes has no meaning.

    An error of the compiler is raised when the kernel is really launched.
    """
    if not ahead:
        return
    with noted(run_them=False) as found:
        work()
    with ThreadPoolExecutor() as pool:
        modules = {(each.file, each.options): each for each in found}
        tasks = [
            pool.submit(runtime().kernel, each.file, each.name, each.options, each.shared)
            for each in modules.values()
        ]
    for task in tasks:
        task.exception()


def described(launches: Sequence[Launch]) -> list[dict[str, Any]]:
    """Each kernel's blocks, registers, and how full it leaves the multiprocessors.

    Or, if the driver does not say, one entry with the error: the time that was measured counts
    more.
    """
    try:
        return [_described(launch) for launch in launches]
    except Exception as error:  # of any kind
        return [{"error": f"{type(error).__name__}: {error}"}]


def _described(launch: Launch) -> dict[str, Any]:
    run = runtime()
    kernel = run.kernel(launch.file, launch.name, launch.options, launch.shared)
    facts = kernel.attributes
    shared = launch.shared + facts["shared_size_bytes"]
    at_most = limits(launch.threads, facts["num_regs"], shared, run.shared_memory_of_processor)
    limit = min(at_most, key=lambda name: at_most[name])
    slots = run.processors * max(1, at_most[limit])
    last = launch.blocks % slots or slots
    return {
        "kernel": launch.name,
        "file": Path(launch.file).name,
        "blocks": launch.blocks,
        "threads": launch.threads,
        "registers": facts["num_regs"],
        "spilled": facts["local_size_bytes"],  # bytes per thread, with arrays in local memory
        "shared": shared,
        "blocks at a time": at_most[limit],
        "limit": limit,
        "waves": round(launch.blocks / slots, 2),
        "last wave": round(last / slots, 3),  # the share of the slots that it fills
    }


def limits(threads: int, registers: int, shared: int, memory: int) -> dict[str, int]:
    """How many blocks each resource of a multiprocessor has room for at a time.

    Registers and bytes of shared memory are per thread and per block; `memory`: the bytes that a
    multiprocessor has.
    """
    warps = -(-threads // 32)
    per_warp = -(-32 * registers // ROUNDED) * ROUNDED
    return {
        "registers": REGISTERS // (per_warp * warps),
        "shared memory": memory // (shared + RESERVED),
        "warps": WARPS // warps,
        "blocks": BLOCKS,
    }
