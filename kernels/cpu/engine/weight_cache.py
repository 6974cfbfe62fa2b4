"""Arrays that kernels derive from weights, such as Winograd's transformed filters, kept for reuse.

The contents of weights may change at any time, so they are compared by a hash. Within
`inference_mode` they do not change, and once is enough.
"""

import weakref
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...thread_state import grad_enabled, kept_for_inference
from ...types import Array
from .arrays import address
from .launch import kernel, task_range
from .recording import give_up
from .simd import LANES, Address, hash_combine, load_part, store
from .simd.functions import constant
from .threads import threads_for


class _Derived(NamedTuple):
    """An array, its name, and the hash of the weights that it was made of."""

    name: Hashable
    of: bytes
    array: Array
    block: weakref.ref | None  # of inference_mode, in which the hash was computed


class WeightCache:
    """What was derived last from one array of weights."""

    def __init__(self) -> None:
        self.last: _Derived | None = None

    def get(self, name: Hashable, w: Array, make: Callable[[], Array]) -> Array:
        """make(), or its earlier result of that name if w has not changed since."""
        block, last = kept_for_inference(), self.last
        here = None if block is None else weakref.ref(block)  # one object for each block
        if here and last and last.name == name and last.block is here:
            return last.array
        now = fingerprint(w)
        is_same = last is not None and (last.name, last.of) == (name, now)
        array = last.array if last is not None and is_same else make()
        self.last = _Derived(name, now, array, here)
        return array


_caches: dict[int, tuple[weakref.ref, WeightCache]] = {}


def weight_cache(w: Array) -> WeightCache | None:
    """The cache of the array w, or None if gradients are enabled, as w then changes at every step.

    It is freed with w.
    """
    key = id(w)
    if grad_enabled():
        _caches.pop(key, None)
        return None
    found = _caches.get(key)
    if found is None or found[0]() is not w:
        found = weakref.ref(w, partial(_forget, _caches, key)), WeightCache()
        _caches[key] = found
    return found[1]


def _forget(caches: dict[int, tuple[weakref.ref, Any]], key: int, gone: weakref.ref) -> None:
    """Remove the entry of a freed array, unless a new array has the same id."""
    if key in caches and caches[key][0] is gone:
        del caches[key]


def kept_in_block(w: Array, make: Callable[[], Array]) -> Array | None:
    """make(), kept until the end of `inference_mode`; None outside of it, and at w's first use.

    For what is not worth a hash of w, nor its memory afterwards. A single batch gains nothing.
    It is freed with w, since weights may be computed anew for every batch.
    """
    block, key = kept_for_inference(), id(w)
    if block is None:
        return None
    kept = block.get(key)
    if kept is None or kept[0]() is not w:
        block[key] = weakref.ref(w, partial(_forget, block, key)), None
        return None
    if kept[1] is None:
        kept = block[key] = kept[0], make()
    return kept[1]


@kernel
def _fingerprint(task: int, tasks: int, a: Address, n: int, prints: Address) -> None:
    """The hash of each task's floats, lane by lane: any changed bit changes it."""
    first, last = task_range(n, task, tasks)
    lanes = constant(0.0)
    for i in range(first, last, LANES):
        lanes = hash_combine(lanes, load_part(a, i, last - i))
    store(prints, task * LANES, lanes)


def fingerprint(a: Array) -> bytes:
    """A hash of the contents. It takes a tenth of the time of transforming filters."""
    give_up()  # what is launched next depends on the hash
    prints = np.empty((threads_for(bytes=a.nbytes), LANES), np.float32)
    _fingerprint(len(prints), address(a), a.size, address(prints))
    return prints.tobytes()
