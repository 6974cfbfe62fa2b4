"""Activations on every backend, against torch: saturation, mutants that must be caught."""

import math

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


@pytest.mark.parametrize("backend", [cpu, reference])
def test_gelu_keeps_its_digits(backend):
    """Relative to itself where it is positive, and to 1e-7 where it is nearly 0; NaN stays NaN."""
    x = np.linspace(-15, 15, 6001, dtype=np.float32)
    exact = x * np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x.astype(np.float64)])
    assert (abs(backend.gelu(x) - exact) <= 5e-7 * abs(exact).clip(0.1)).all()
    np.testing.assert_allclose(backend.gelu(np.float32([-100, 0, 100])), [0, 0, 100], atol=1e-12)
    assert np.isnan(backend.gelu(np.float32([np.nan]))).all()
    assert np.isnan(backend.gelu_grad(np.float32([1]), np.float32([np.nan]))).all()


def relu_from_input_sign(dy, y, activation=None):
    return reference.activation_grad(dy, y, activation) if activation != "relu" else dy


def gelu_of_a_logistic(x, activation=None, out=None):
    """The approximation x sigmoid(1.702 x) of the same paper."""
    return (
        x * reference.sigmoid(1.702 * x)
        if activation == "gelu"
        else reference.activate(x, activation)
    )


MUTANTS = {  # operation, and a backend with one mistake
    "GELU by its approximation": (
        "activation",
        broken(activate=gelu_of_a_logistic, gelu=lambda x: gelu_of_a_logistic(x, "gelu")),
    ),
    "ReLU gradient without its mask": ("activation", broken(activation_grad=relu_from_input_sign)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
