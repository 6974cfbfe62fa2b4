"""Functions of single numbers by the contract of layers, and against torch."""

import numpy as np
import pytest
import torch

from minicnn.layers import Function

from .contract import IMAGES, LayerContract, values

THEIRS = {
    "abs": torch.abs,
    "erf": torch.erf,
    "exp": torch.exp,
    "log": torch.log,
    "power": lambda x: x**-1.5,
    "softplus": torch.nn.functional.softplus,
}


class TestFunction(LayerContract):
    cases = {
        **{name: (lambda name=name: Function(name), IMAGES) for name in ("abs", "erf", "softplus")},
        "exp": (lambda: Function("exp"), (3, 5)),
        "square": (lambda: Function("power", 2), IMAGES),
        "cube": (lambda: Function("power", 3), (3, 5)),
        "inverse": (lambda: Function("power", -1), (3, 4)),
    }


def test_the_gradient_of_a_constant_power_is_zero():
    layer = Function("power", 0)
    np.testing.assert_array_equal(layer(np.array([0.0, 2.0])), 1)
    np.testing.assert_array_equal(layer.backward(np.ones(2)), 0)


@pytest.mark.parametrize("name", THEIRS)
def test_against_torch(name):
    x = values((2, 3, 4))
    x = abs(x) if name in ("log", "power") else np.concatenate([x, [[[0.0, -800, 800, 6]]] * 2], 1)
    x = np.clip(x, -800, 700)
    theirs = torch.tensor(x, requires_grad=True)
    y, layer = THEIRS[name](theirs), Function(name, -1.5 if name == "power" else None)
    dy = np.random.default_rng(1).standard_normal(x.shape)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer(x), y.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.backward(dy), theirs.grad, rtol=1e-12, atol=1e-15)


def test_errors():
    for arguments, message in (
        (("sine",), "name='sine': expected one of abs, erf, exp, log, power, softplus"),
        (("power",), "power: exponent=None: expected a number"),
        (("exp", 2), "exp: exponent=2: expected None"),
        (("power", "2"), "exponent='2': expected a number"),
    ):
        with pytest.raises(ValueError, match=message):
            Function(*arguments)
