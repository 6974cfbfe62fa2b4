"""Saliency, guided backpropagation and the deconvnet, against torch and dense matrices."""

import numpy as np
import pytest

from minicnn import models
from minicnn.errors import ShapeError
from minicnn.kernels import reference
from minicnn.layers import (
    AuxiliaryNetwork,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    ReLU,
    Sequential,
    Tanh,
)
from minicnn.study import look
from minicnn.study.look.gradients import class_gradient
from minicnn.study.look.rewriting import rewritten

from .twins import (
    DeconvReLU,
    GuidedReLU,
    array,
    branched,
    chain,
    dense,
    forward,
    network,
    tensor,
)

NETWORKS = pytest.mark.parametrize("make", [chain, branched])
UNITS = [
    (chain, "conv1", 3),
    (chain, "norm1", 2),
    (chain, "relu2", (1, 2, 5)),
    (chain, "fc1", 4),
    (branched, "block", 1),
    (branched, "block.body.bn1", 0),
    (branched, "same.body.left.0", 2),
    (branched, "same.body", 5),
    (branched, "fc", 3),
]


def torchs_gradient(model, x, classes, relu):
    t = tensor(x)
    scores = forward(model, t, relu.apply if relu else (lambda a: a.clamp(min=0)))
    scores[range(len(x)), classes].sum().backward()
    return array(t.grad), scores.detach().numpy()


@NETWORKS
def test_saliency_is_the_largest_gradient_of_the_score(make):
    model, x = network(make)
    model.train()
    dx, scores = torchs_gradient(model, x, [2, 0, 1], None)
    found = look.saliency(model, x, [2, 0, 1])
    assert found.shape == x.shape[:3]
    np.testing.assert_allclose(found, np.abs(dx).max(axis=3), atol=1e-12)
    dx, _ = torchs_gradient(model, x, scores.argmax(axis=1), None)
    for i, own in enumerate(dx):
        np.testing.assert_allclose(look.saliency(model, x[i]), np.abs(own).max(axis=2), atol=1e-12)
    assert model.training


@NETWORKS
def test_guided_backpropagation(make):
    model, x = network(make)
    dx, _ = torchs_gradient(model, x, [1, 1, 3], GuidedReLU)
    found = look.guided_backprop(model, x, [1, 1, 3])
    np.testing.assert_allclose(found, dx, atol=1e-12)
    assert np.abs(dx - torchs_gradient(model, x, [1, 1, 3], None)[0]).max() > 1e-3
    np.testing.assert_allclose(look.guided_backprop(model, x[2], 3), found[2], atol=1e-14)


def torchs_unit(model, x, layer, unit, relu, lrn=True, own_value=False):
    """The gradient of one unit of a layer at the images, or the deconvnet's signal."""
    t, kept = tensor(x), {}
    forward(model, t, relu, kept, lrn=lrn)
    y = kept[layer] if kept[layer].ndim == 2 else kept[layer].permute(0, 2, 3, 1)
    if isinstance(unit, tuple):
        values = y[:, *unit]
    else:
        values = y[..., unit].reshape(len(x), -1).max(dim=1).values
    (values * values.detach() if own_value else values).sum().backward()
    return array(t.grad)


@pytest.mark.parametrize(("make", "layer", "unit"), UNITS)
def test_units_inside_the_network(make, layer, unit):
    model, x = network(make)
    dx = torchs_unit(model, x, layer, unit, lambda a: a.clamp(min=0))
    found = look.saliency(model, x, layer=layer, unit=unit)
    np.testing.assert_allclose(found, np.abs(dx).max(axis=3), atol=1e-12)
    dx = torchs_unit(model, x, layer, unit, GuidedReLU.apply)
    found = look.guided_backprop(model, x, layer=layer, unit=unit)
    np.testing.assert_allclose(found, dx, atol=1e-12)


@pytest.mark.parametrize(("make", "layer", "unit"), UNITS)
def test_the_deconvnet_has_rules_of_its_own(make, layer, unit):
    model, x = network(make)
    expected = torchs_unit(model, x, layer, unit, DeconvReLU.apply, lrn=False, own_value=True)
    found = look.deconvnet(model, x, layer, unit)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(look.deconvnet(model, x[1], layer, unit), found[1], atol=1e-14)
    assert found.any()


