"""Dropout on the CPU: wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu

from .rejected import X, assert_rejected, f32

REJECTED = {
    "dropout: out": lambda: cpu.dropout(X, 0.5, np.random.default_rng(0), out=f32(16)),
    "dropout_grad: keep": lambda: cpu.dropout_grad(X, np.ones(16, bool), 0.5),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
