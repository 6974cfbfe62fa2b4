"""Activations on every backend, against torch: saturation, mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("activation")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


@pytest.mark.parametrize("backend", [cpu, reference])
def test_scaled_tanh_gradient_keeps_its_digits_where_it_saturates(backend):
    """The derivative from float32 outputs is exact to a few roundings, relative to itself."""
    x = np.linspace(-11, 11, 4001, dtype=np.float32)
    y = backend.scaled_tanh(x)
    ours = backend.scaled_tanh_grad(np.ones_like(y), y).astype(np.float64)
    amplitude, wide = np.float64(np.float32(1.7159)), y.astype(np.float64)
    exact = 2 / 3 / amplitude * (amplitude - wide) * (amplitude + wide)
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
