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
    "group_norm: gamma": lambda: cpu.group_norm(X, f32(1), V, 4),
    "group_norm: groups": lambda: cpu.group_norm(X, V, V, 5),
    "group_norm: out": lambda: cpu.group_norm(X, V, V, 4, out=f32(2, 6, 6, 15)),
    "group_norm: empty": lambda: cpu.group_norm(f32(0, 6, 6, 16), V, V, 4),
    "group_norm_grad: dy": lambda: cpu.group_norm_grad(f32(1), X, V, f32(2, 4), f32(2, 4)),
    "group_norm_grad: mean": lambda: cpu.group_norm_grad(X, X, V, f32(1, 4), f32(2, 4)),
    "group_norm_grad: groups": lambda: cpu.group_norm_grad(X, X, V, f32(2, 3), f32(2, 3)),
    "group_norm_grad: inv_std": lambda: cpu.group_norm_grad(X, X, V, f32(2, 4), f32(2, 2)),
    "layer_norm: beta": lambda: cpu.layer_norm(X, V, f32(2, 6, 6, 16)),
    "layer_norm: out": lambda: cpu.layer_norm(X, V, V, out=f32(16)),
    "layer_norm_grad: dy": lambda: cpu.layer_norm_grad(V, X, V, f32(2, 6, 6), f32(2, 6, 6)),
    "layer_norm_grad: mean": lambda: cpu.layer_norm_grad(X, X, V, f32(2, 6), f32(2, 6, 6)),
    "layer_norm_grad: inv_std": lambda: cpu.layer_norm_grad(X, X, V, f32(2, 6, 6), V),
    "local_response_norm: out": lambda: cpu.local_response_norm(X, out=f32(2, 6, 5, 16)),
    "local_response_norm: size": lambda: cpu.local_response_norm(X, size=0),
    "local_response_norm, within: x": lambda: cpu.local_response_norm(V, within_channel=True),
    "local_response_norm, within: out": lambda: cpu.local_response_norm(
        X, within_channel=True, out=f32(2, 6, 5, 16)
    ),
    "local_response_norm_grad, within: dy": lambda: cpu.local_response_norm_grad(
        f32(1), X, X, X, within_channel=True
    ),
    "local_response_norm_grad, within: scale": lambda: cpu.local_response_norm_grad(
        X, X, X, f32(2, 16), within_channel=True
    ),
    "local_response_norm_grad: dy": lambda: cpu.local_response_norm_grad(f32(1), X, X, X),
    "local_response_norm_grad: scale": lambda: cpu.local_response_norm_grad(X, X, X, f32(2, 16)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
