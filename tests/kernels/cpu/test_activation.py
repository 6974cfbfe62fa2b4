"""Activations on the CPU: NaN, and wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu

from .rejected import V, X, assert_rejected, f32


def test_activations_propagate_nan():
    x = np.full((4, 20), -1, np.float32)
    x[1] = np.nan
    assert np.isnan(cpu.relu(x)[1]).all()
    assert np.isnan(cpu.add(x, x, "relu")[1]).all()


REJECTED = {
    "relu_grad: dy": lambda: cpu.relu_grad(f32(1), X),
    "tanh_grad: y": lambda: cpu.tanh_grad(X, f32(16)),
    "silu_grad: x": lambda: cpu.silu_grad(X, f32(16)),
    "clip: out": lambda: cpu.clip(X, 0.0, 1.0, out=f32(2, 6, 6, 15)),
    "prelu: w": lambda: cpu.prelu(X, f32(15)),
    "prelu: out": lambda: cpu.prelu(X, V, out=f32(2, 6, 6, 15)),
    "prelu_grad: dy": lambda: cpu.prelu_grad(f32(1), X, V),
    "prelu_grad: w": lambda: cpu.prelu_grad(X, X, f32(2, 16)),
    "relu: out": lambda: cpu.relu(X, out=f32(2, 6, 6, 15)),
    "add: b": lambda: cpu.add(X, f32(16)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
