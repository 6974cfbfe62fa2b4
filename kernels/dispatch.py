"""The only place that chooses between backends: by the array's type, and by what the user asked for.

Every operation of `minicnn.kernels.reference` is a function of this module. A call goes to
- the backend that `use` named, if the array suits it and it has the operation;
- else `cpu` for float32 NumPy arrays and `cuda` for CuPy arrays, where they are available: arrays stay where they are;
- else `reference`.
`table()` shows which backend serves which operation, so that no fallback is silent.
"""

import functools
import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import reference

OPERATIONS: tuple[str, ...] = tuple(reference.__all__)
BACKENDS = {
    "reference": "plain NumPy, any float type: the definition of every operation",
    "cpu": "Numba, SIMD, all cores, float32",
    "cuda": "CUDA C through CuPy",
    "numba_cuda": "Numba-CUDA: the GPU kernels in Python",
}

_chosen: str | None = None


@functools.cache
def load(backend: str) -> ModuleType | str:
    """The backend's module, or one sentence that says why it is unavailable."""
    if backend == "reference":
        return reference
    try:
        module = importlib.import_module(f"minicnn.kernels.{backend}")
        return getattr(module, "unavailable", lambda: None)() or module
    except ModuleNotFoundError as error:
        if error.name == f"minicnn.kernels.{backend}":
            return f"this version of minicnn has no kernels/{backend}"
        return f"it needs the package {error.name}, which is not installed"
    except ImportError as error:
        if (error.name or "").startswith("minicnn"):
            raise  # a fault of ours: falling back to the reference would hide it
        return str(error)


class use:  # noqa: N801 - it reads as a verb
    """Choose the backend: `use("reference")` for the process, `with use("reference"):` for a block, `use(None)` for the default.

    Raises ValueError for an unknown backend, RuntimeError for an unavailable one.
    """

    def __init__(self, backend: str | None):
        global _chosen
        if backend is not None:
            if backend not in BACKENDS:
                raise ValueError(
                    f"unknown backend {backend!r}; expected one of {', '.join(BACKENDS)}"
                )
            reason = load(backend)
            if isinstance(reason, str):
                raise RuntimeError(f"the backend {backend!r} is not available: {reason}")
        self._previous, _chosen = _chosen, backend

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        global _chosen
        _chosen = self._previous


def current() -> str | None:
    """The backend that `use` chose, or None for the default."""
    return _chosen


def implementation(operation: str, x):
    """The function that serves `operation` for the array `x`, or for the arrays of a list."""
    x = x[0] if isinstance(x, list) else x
    if type(x) is not np.ndarray and not isinstance(x, np.generic):  # on the GPU
        candidates = (_chosen, "cuda") if _chosen in ("reference", "numba_cuda") else ("cuda",)
    elif x.dtype == np.float32:
        candidates = ("cpu" if _chosen in (None, "cuda") else _chosen,)
    else:
        candidates = ()
    for backend in candidates:
        found = getattr(load(backend), operation, None) if backend else None
        if found is not None:
            return found
    return getattr(reference, operation)


def set_num_threads(n: int) -> None:
    """Let the `cpu` backend use `n` threads; by default it uses all cores, or as many as NUMBA_NUM_THREADS says.

    Raises ValueError for less than 1 or more than that default, RuntimeError if the backend is not available.
    """
    _cpu().set_num_threads(n)


def get_num_threads() -> int:
    """How many threads the `cpu` backend uses. Raises RuntimeError if it is not available."""
    return _cpu().threads()


def _cpu() -> ModuleType:
    """The module that starts the CPU's kernels."""
    found = load("cpu")
    if isinstance(found, str):
        raise RuntimeError(f"the backend 'cpu' is not available: {found}")
    return importlib.import_module("minicnn.kernels.cpu.engine.launch")


def table() -> dict[str, dict[str, bool]]:
    """Operation -> backend -> whether the backend has a kernel of its own (if not, `reference` serves)."""
    return {
        operation: {backend: hasattr(load(backend), operation) for backend in BACKENDS}
        for operation in OPERATIONS
    }


def _dispatcher(operation: str):
    @functools.wraps(getattr(reference, operation))
    def dispatch(x, *args, **kwargs):
        return implementation(operation, x)(x, *args, **kwargs)

    return dispatch


for _operation in OPERATIONS:
    globals()[_operation] = _dispatcher(_operation)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
