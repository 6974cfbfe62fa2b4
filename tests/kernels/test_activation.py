"""Activations on every backend, against torch: saturation, mutants that must be caught."""

import math

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels import reference as R

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("activation", "prelu")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype, count=50)


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
    far = np.float32([-1e15, -100, 0, 100])
    np.testing.assert_allclose(backend.gelu(far), [0, 0, 0, 100], atol=1e-30)
    np.testing.assert_allclose(backend.gelu_grad(0 * far + 1, far), [0, 0, 0.5, 1], 1e-6, 1e-18)
    assert np.isnan(backend.gelu(np.float32([np.nan]))).all()
    assert np.isnan(backend.gelu_grad(np.float32([1]), np.float32([np.nan]))).all()


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "hard_swish"])
def test_curves_at_the_ends_of_float32(backend, name):
    x = np.float32([-3e38, -1e20, 1e18, 3e38])
    np.testing.assert_allclose(backend.activate(x, name), x.clip(0), 1e-6, 1e-30)
    slopes = backend.activation_grad(np.ones_like(x), x, name)
    np.testing.assert_allclose(slopes, [0, 0, 1, 1], 1e-6, 1e-18)


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("name", ["elu", "silu", "gelu_tanh", "hard_swish", "hard_sigmoid"])
def test_curves_keep_their_digits(name, backend):
    """Also near 0 and far from it: against float64, relative to the result; slopes, to 1."""
    x = np.concatenate([np.linspace(-20, 20, 4001), np.geomspace(1e-30, 1e12, 200)])
    x = np.concatenate([x, -x]).astype(np.float32)
    wide, ones = x.astype(np.float64), np.ones_like(x)
    y, dx = backend.activate(x, name), backend.activation_grad(ones, x, name)
    exact = reference.activate(wide, name)
    # x + 3, and 1 + tanh in the reference, are rounded to the unit of a number near 1.
    rounding = 2e-7 * abs(x).clip(0, 9) if name != "elu" else 0
    assert (abs(y - exact) <= 5e-7 * abs(exact) + rounding + 1e-30).all()
    assert (abs(dx - reference.activation_grad(wide * 0 + 1, wide, name)) <= 3e-6).all()


def mutant(name, function=None, gradient=None):
    """A backend with other functions for the activation of that name."""

    def activate(x, activation=None, out=None, constants=()):
        chosen = function if function and activation == name else None
        return chosen(x, *constants) if chosen else R.activate(x, activation, out, constants)

    def activation_grad(dy, y, activation=None, constants=()):
        chosen = gradient if gradient and activation == name else None
        return (
            chosen(dy, y, *constants) if chosen else R.activation_grad(dy, y, activation, constants)
        )

    own = {name: function, f"{name}_grad": gradient}
    own = {key: value for key, value in own.items() if value}
    return "activation", broken(activate=activate, activation_grad=activation_grad, **own)


def prelu_grad_without_pixels(dy, x, w):
    _, dw = R.prelu_grad(dy[:, :1], x[:, :1], w)
    return R.prelu_grad(dy, x, w)[0], dw


def kinked(dy, x, low=-np.inf, high=np.inf):
    """The gradient of hardtanh, which is 0 at the limits."""
    return np.where((x > low) & (x < high), dy, 0)


MUTANTS = {  # operation, and a backend with one mistake
    "GELU by its approximation": mutant("gelu", lambda x: x * R.sigmoid(1.702 * x)),
    "GELU by tanh, without the cube": mutant("gelu_tanh", lambda x: x * R.sigmoid(1.595769 * x)),
    "ReLU gradient without its mask": mutant("relu", gradient=lambda dy, y: dy),
    "ReLU6 gradient at 6": mutant("relu6", gradient=lambda dy, y: dy * ((y > 0) & (y <= 6))),
    "leaky ReLU gradient at 0": mutant(
        "leaky_relu", gradient=lambda dy, x, slope=0.01: np.where(x >= 0, dy, slope * dy)
    ),
    "ELU gradient without alpha": mutant(
        "elu", gradient=lambda dy, x, alpha=1.0: R.elu_grad(dy, x, 1.0)
    ),
    "clip gradient at its limits": mutant("clip", gradient=kinked),
    "hard sigmoid gradient at 3": mutant(
        "hard_sigmoid", gradient=lambda dy, x: dy / 6 * ((x > -3) & (x <= 3))
    ),
    "hard swish gradient at 3": mutant(
        "hard_swish", gradient=lambda dy, x: np.where(abs(x) <= 3, dy * (x / 3 + 0.5), dy * (x > 3))
    ),
    "SiLU gradient of the sigmoid only": mutant("silu", gradient=lambda dy, x: dy * R.sigmoid(x)),
    "PReLU slopes of the first row": ("prelu", broken(prelu_grad=prelu_grad_without_pixels)),
    "PReLU passes everything": ("prelu", broken(prelu=lambda x, w: x)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
