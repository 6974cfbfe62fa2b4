"""Threads: how many there are, and starting all tasks of a compiled kernel on them."""

import os
import threading
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compiled import compile_cached

ARGUMENTS = types.void(*[types.intp] * 3)  # of C functions: three integers


@intrinsic
def _enter(typing: Any, entry: Any, task: Any, tasks: Any, args: Any) -> Any:
    """Call the C function at the address `entry`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 3)
        builder.call(builder.inttoptr(values[0], function.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


def _start_tasks(entry: int, tasks: int, args: int) -> None:
    for task in numba.prange(tasks):
        _enter(entry, task, tasks, args)  # type: ignore[call-arg]


def _run_tasks(entry: int, tasks: int, args: int) -> None:
    for task in range(tasks):
        _enter(entry, task, tasks, args)  # type: ignore[call-arg]


_in_parallel = compile_cached(
    lambda cache: numba.njit(ARGUMENTS, parallel=True, nogil=True, cache=cache)(_start_tasks),
    _start_tasks,
)
_in_turn = compile_cached(
    lambda cache: numba.njit(ARGUMENTS, nogil=True, cache=cache)(_run_tasks), _run_tasks
)


class _ThreadState(threading.local):
    """The number of threads as set in Numba, which keeps one for each thread that calls kernels."""

    threads = 0


_one_at_a_time = threading.Lock()  # some threading layers do not support two callers at once
_of_this_thread = _ThreadState()
_forked = False
# From here on a second thread pays. OpenMP starts threads in 1 to 2 microseconds; Numba's work
# queue, which macOS has instead, takes 26 to 72.
MIN_BYTES, MIN_FLOPS = (
    (1 << 20, 1 << 23) if numba.threading_layer() == "workqueue" else (1 << 15, 1 << 17)
)
_threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


def _after_fork() -> None:
    """In a child process kernels use one thread: OpenMP's threads do not survive a fork."""
    global _forked, _one_at_a_time
    _forked, _one_at_a_time = True, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def start(entry: int, tasks: int, arguments: int) -> None:
    """Run the tasks of the C function at the address `entry` on all threads, and wait for them.

    arguments: the address of its packed arguments.
    """
    if tasks > 1 and not _forked:
        with _one_at_a_time:
            if _of_this_thread.threads != _threads:
                numba.set_num_threads(_threads)
                _of_this_thread.threads = _threads
            _in_parallel(entry, tasks, arguments)
    else:
        _in_turn(entry, tasks, arguments)


def threads() -> int:
    """The number of threads that kernels use."""
    return _threads


def threads_for(bytes: int = 0, flops: int = 0) -> int:
    """All threads for a pass over so many bytes or with so many operations, one for a small one."""
    return _threads if bytes > MIN_BYTES or flops > MIN_FLOPS else 1


def set_num_threads(n: int) -> None:
    """Let kernels use `n` threads.

    Raises ValueError for less than 1 or more than NUMBA_NUM_THREADS (by default the cores).
    """
    global _threads
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= n <= most:
        raise ValueError(
            f"set_num_threads({n!r}): expected 1 to {most}"
            " (set NUMBA_NUM_THREADS before starting for more)"
        )
    _threads = int(n)
