"""Matrices that a layer holds as buffers: they are not trained."""

from typing import Any

import numpy as np

from ..kernels.types import Array


def matrix(name: str, value: Any) -> Array | None:
    """A matrix in float32, or zeros of a shape. Raises ValueError for an array of other axes."""
    if value is None:
        return None
    is_shape = isinstance(value, (tuple, list)) and all(isinstance(n, int) for n in value)
    array = np.zeros(value, np.float32) if is_shape else np.array(value, np.float32)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} of shape {array.shape}: expected a matrix (out, in)")
    return array
