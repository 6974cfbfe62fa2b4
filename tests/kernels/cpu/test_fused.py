"""Fused operations on the CPU: wrong shapes."""

import pytest

from minicnn.kernels import cpu

from .rejected import V, W, X, assert_rejected, f32

REJECTED = {
    "conv2d_affine: scale": lambda: cpu.conv2d_affine(X, W, f32(31), f32(32)),
    "batch_norm_add: other": lambda: cpu.batch_norm_add(X, f32(1, 6, 6, 16), V, V, V, V),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
