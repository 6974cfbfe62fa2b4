"""Weights in bfloat16, rounded once per training step instead of once per pass of each layer.

Products of bfloat16 images round their weights. Within `RoundedWeights.in_use` they read copies,
which the optimizers' kernels (optim.cu) write in the pass that updates the weights.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike

from ..thread_state import ThreadState
from ..types import Array
from .activation import convert
from .device import THREADS, launch, runtime
from .optim_tables import tables

Key = tuple[int, int]  # the address and the size of weights


class Copy:
    """The copy of one array of weights.

    wanted: a product has read these weights. array: the copy, made at the first step after that.
    is_current: it is what the weights are, rounded.
    """

    def __init__(self, w: Array):
        self.w = w  # kept, so that no other array gets its address
        self.wanted = self.is_current = False
        self.array: Array | None = None


class RoundedWeights:
    """Copies in bfloat16 of float32 weights without gaps.

    Nothing shows whether an array on the device has changed. A copy is therefore out of date at the
    end of each `in_use`, until an optimizer's kernel has written it; `expire` is for all other
    changes after that. The next `in_use` rounds what is out of date in one launch.
    """

    def __init__(self, weights: Iterable[Array]):
        self._copies = {_key(w): Copy(w) for w in weights if w.flags.c_contiguous}
        _written_by_optimizers.update(self._copies)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this block, in this thread, products read the copies; no weights may change."""
        self._refresh()
        try:
            with _state.changed(copies=self):
                yield
        finally:
            self.expire()

    def expire(self) -> None:
        """The weights may have changed: all copies are out of date."""
        for copy in self._copies.values():
            copy.is_current = False

    def find(self, w: Array) -> Array | None:
        """The copy of w, an array without gaps; None for weights that have none, or not yet."""
        copy = self._copies.get(_key(w))
        if copy is None:
            return None
        copy.wanted = True
        return copy.array if copy.is_current else None

    def _refresh(self) -> None:
        old = [copy for copy in self._copies.values() if copy.wanted and not copy.is_current]
        if not old:
            return
        for copy in old:
            if copy.array is None:  # read by every replay of a graph
                copy.array = runtime().lasting(copy.w.shape, _bfloat16())
        rows = tuple((_key(copy.w)[0], 0, 0, 0, runtime().address(copy.array)) for copy in old)
        found = tables(runtime(), rows, tuple(copy.w.size for copy in old))
        launch("optim.cu", "round_weights", found.blocks, THREADS, found.tensors, found.chunks)
        for copy in old:
            copy.is_current = True


class _Block(ThreadState):
    """copies: those of the block `in_use` that this thread is in, or None."""

    copies: RoundedWeights | None = None


_state = _Block()
_written_by_optimizers: WeakValueDictionary[Key, Copy] = WeakValueDictionary()


def copies_to_write(weights: Iterable[Array]) -> list[Copy | None]:
    """For each of the weights that an optimizer updates, the copy that its kernel writes, or None.

    None while a graph is captured, which may outlast the copies.
    """
    if runtime().capturing:
        return [None for _ in weights]
    found = (_written_by_optimizers.get(_key(w)) for w in weights)
    return [copy if copy is not None and copy.array is not None else None for copy in found]


def in_type(w: Array, dtype: DTypeLike) -> Array:
    """Float32 weights without gaps in the type of the images."""
    copies = _state.copies
    found = None if copies is None or w.dtype == dtype else copies.find(w)
    return convert(w, dtype) if found is None else found.reshape(w.shape)


def _key(w: Array) -> Key:
    return runtime().address(w), w.size


def _bfloat16() -> np.dtype:
    from ml_dtypes import bfloat16  # a dependency of CuPy

    return np.dtype(bfloat16)
