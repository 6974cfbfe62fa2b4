"""Activations on the emulated GPU: what the checks against torch do not see."""

import numpy as np
import pytest

from minicnn.kernels import functional

from .common import to_device


@pytest.mark.parametrize(
    ("name", "amplitude", "slope"), [("tanh", 1, 1), ("scaled_tanh", np.float32(1.7159), 2 / 3)]
)
def test_tanh_gradients_keep_their_digits_where_they_saturate(name, amplitude, slope, emulate):
    """The derivative from float32 outputs is exact to a few roundings, relative to itself."""
    emulate()
    x = np.linspace(-11, 11, 4001, dtype=np.float32)
    y = functional.activate(to_device(x), name)
    ours = np.asarray(functional.activation_grad(to_device(np.ones_like(x)), y, name), np.float64)
    amplitude, wide = np.float64(amplitude), np.asarray(y, np.float64)
    exact = slope / amplitude * (amplitude - wide) * (amplitude + wide)
    assert (exact[abs(x) > 7] < 1e-3).all()
    assert (abs(ours - exact) <= 4e-7 * exact).all()


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "hard_swish"])
def test_curves_at_the_ends_of_float32(name, emulate):
    """They are x or 0 there, and their slopes 1 or 0, although x * x and 6 x overflow."""
    emulate()
    x = to_device(np.float32([-3e38, -1e20, 1e18, 3e38]))
    y = np.asarray(functional.activate(x, name))
    np.testing.assert_allclose(y, [0, 0, 1e18, 3e38], 1e-6, 1e-30)
    slopes = functional.activation_grad(to_device(np.ones(4, np.float32)), x, name)
    np.testing.assert_allclose(np.asarray(slopes), [0, 0, 1, 1], 1e-6, 1e-18)