def test_the_deconvnet_is_a_chain_of_transposed_matrices():
    """conv1, ReLU, pool, conv2: W1^T max(0, P^T W2^T y), with P the switches of the pooling."""
    rng = np.random.default_rng(0)
    model = Network(
        conv1=Conv2d(2, 3, 3, padding=1, activation="relu"),
        pool=MaxPool2d(3, stride=2),
        conv2=Conv2d(3, 4, 2, activation="relu"),
        input_shape=(7, 7, 2),
    ).astype(np.float64)
    x = rng.standard_normal((1, 7, 7, 2))
    first, second = model.conv1, model.conv2
    w1 = dense(
        lambda e: reference.conv2d(e[None], first.weight.value, None, (1, 1), first.padding),
        (7, 7, 2),
    )
    w2 = dense(lambda e: reference.conv2d(e[None], second.weight.value, None), (3, 3, 3))
    maps = first.forward(x)
    switches = np.zeros((27, maps.size))
    for n, (i, j, k) in enumerate(np.ndindex(3, 3, 3)):
        own = maps[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3, k]
        row, column = np.unravel_index(own.argmax(), own.shape)
        switches[n, np.ravel_multi_index((2 * i + row, 2 * j + column, k), (7, 7, 3))] = 1
    y = model.forward(x)
    signal = np.zeros(y.shape)
    signal[0, 0, 1, 2] = y[0, 0, 1, 2]
    assert y[0, 0, 1, 2] > 0
    expected = w1.T @ np.maximum(switches.T @ (w2.T @ signal.ravel()), 0)
    found = look.deconvnet(model, x[0], "conv2", (0, 1, 2))
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)


def test_tanh_passes_the_deconvnets_signal_on():
    model = Network(conv=Conv2d(1, 1, 1, bias=False), f=Tanh(), g=ReLU(), input_shape=(1, 1, 1))
    model.conv.weight.value[...] = -2
    x = np.full((1, 1, 1), -0.5, np.float32)
    assert look.deconvnet(model, x, "f", 0) == pytest.approx(-2 * np.tanh(1), rel=1e-6)
    assert look.deconvnet(model, -x, "f", 0) == pytest.approx(2 * np.tanh(1), rel=1e-6)
    assert look.deconvnet(model, -x, "conv", 0) == pytest.approx(2, rel=1e-6)


def test_the_score_of_a_network_of_distances_is_the_negative_distance():
    model = models.create("lenet5_1998", seed=0)
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 1)).astype(np.float32)
    distances = model.eval()(x)
    dy = np.zeros_like(distances)
    dy[range(2), distances.argmin(axis=1)] = 1
    dx = model.backward(dy)
    np.testing.assert_allclose(look.saliency(model, x), np.abs(dx[..., 0]), rtol=1e-4)
    found = class_gradient(model, rewritten(model), x, None)
    np.testing.assert_allclose(found, -dx, rtol=1e-4)


def test_nothing_in_the_model_changes():
    model, x = network(branched)
    model.train()
    y = model(x)
    expected = model.backward(np.ones_like(y))
    grads = {name: p.grad.copy() for name, p in model.named_parameters()}
    state = {name: array.copy() for name, array in model.state_dict().items()}
    model(x)
    state = {name: array.copy() for name, array in model.state_dict().items()}
    look.saliency(model, x)
    look.guided_backprop(model, x, 1)
    look.deconvnet(model, x, "same", 1)
    look.grad_cam(model, x)
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.grad, grads[name])
        assert not p.frozen
    for name, own in model.state_dict().items():
        np.testing.assert_array_equal(own, state[name])
    np.testing.assert_array_equal(model.backward(np.ones_like(y)), expected)
    assert all(layer.training for _, layer in model.named_layers())


