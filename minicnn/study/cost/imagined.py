"""Arrays without contents: a network runs on them to find its shapes, allocations and operations.

An imagined array has a shape and a type, and all of its elements are one number in memory. Its
place is taken from a pool that gives out addresses by the rules of `kernels.cpu.engine.memory`, and
is free when nothing refers to the array any more. So the pool grows as the memory of a real step
does. NumPy's functions of imagined arrays give imagined arrays where they are elementwise.
"""

import ctypes
import math
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...kernels.cpu.engine.memory import LARGE, SMALL, UNUSED, Arena, block_size
from ...kernels.types import Shape


class ImaginedArena(Arena):
    """An arena of any length without memory: its blocks are a few bytes."""

    def __init__(self) -> None:
        self.size, self.address, self.reached = 1 << 60, 0, 0
        self.used: list[tuple[ctypes.Array, int, int]] = []

    def block(self, first: int, size: int) -> ctypes.Array:
        return _token()


def _token() -> ctypes.Array:
    """What an imagined array refers to in place of its memory: room for one number."""
    return (ctypes.c_char * 16)()


class ImaginedPool:
    """The pool of `kernels.cpu.engine.memory` without memory."""

    def __init__(self) -> None:
        self.arena = ImaginedArena()
        self.blocks: dict[int, list[tuple[ctypes.Array, int]]] = {}

    @property
    def bytes(self) -> int:
        """The memory that a real pool would have asked for up to now."""
        return self.arena.reached + sum(size * len(free) for size, free in self.blocks.items())

    def empty(self, shape: Shape | int, dtype: Any = np.float32) -> "Imagined":
        """An array like that of `memory.empty`."""
        shape = shape if isinstance(shape, tuple) else (int(shape),)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < SMALL:
            block = _token()
        elif size >= LARGE:
            found = self.arena.take(block_size(size))
            assert found is not None
            block = found
        else:
            block = self._small(block_size(size))
        strides = (0,) * len(shape)
        array = Imagined(shape, dtype, block, strides=strides)  # type: ignore[arg-type]
        array.pool = self
        return array

    def _small(self, size: int) -> ctypes.Array:
        free = self.blocks.setdefault(size, [])
        for entry in free:
            if sys.getrefcount(entry[0]) <= UNUSED:
                return entry[0]
        free.append((_token(), size))
        return free[-1][0]


class Imagined(np.ndarray):
    """An array without contents. Writing to it does nothing."""

    pool: ImaginedPool
    is_whole = True  # not a slice

    def __array_finalize__(self, origin: Any) -> None:
        pool = getattr(origin, "pool", None)
        if pool is not None:
            self.pool = pool
            self.is_whole = origin.is_whole and self.size == origin.size

    @property
    def flags(self) -> Any:
        """Whether the array would be contiguous, as a real one that is not would be copied."""
        return SimpleNamespace(c_contiguous=self.is_whole, writeable=True)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Do nothing: there are no contents."""

    def copy(self, order: Any = "C") -> "Imagined":
        return self.pool.empty(self.shape, self.dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Elementwise functions give an imagined array; others compute on the one number."""
        out = options.pop("out", (None,))[0]
        if out is not None:
            return out
        plain = [a.view(np.ndarray) if isinstance(a, Imagined) else a for a in inputs]
        if method != "__call__" or ufunc.signature is not None or ufunc.nout > 1:
            return getattr(ufunc, method)(*plain, **options)
        shape = np.broadcast_shapes(*(np.shape(a) for a in inputs))
        numbers = [a.flat[0] if isinstance(a, np.ndarray) and a.size else a for a in plain]
        with np.errstate(all="ignore"):
            dtype = np.asarray(ufunc(*numbers)).dtype
        return self.pool.empty(shape, dtype)
