"""Activation layers: the contract, kinks as in torch, numbers that are not finite, and errors."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from minicnn import layers
from minicnn.errors import ShapeError
from minicnn.layers import (
    ELU,
    GELU,
    Activation,
    BatchNorm2d,
    Clip,
    Conv2d,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    ScaledTanh,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from minicnn.layers.init import he_normal

from .contract import IMAGES, LayerContract


class TestActivation(LayerContract):
    cases = {
        "ReLU": (ReLU, IMAGES),
        "ReLU6": (ReLU6, IMAGES),
        "sigmoid": (Sigmoid, IMAGES),
        "tanh": (Tanh, (5, 3)),
        "scaled tanh": (ScaledTanh, IMAGES),
        "leaky ReLU": (lambda: LeakyReLU(0.3), IMAGES),
        "leaky ReLU by name": (lambda: Activation("leaky_relu", (0.3,)), (4, 3)),
        "ELU": (lambda: ELU(1.5), IMAGES),
        "clip": (lambda: Clip(-0.505, 0.255), IMAGES),
        "clip from above": (lambda: Clip(high=0.255), (2, 3, 4)),
        "hard sigmoid": (HardSigmoid, IMAGES),
        "hard swish": (HardSwish, IMAGES),
        "SiLU": (SiLU, IMAGES),
        "GELU": (GELU, IMAGES),
        "GELU by tanh": (lambda: GELU("tanh"), IMAGES),
        "PReLU": (lambda: PReLU(4, initial=0.3), IMAGES),
        "PReLU of rows": (lambda: PReLU(3), (4, 3)),
        "PReLU, shared": (PReLU, IMAGES),
        "softmax": (Softmax, (5, 3)),
        "softmax of maps": (Softmax, IMAGES),
    }


TORCH = {
    "ReLU": (ReLU, nn.ReLU),
    "ReLU6": (ReLU6, nn.ReLU6),
    "leaky ReLU": (LeakyReLU, nn.LeakyReLU),
    "PReLU": (PReLU, nn.PReLU),
    "ELU": (lambda: ELU(2.0), lambda: nn.ELU(2.0)),
    "clip": (lambda: Clip(-3, 6), lambda: lambda x: x.clamp(-3, 6)),
    "clip from below": (lambda: Clip(low=0), lambda: lambda x: x.clamp(min=0)),
    "hard sigmoid": (HardSigmoid, nn.Hardsigmoid),
    "hard swish": (HardSwish, nn.Hardswish),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TORCH)
def test_kinks_are_those_of_torch(name, dtype):
    """The values and slopes at the points where the slope jumps, beside them, and at infinity."""
    make, make_torch = TORCH[name]
    points = np.array([-6, -3, 0, 3, 6], dtype)
    x = np.concatenate([points, np.nextafter(points, -9, dtype=dtype)])
    x = np.concatenate([x, np.nextafter(points, 9, dtype=dtype), [-0.0, np.inf]]).astype(dtype)
    x = np.append(x, dtype(-np.inf)) if name != "hard swish" else x  # -inf * 0 is NaN
    dy = np.arange(1, 1 + x.size, dtype=dtype)
    layer, theirs = make().astype(dtype), make_torch()
    theirs = theirs.to(torch.tensor(x).dtype) if isinstance(theirs, nn.Module) else theirs
    t = torch.tensor(x, requires_grad=True)
    ty = theirs(t)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer(x), ty.detach(), rtol=1e-6)
    np.testing.assert_allclose(layer.backward(dy), t.grad, rtol=3e-6, atol=1e-30)


@pytest.mark.parametrize("name", TestActivation.cases)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_stays_nan(name, dtype):
    make, shape = TestActivation.cases[name]
    x = np.ones(shape, dtype)
    x.reshape(-1)[::7] = np.nan
    y = make().astype(dtype)(x)
    assert np.isnan(y[np.isnan(x)]).all()
    if "softmax" not in name:
        assert np.isfinite(y[~np.isnan(x)]).all()


def test_prelu_has_torchs_gradient_and_weights():
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 6)).astype(np.float32)
    ours, theirs = PReLU(6, 0.1), nn.PReLU(6, 0.1)
    assert {n: a.shape for n, a in ours.state_dict().items()} == {"weight": (6,)}
    assert list(theirs.state_dict()) == ["weight"]
    t = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    theirs(t).backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    ours(x)
    dx = ours.backward(dy)
    np.testing.assert_allclose(dx, np.moveaxis(t.grad.numpy(), 1, -1), rtol=1e-6)
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-5)


def test_initializers_leave_the_slopes():
    layer = PReLU(3)
    layer.initialize(weight=he_normal(), bias=0)
    np.testing.assert_array_equal(layer.weight.value, 0.25)


def test_a_name_with_its_default_constants():
    assert Activation("leaky_relu").constants == (0.01,) == LeakyReLU().constants
    assert Activation("elu").constants == ELU().constants
    assert Clip().constants == (-math.inf, math.inf)
    x = np.float32([[-2, 3]])
    assert Activation(None)(x) is x


def test_relu6_by_name():
    """A convolution and a batch norm take it as they take ReLU."""
    x = 20 * np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float32)
    plain, fused = Conv2d(3, 4, 3), Conv2d(3, 4, 3, activation="relu6")
    fused.load_state_dict(plain.state_dict())
    then = ReLU6()
    y = then(plain(x))
    np.testing.assert_allclose(fused(x), y, rtol=1e-6)
    assert y.max() == 6
    np.testing.assert_allclose(fused.backward(y), plain.backward(then.backward(y)), rtol=1e-6)
    norm, bare = BatchNorm2d(3, activation="relu6"), BatchNorm2d(3)
    y = then(bare(x))
    np.testing.assert_allclose(norm(x), y, rtol=1e-6)
    np.testing.assert_allclose(
        norm.backward(y), bare.backward(then.backward(y)), rtol=1e-4, atol=1e-6
    )


ERRORS = {
    "LeakyReLU: slope='a': expected a number": lambda: LeakyReLU("a"),
    "LeakyReLU: slope=nan: expected a number": lambda: LeakyReLU(math.nan),
    "ELU: alpha=None: expected a number": lambda: ELU(None),
    "Clip: low=3 is above high=2": lambda: Clip(3, 2),
    "GELU: approximate='sigmoid': expected 'none' or 'tanh'": lambda: GELU("sigmoid"),
    "PReLU: channels=0: expected an integer >= 1": lambda: PReLU(0),
    "PReLU: initial='x': expected a number": lambda: PReLU(3, "x"),
    "activation='leaky': expected one of relu, relu6,": lambda: Activation("leaky"),
    "clip: constants=(1,): expected 2 numbers": lambda: Activation("clip", (1,)),
    "clip: constants=3: expected 2 numbers": lambda: Activation("clip", 3),
    "Activation: constants='a': expected a number": lambda: Activation("elu", ("a",)),
    "Activation: constants=nan: expected a number": lambda: Activation("elu", (math.nan,)),
    "relu: constants=(1,): expected 0 numbers": lambda: Activation("relu", (1,)),
    "activation='silu': expected None or one of relu, relu6, sigmoid, tanh, scaled_tanh; "
    "put a layer Activation(...) behind this one": lambda: Conv2d(3, 4, 3, activation="silu"),
    "activation='elu': expected None or one of relu, relu6,": lambda: BatchNorm2d(
        3, activation="elu"
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_wrong_arguments(message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        ERRORS[message]()


def test_wrong_channels():
    with pytest.raises(ShapeError, match=r"PReLU\(channels=3\): the input \(2, 4\) has 4 channels"):
        PReLU(3)(np.ones((2, 4), np.float32))
    with pytest.raises(ShapeError, match="the input is float32 and the weights are float64"):
        PReLU(3).astype(np.float64)(np.ones((2, 3), np.float32))


def test_softmax_of_nothing():
    with pytest.raises(ShapeError, match=r"Softmax\(\): the input has shape .*expected \(\.\.\., "):
        Softmax()(np.zeros((2, 0), np.float32))


def test_every_activation_has_a_layer():
    """Each name of the table is that of a class of its own."""
    made = [make() for make, _ in TestActivation.cases.values()]
    found = {layer.activation for layer in made if isinstance(layer, Activation)}
    assert found == set(layers.activation.ACTIVATIONS)