class Doubled(Layer):
    """A layer of a user's own, without `need_dx` and `out`, that adds in place to its gradient."""

    def __init__(self):
        self.inner = [Conv2d(3, 3, 1, activation="relu")]

    def forward(self, x):
        return 2 * self.inner[0](x)

    def backward(self, dy):
        return self.inner[0].backpropagate(2 * dy)

    def output_shape(self, shape):
        return shape


def test_layers_of_ones_own_are_rewritten_inside():
    model = Network(own=Doubled(), flatten=Flatten(), fc=Linear(48, 3), input_shape=(4, 4, 3))
    x = np.random.default_rng(0).standard_normal((4, 4, 3)).astype(np.float32)
    w, y = model.own.inner[0].weight.value[0, 0], model.own.inner[0](x[None])[0]
    dy = 2 * model.fc.weight.value[:, 1].reshape(4, 4, 3)
    np.testing.assert_allclose(
        look.guided_backprop(model, x, 1), (np.maximum(dy, 0) * (y > 0)) @ w.T, rtol=1e-4, atol=1e-6
    )
    assert look.deconvnet(model, x, "own.inner.0", 1).any()


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (np.zeros((15, 14), np.float32), {}, "x has the shape (15, 14); expected a preprocessed"),
        (np.zeros((15, 14, 3), np.uint8), {}, "the input is an array of uint8; expected an array"),
        ([1.0], {}, "the input is list; expected an array"),
        (np.zeros((15, 14, 1)), {}, "conv1: Conv2d"),
        (np.zeros((15, 14, 3)), {"class_": 4}, "the network has no class 4; expected 0 to 3"),
        (np.zeros((15, 14, 3)), {"class_": 1.5}, "the network has no class 1.5; expected 0 to 3"),
        (np.zeros((15, 14, 3)), {"class_": -1}, "the network has no class -1; expected 0 to 3"),
        (
            np.zeros((15, 14, 3)),
            {"class_": "cot"},
            "no class 'cot'; did you mean",
        ),
        (np.zeros((15, 14, 3)), {"class_": [1, 2]}, "class_ names 2 classes for 1 images"),
        (np.zeros((15, 14, 3)), {"unit": 1}, "layer=None, unit=1: expected both or neither"),
        (
            np.zeros((15, 14, 3)),
            {"layer": "conv1", "unit": 1, "class_": 1},
            "class_=1, layer='conv1': expected a class or a unit",
        ),
        (np.zeros((15, 14, 3)), {"layer": "conv1", "unit": 6}, "conv1 has the units 0 to 5"),
        (np.zeros((15, 14, 3)), {"layer": "fc1", "unit": -1}, "fc1 has the units 0 to 9"),
        (
            np.zeros((15, 14, 3)),
            {"layer": "conv1", "unit": (9, 0, 0)},
            "unit=(9, 0, 0): conv1 has the shape (7, 8, 6)",
        ),
        (np.zeros((15, 14, 3)), {"layer": "conv1", "unit": "a"}, "unit='a': conv1 has the shape"),
        (np.zeros((15, 14, 3)), {"layer": "conv9", "unit": 0}, "did you mean conv"),
        (np.zeros((15, 14, 3)), {"layer": "conv*", "unit": 0}, "means conv1, conv2; expected one"),
    ],
)
def test_what_does_not_fit_is_named(x, options, words):
    model, _ = network(chain)
    model.classes = ("cat", "dog", "cow", "eel")
    with pytest.raises((ValueError, ShapeError)) as error:
        look.saliency(model, x, **options)
    assert words in str(error.value)


def test_heads_are_not_computed_in_evaluation():
    body = {"conv": Conv2d(3, 2, 3), "flatten": Flatten(), "fc": Linear(32, 3)}
    head = Sequential(Flatten(), Linear(32, 3))
    model = AuxiliaryNetwork(**body, heads={"conv": head}, input_shape=(6, 6, 3))
    x = np.ones((6, 6, 3), np.float32)
    assert look.saliency(model, x).shape == (6, 6)
    with pytest.raises(ValueError, match=r"aux1\.1 is not called in evaluation"):
        look.saliency(model, x, layer="aux1.1", unit=0)
