"""Normalization on the CPU: wrong shapes."""

import pytest

from minicnn.kernels import cpu

from .rejected import V, X, assert_rejected, f32

REJECTED = {
    "batch_norm: gamma": lambda: cpu.batch_norm(X, f32(1), V, V, V),
    "batch_norm: beta": lambda: cpu.batch_norm(X, V, f32(8), V, V),
    "batch_norm: running": lambda: cpu.batch_norm(X, V, V, f32(4), V, training=False),
    "batch_norm_add: other": lambda: cpu.batch_norm_add(X, f32(1, 6, 6, 16), V, V, V, V),
    "batch_norm: out": lambda: cpu.batch_norm(X, V, V, V, V, out=f32(1, 6, 6, 16)),
    "batch_norm_add: out": lambda: cpu.batch_norm_add(X, X, V, V, V, V, out=f32(2, 6, 6, 8)),
    "batch_norm: empty": lambda: cpu.batch_norm(f32(0, 6, 6, 16), V, V, V, V),
    "batch_norm_grad: dy": lambda: cpu.batch_norm_grad(f32(1), X, V, V, V),
    "batch_norm_grad: mean": lambda: cpu.batch_norm_grad(X, X, V, f32(3), V),
    "local_response_norm: out": lambda: cpu.local_response_norm(X, out=f32(2, 6, 5, 16)),
    "local_response_norm: size": lambda: cpu.local_response_norm(X, size=0),
    "local_response_norm_grad: dy": lambda: cpu.local_response_norm_grad(f32(1), X, X, X),
    "local_response_norm_grad: scale": lambda: cpu.local_response_norm_grad(X, X, X, f32(2, 16)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
