"""The choice of a backend: by the array's type, and by what the user chose.

A call of an operation in `functional` goes to
- the backend that `use` chose, if it takes the array and has the operation;
- else `cpu` for float32 NumPy arrays and `cuda` for CuPy arrays, if they are available; arrays
  are never moved;
- else `reference`.
`functional.table()` shows which backend has which operation, so that no fallback is silent.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType, TracebackType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from . import notice, reference
from .reference.arrays import is_host_array
from .thread_state import state

BACKENDS = {
    "reference": "plain NumPy, any float type: the definition of every operation",
    "cpu": "Numba, SIMD, all cores, float32",
    "cuda": "CUDA C through CuPy",
    "numba_cuda": "Numba-CUDA: the GPU kernels in Python",
}

P = ParamSpec("P")
R = TypeVar("R")


@functools.cache
def load(backend: str) -> ModuleType | str:
    """The backend's module, or one sentence that says why it is unavailable."""
    if backend == "reference":
        return reference
    if backend == "cpu":
        notice.listen()
    try:
        module = importlib.import_module(f"minicnn.kernels.{backend}")
        return getattr(module, "unavailable", lambda: None)() or module
    except ModuleNotFoundError as error:
        if error.name == f"minicnn.kernels.{backend}":
            return f"this version of minicnn has no kernels/{backend}"
        return f"it needs the package {error.name}, which is not installed"
    except ImportError as error:
        if (error.name or "").startswith("minicnn"):
            raise  # a fault in minicnn: falling back to the reference would hide it
        return str(error)


def check_backend(backend: str) -> ModuleType:
    """The backend's module.

    Raises ValueError for an unknown backend, RuntimeError for an unavailable one.
    """
    if backend not in BACKENDS:
        expected = ", ".join(BACKENDS)
        raise ValueError(f"unknown backend {backend!r}; expected one of {expected}")
    module = load(backend)
    if isinstance(module, str):
        raise RuntimeError(f"the backend {backend!r} is not available: {module}")
    return module


class use:  # noqa: N801 - it reads as a verb
    """Choose the backend of this thread.

    `use("reference")` chooses it from here on, `with use("reference"):` for a block, and
    `use(None)` returns to the default.
    Raises ValueError for an unknown backend, RuntimeError for an unavailable one.
    """

    def __init__(self, backend: str | None):
        if backend is not None:
            check_backend(backend)
        self._backend, self._previous = backend, state.backend
        state.backend = backend

    def __enter__(self) -> "use":
        state.backend = self._backend
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state.backend = self._previous


def current() -> str | None:
    """The backend that `use` chose in this thread, or None for the default."""
    return state.backend


def intercept(
    function: Callable[[Callable, Callable], Callable],
) -> AbstractContextManager[None]:
    """Within this block, in this thread, `function` replaces what computes each operation.

    It is called as `function(operation, chosen)` with the operation of `reference` and the function
    that would compute it, and returns the function to call. Profiles count and time operations so.
    """
    return state.changed(intercept=function)


def select(operation: Callable[P, R], x: Any) -> Callable[P, R]:
    """The function that computes an operation of `reference` for the array or list of arrays x."""
    chosen = _served(operation, x)
    return chosen if state.intercept is None else state.intercept(operation, chosen)


def _served(operation: Callable[P, R], x: Any) -> Callable[P, R]:
    """The backend's function, or the operation itself."""
    x = x[0] if isinstance(x, list) else x
    chosen = state.backend
    candidates: tuple[str | None, ...] = ()
    if not is_host_array(x):
        candidates = (chosen, "cuda") if chosen in ("reference", "numba_cuda") else ("cuda",)
    elif x.dtype == np.float32:
        candidates = ("cpu" if chosen in (None, "cuda") else chosen,)
    for backend in candidates:
        found = getattr(load(backend), operation.__name__, None) if backend else None
        if found is not None:
            return found
    return operation


def set_num_threads(n: int) -> None:
    """Set the number of threads of the `cpu` backend.

    By default it uses all cores, or NUMBA_NUM_THREADS of them if that is set.
    Raises ValueError for n < 1 or above that default, RuntimeError if the backend is not
    available.
    """
    check_backend("cpu")
    from .cpu.engine import threads

    threads.set_num_threads(n)


def get_num_threads() -> int:
    """The number of threads of the `cpu` backend. Raises RuntimeError if it is not available."""
    check_backend("cpu")
    from .cpu.engine import threads

    return threads.threads()


def __getattr__(name: str) -> Any:
    """An operation of `functional`, for programs from when they were called here."""
    operations = sys.modules.get(f"{__package__}.functional")  # it imports this module
    if name in getattr(operations, "OPERATIONS", ()):
        return getattr(operations, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
