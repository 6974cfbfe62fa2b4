"""Calls with wrong shapes."""

import numpy as np
import pytest


def f32(*shape):
    return np.ones(shape, np.float32)


X, W, V = f32(2, 6, 6, 16), f32(3, 3, 16, 32), f32(16)


def assert_rejected(call):
    """One sentence with the shape given; memory that a kernel would change stays as it is."""
    before = [a.copy() for a in (X, W, V)]
    with pytest.raises(ValueError, match="expected|parameters"):
        call()
    for a, b in zip((X, W, V), before, strict=True):
        np.testing.assert_array_equal(a, b)
