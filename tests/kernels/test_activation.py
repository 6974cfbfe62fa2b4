"""Activations on every backend, against torch: saturation, mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("activation")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize(
    ("name", "amplitude", "slope"), [("tanh", 1, 1), ("scaled_tanh", np.float32(1.7159), 2 / 3)]
)
def test_tanh_gradients_keep_their_digits_where_they_saturate(backend, name, amplitude, slope):
    """The derivative from float32 outputs is exact to a few roundings, relative to itself."""
    x = np.linspace(-11, 11, 4001, dtype=np.float32)
    y = backend.activate(x, name)
    ours = backend.activation_grad(np.ones_like(y), y, name).astype(np.float64)
    amplitude, wide = np.float64(amplitude), y.astype(np.float64)
    exact = slope / amplitude * (amplitude - wide) * (amplitude + wide)
    assert (exact[abs(x) > 7] < 1e-3).all()
    assert (abs(ours - exact) <= 4e-7 * exact).all()


def relu_from_input_sign(dy, y, activation=None):
    return reference.activation_grad(dy, y, activation) if activation != "relu" else dy


MUTANTS = {  # operation, and a backend with one mistake
    "ReLU gradient without its mask": ("activation", broken(activation_grad=relu_from_input_sign))
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
