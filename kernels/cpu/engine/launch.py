"""How a Python function becomes a kernel that every core runs: compiled once, kept on disk, started in microseconds.

    @kernel
    def scale(task, tasks, x, y, n, factor: float):
        first, last = share(n, task, tasks)
        ...

    scale(threads(), address(x), address(y), x.size, 2.0)

Arguments are integers (sizes, strides, addresses of arrays) and, where annotated so, floats: one specialization of each kernel serves
every shape. Task number `task` of `tasks` does its share; the split depends on nothing but the sizes and the number of tasks, so that
results are bit-identical from run to run.

A kernel is an ordinary Numba function behind a C entry that unpacks its arguments. One tiny parallel loop starts them all: Numba takes a
second to compile a parallel function and a fifth of that for a plain one, and start-up is time that users wait.
"""

import array
import hashlib
import inspect
import os
import struct
import threading
from pathlib import Path

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_INT, _POINTER = ir.IntType(64), ir.PointerType


@intrinsic
def _integer(typing, args, i):
    """The i-th packed argument, an integer."""

    def generate(context, builder, signature, values):
        base = builder.inttoptr(values[0], _INT.as_pointer())
        return builder.load(builder.gep(base, [values[1]]))

    return types.intp(types.intp, types.intp), generate


@intrinsic
def _real(typing, args, i):
    """The i-th packed argument, a float32 that travels as a double."""

    def generate(context, builder, signature, values):
        base = builder.inttoptr(values[0], ir.DoubleType().as_pointer())
        return builder.fptrunc(builder.load(builder.gep(base, [values[1]])), ir.FloatType())

    return types.float32(types.intp, types.intp), generate


@intrinsic
def _enter(typing, entry, task, tasks, args):
    """Call the C function at the address `entry`."""

    def generate(context, builder, signature, values):
        function = ir.FunctionType(ir.VoidType(), [_INT] * 3)
        builder.call(builder.inttoptr(values[0], function.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@numba.njit(types.void(*[types.intp] * 3), parallel=True, nogil=True, cache=True)
def _in_parallel(entry, tasks, args):
    for task in numba.prange(tasks):
        _enter(entry, task, tasks, args)


@numba.njit(types.void(*[types.intp] * 3), nogil=True, cache=True)
def _in_turn(entry, tasks, args):
    for task in range(tasks):
        _enter(entry, task, tasks, args)


@numba.njit
def share(n, task, tasks):
    """The range [first, last) of n things that belong to `task`: as even as whole numbers go."""
    return n * task // tasks, n * (task + 1) // tasks


@numba.njit
def reach(h, before, stride, size, count):
    """The windows [first, last), of `count`, that cover pixel h: `p * stride <= h + before < p * stride + size`."""
    return max(0, (h + before - size) // stride + 1), min(count, (h + before) // stride + 1)


_names: set[tuple[str, str]] = set()


def inline(function, name: str | None = None):
    """A function that kernels call; it is compiled into them. `name` renames one that is defined several times, in a closure.

    Raises ValueError for a second function of the same name: to the linker, kernels that come from the cache share what they call by name,
    and would silently call the wrong one.
    """
    if name is not None:
        function.__name__ = function.__qualname__ = name
    key = function.__module__, function.__qualname__
    if key in _names:
        raise ValueError(
            f"there is a kernel function {function.__qualname__!r} already; give each its own name"
        )
    _names.add(key)
    return numba.njit(function, nogil=True, error_model="numpy")


def _stamp() -> str:
    """What all kernels depend on: the text of kernels/cpu. Numba alone would not see that a callee in another file has changed."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).resolve().parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    digest.update(os.environ.get("MINICNN_SIMD", "").encode())
    return digest.hexdigest()


STAMP = _stamp()
_ENTRY = """
def make(stamp):
    def {name}(task, tasks, args):
        stamp  # a closure's contents are part of the key that Numba caches under
        body(task, tasks, {arguments})
    return {name}
"""
_double, _bits = struct.Struct("=d"), struct.Struct("=q")


class kernel:  # noqa: N801 - a decorator
    """The decorator; see the module's docstring. Calling the kernel with the number of tasks and its arguments runs it."""

    def __init__(self, function):
        parameters = list(inspect.signature(function).parameters.values())[2:]
        self._body, self._reals = function, [p.annotation is float for p in parameters]
        self._has_reals = any(self._reals)
        self._entry: int | None = None
        self._lock = threading.Lock()
        self.__doc__, self.__name__ = function.__doc__, function.__name__

    def _compile(self) -> int:
        """The address of the C entry, compiled or read from the cache at the first call."""
        body = self._body
        arguments = ", ".join(
            f"{'real' if real else 'integer'}(args, {i})" for i, real in enumerate(self._reals)
        )
        scope = {"body": inline(body), "integer": _integer, "real": _real}
        exec(
            _ENTRY.format(name=body.__name__, arguments=arguments), scope
        )  # from names of our own source
        entry = scope["make"](STAMP)
        # Numba finds the cache by the file and line of a function: those of the kernel itself.
        entry.__code__ = entry.__code__.replace(
            co_filename=body.__code__.co_filename, co_firstlineno=body.__code__.co_firstlineno
        )
        entry.__module__, entry.__qualname__ = body.__module__, body.__qualname__
        self._compiled = numba.cfunc(
            types.void(*[types.intp] * 3), nopython=True, cache=True, error_model="numpy"
        )(entry)
        return self._compiled.address

    def __call__(self, tasks: int, *args) -> None:
        if self._entry is None:
            with self._lock:
                self._entry = self._entry or self._compile()
        if self._has_reals:
            args = [
                _bits.unpack(_double.pack(a))[0] if real else a
                for a, real in zip(args, self._reals, strict=True)
            ]
        packed = array.array("q", args)
        if len(packed) != len(self._reals):
            raise TypeError(
                f"kernel {self.__name__}: {len(packed)} arguments; expected {len(self._reals)}"
            )
        if tasks > 1 and not _forked:
            with _one_at_a_time:
                if getattr(_of_this_thread, "threads", None) != _threads:
                    numba.set_num_threads(_threads)
                    _of_this_thread.threads = _threads
                _in_parallel(self._entry, tasks, packed.buffer_info()[0])
        else:
            _in_turn(self._entry, tasks, packed.buffer_info()[0])


# -- threads -----------------------------------------------------------------------------------------------------------------

_one_at_a_time = threading.Lock()  # not every threading layer bears two callers
_of_this_thread = (
    threading.local()
)  # Numba's number of threads is one for each thread that starts a kernel
_forked = False
_threads: int = numba.config.NUMBA_NUM_THREADS


def _after_fork() -> None:
    """OpenMP's threads do not survive a fork, and starting them again would abort: a child process works alone."""
    global _forked, _one_at_a_time
    _forked, _one_at_a_time = True, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def threads() -> int:
    """How many threads kernels use."""
    return _threads


def set_num_threads(n: int) -> None:
    """Let kernels use `n` threads. Raises ValueError for less than 1 or more than NUMBA_NUM_THREADS (by default the cores)."""
    global _threads
    most = numba.config.NUMBA_NUM_THREADS
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= n <= most:
        raise ValueError(
            f"set_num_threads({n!r}): expected 1 to {most} (set NUMBA_NUM_THREADS before starting for more)"
        )
    _threads = int(n)
