"""A cache of arrays that kernels derive from weights, such as Winograd's transformed filters."""

import weakref
from typing import Any

import numpy as np

from ...thread_state import grad_enabled

_caches: dict[int, tuple[weakref.ref, dict[str, Any]]] = {}


def weight_cache(w: np.ndarray) -> dict[str, Any] | None:
    """The cache of the array w, or None if gradients are enabled, as w then changes at every step.

    It is freed with w. The contents of w may have changed since: the caller compares
    `winograd.fingerprint`.
    """
    key = id(w)
    if grad_enabled():
        _caches.pop(key, None)
        return None
    found = _caches.get(key)
    if found is None or found[0]() is not w:
        found = weakref.ref(w, lambda gone: _forget(key, gone)), {}
        _caches[key] = found
    return found[1]


def _forget(key: int, gone: weakref.ref) -> None:
    """Remove the entry of a freed array, unless a new array has the same id."""
    if key in _caches and _caches[key][0] is gone:
        del _caches[key]
