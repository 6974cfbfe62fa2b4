"""Activations on the CPU: NaN, and wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference

from .rejected import V, X, assert_rejected, f32


def test_activations_propagate_nan():
    x = np.full((4, 20), -1, np.float32)
    x[1] = np.nan
    assert np.isnan(cpu.relu(x)[1]).all()
    assert np.isnan(cpu.add(x, x, "relu")[1]).all()


SLICES = {
    "of channels, with odd steps": lambda a: a[..., 7:30],
    "of whole vectors": lambda a: a[..., 16:48],
    "of rows and channels": lambda a: a[:, 1:, :, :5],
    "with every other channel": lambda a: a[..., ::2],
    "turned": lambda a: a[0, 0].T,
    "one axis": lambda a: a[0, 0, 0, ::3],
}


@pytest.mark.parametrize("name", ["relu", "relu6", "tanh"])
@pytest.mark.parametrize("part", SLICES.values(), ids=SLICES)
def test_gradients_read_slices(part, name):
    dy, y = np.random.default_rng(0).standard_normal((2, 2, 4, 6, 53)).astype(np.float32)
    y[0, 0, 0] = np.nan
    for source in (y, np.concatenate([y, y], axis=3)[..., :53]):  # also with another step
        found = cpu.activation_grad(part(dy), part(source), name)
        expected = reference.activation_grad(part(dy), part(source), name)
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_gradients_of_large_slices():
    """Large enough for several tasks and for non-temporal stores."""
    dy = np.arange(480 * 480 * 48, dtype=np.float32).reshape(1, 480, 480, 48)
    y = np.where(np.arange(48) % 3, dy, -dy)
    found = cpu.activation_grad(dy[..., 16:], y[..., 16:], "relu")
    np.testing.assert_array_equal(found, (dy * (y > 0))[..., 16:])


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
