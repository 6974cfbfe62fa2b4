"""Kernels: Python functions that are compiled once, kept on disk, and run on every core.

    @kernel
    def scale(task, tasks, x, y, n, factor: float):
        first, last = task_range(n, task, tasks)
        ...

    scale(threads(), address(x), address(y), x.size, 2.0)

Arguments are integers (sizes, strides, addresses of arrays) and, where annotated, floats or records
(NamedTuples of integers), so that one specialization of each kernel serves every shape. Each task
processes its part. The split depends only on the sizes and the number of tasks, so results are
bit-identical from run to run.

A kernel is an ordinary Numba function behind a C entry point that unpacks its arguments. A single
small parallel loop starts all kernels: Numba needs a second to compile a parallel function and a
fifth of that for a plain one, and users wait for the first step.
"""

import ctypes
import functools
import inspect
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compiled import compile_cached, stamp
from .recording import active, current
from .threads import ARGUMENTS, start

_INT = ir.IntType(64)
MOST_ARGUMENTS = 64


@intrinsic
def _integer(typing: Any, args: Any, i: Any) -> Any:
    """The i-th packed argument, an integer."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        base = builder.inttoptr(values[0], _INT.as_pointer())
        return builder.load(builder.gep(base, [values[1]]))

    return types.intp(types.intp, types.intp), generate


@intrinsic
def _real(typing: Any, args: Any, i: Any) -> Any:
    """The i-th packed argument, a float32 that travels as a double."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        base = builder.inttoptr(values[0], ir.DoubleType().as_pointer())
        return builder.fptrunc(builder.load(builder.gep(base, [values[1]])), ir.FloatType())

    return types.float32(types.intp, types.intp), generate


class _ThreadState(threading.local):
    """Where each thread that calls kernels packs their arguments."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(8 * MOST_ARGUMENTS)
        self.address = ctypes.addressof(self.buffer)


_of_this_thread = _ThreadState()


@numba.njit
def task_range(n: int, task: int, tasks: int) -> tuple[int, int]:
    """The range [first, last) of n items that belongs to `task`; ranges differ by at most one."""
    return n * task // tasks, n * (task + 1) // tasks


@numba.njit
def covering_windows(h: int, before: int, stride: int, size: int, count: int) -> tuple[int, int]:
    """The windows p, first <= p < last, of `count` that cover pixel h.

    They satisfy `p * stride <= h + before < p * stride + size`.
    """
    return max(0, (h + before - size) // stride + 1), min(count, (h + before) // stride + 1)


_names: set[tuple[str, str]] = set()


def inline(function: Callable, name: str | None = None, always: bool = False) -> Callable:
    """A function that is compiled into the kernels that call it.

    LLVM decides whether it stays a call; with `always` it does not.
    `name` renames a function that is defined several times, in a closure. Raises ValueError for a
    second function of the same name: cached kernels are linked by symbol name, so two functions
    with one name would be confused silently.
    """
    if name is not None:
        function.__name__ = function.__qualname__ = name
    key = function.__module__, function.__qualname__
    if key in _names:
        raise ValueError(
            f"there is a kernel function {function.__qualname__!r} already; give each its own name"
        )
    _names.add(key)
    return numba.njit(function, nogil=True, error_model="numpy", forceinline=always)


def replaced(function: Any, name: str, **functions: Any) -> Callable:
    """A copy of a function that calls others: `functions`, by the names of those they replace.

    function: plain, compiled by `inline`, an intrinsic, or a kernel.
    """
    plain = getattr(function, "py_func", getattr(function, "_defn", function))
    assert functions.keys() <= plain.__globals__.keys()
    copy = FunctionType(
        plain.__code__, plain.__globals__ | functions, name, plain.__defaults__, plain.__closure__
    )
    copy.__qualname__, copy.__module__, copy.__doc__ = name, plain.__module__, plain.__doc__
    copy.__annotations__ = plain.__annotations__
    return copy


_ENTRY = """
def make(stamp):
    def {name}(task, tasks, args):
        stamp  # a closure's contents are part of the key that Numba caches under
        body(task, tasks, {arguments})
    return {name}
"""


def _is_record(kind: object) -> bool:
    """True for a NamedTuple class: its integers travel as so many arguments."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


class kernel:  # noqa: N801 - a decorator
    """The decorator; see the module docstring. `kernel(tasks, *arguments)` runs it.

    Raises TypeError for a wrong number of arguments.
    """

    def __init__(self, function: Callable) -> None:
        self.py_func = self._body = function
        self._parameters = list(inspect.signature(function).parameters.values())[2:]
        self._entry: int | None = None
        self._lock = threading.Lock()
        self._pack = self._packer()
        self.__doc__, self.__name__ = function.__doc__, function.__name__

    def _packer(self) -> Callable[..., None]:
        """A function that writes the arguments to a buffer, 8 bytes each.

        Its source, `lambda buffer, x, n, least: pack(buffer, 0, *x, n, least)`, is made from the
        names and kinds of the parameters: a training step of LeNet calls it some thirty times.
        """
        layout, values = "", []
        for parameter in self._parameters:
            record = _is_record(parameter.annotation)
            layout += "q" * len(parameter.annotation._fields) if record else ""
            layout += "" if record else "d" if parameter.annotation is float else "q"
            values.append(f"*{parameter.name}" if record else parameter.name)
        pack = struct.Struct(layout).pack_into
        names = ", ".join(p.name for p in self._parameters)
        source = f"lambda buffer, {names}: pack(buffer, 0, {', '.join(values)})"
        return eval(source, {"pack": pack})

    def _compile(self) -> int:
        """The address of the C entry, compiled or read from the cache at the first call."""
        body = self._body
        scope: dict[str, Any] = {"body": inline(body), "integer": _integer, "real": _real}
        arguments, i = [], 0
        for kind in (p.annotation for p in self._parameters):
            if _is_record(kind):
                scope[kind.__name__] = kind
                fields = (f"integer(args, {i + k})" for k in range(len(kind._fields)))
                arguments.append(f"{kind.__name__}({', '.join(fields)})")
                i += len(kind._fields)
            else:
                arguments.append(f"{'real' if kind is float else 'integer'}(args, {i})")
                i += 1
        # The source consists of names from our own files.
        exec(_ENTRY.format(name=body.__name__, arguments=", ".join(arguments)), scope)
        entry = scope["make"](stamp(Path(body.__code__.co_filename).resolve().parent))
        # Numba finds the cache by the file and line of a function: those of the kernel itself.
        entry.__code__ = entry.__code__.replace(
            co_filename=body.__code__.co_filename, co_firstlineno=body.__code__.co_firstlineno
        )
        entry.__module__, entry.__qualname__ = body.__module__, body.__qualname__
        compiler = functools.partial(numba.cfunc, ARGUMENTS, error_model="numpy")
        self._compiled = compile_cached(lambda cache: compiler(cache=cache)(entry), entry)
        return self._compiled.address

    def __call__(self, tasks: int, *arguments: Any) -> None:
        if self._entry is None:
            with self._lock:
                self._entry = self._entry or self._compile()
        own = _of_this_thread
        self._pack(own.buffer, *arguments)
        if active and (recording := current()):
            recording.add(self._entry, tasks, own.buffer.raw)
        start(self._entry, tasks, own.address)
