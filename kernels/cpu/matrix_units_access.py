"""Whether this process may use matrix units (AMX), and whether they compute what they should.

Linux grants a process their registers, 8 KB per thread, when it asks for them. (The kernel's
documentation, arch/x86/xstate.) The permission holds for all threads and for forked processes.
"""

import contextlib
import ctypes
import functools
import mmap
import os
import sys
import warnings
from typing import Any

import numpy as np
from llvmlite import binding

from .engine.simd import LANES
from .matrix_units import linear, patch_products

ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, TILE_DATA = 158, 0x1023, 18  # x86-64's numbers


@functools.cache
def refusal() -> str | None:
    """One sentence that says why this process cannot use them, or None. Asks once.

    Raises ValueError for an unknown value of MINICNN_AMX.
    """
    setting = os.environ.get("MINICNN_AMX", "")
    if setting not in ("", "0", "1"):
        raise ValueError(f"MINICNN_AMX={setting!r}: expected 0 or 1")
    if setting == "0":
        return "MINICNN_AMX=0 is set"
    features = binding.get_host_cpu_features()  # of the processor, if its system saves registers
    if LANES != 16 or not (features.get("amx-tile") and features.get("amx-bf16")):
        return "this processor has no AMX"
    if sys.platform != "linux":
        return "they are used under Linux only"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, TILE_DATA):
        return f"the system does not grant their registers: {os.strerror(ctypes.get_errno())}"
    return None


@functools.cache
def unavailable() -> str | None:
    """One sentence that says why matrix units are not used, or None.

    The first call computes a small product on them.
    """
    return refusal() or (None if _are_right() else "a small product on them was wrong")


def _are_right() -> bool:
    """True if a small product is exact: of integers, which bfloat16 can represent."""
    i = np.arange(40 * 70, dtype=np.float32)
    x, w = (i % 13 - 6).reshape(40, 70), (i % 11 - 5).reshape(70, 40)
    with mmap.mmap(-1, 4 * 40 * 40) as memory:  # which a child process shares
        y = np.frombuffer(memory, np.float32).reshape(40, 40)
        y[:] = np.nan
        linear(x, w, y, 0, False, _in_child)
        found = y.copy()
        del y
    return np.array_equal(found, x @ w)


def _in_child(tasks: int, *arguments: Any) -> None:
    """Run the kernel in a child process: an illegal instruction would end this one."""
    patch_products(0, *arguments)  # no task: the kernel is compiled here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child needs no other thread
        child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # for Python's report of a fatal signal
            patch_products(1, *arguments)  # a forked process has no pool of threads
        finally:
            os._exit(0)
    with contextlib.suppress(ChildProcessError):  # it has ended, and its signals are ignored
        os.waitpid(child, 0)
