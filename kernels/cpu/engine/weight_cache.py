"""What kernels derive from weights, such as Winograd's transformed filters, kept for the next call."""

import weakref
from typing import Any

import numpy as np

from ...thread_state import grad_enabled

_caches: dict[int, tuple[weakref.ref, dict[str, Any]]] = {}


def weight_cache(w: np.ndarray) -> dict[str, Any] | None:
    """The cache that belongs to the array w, or None where gradients are on: w is being trained.

    It goes when w goes. The caller compares contents (`winograd.fingerprint`): w may have changed.
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
    """Drop the entry of an array that is gone, unless another array has taken its place."""
    if key in _caches and _caches[key][0] is gone:
        del _caches[key]
