"""Layers of the user's own that write into what they are given."""

import numpy as np
import pytest

from minicnn import training
from minicnn.errors import TrainingError
from minicnn.layers import Flatten, Layer, Linear, Residual, Sequential, Tanh

X = np.random.default_rng(0).standard_normal((8, 3, 3, 1)).astype(np.float32)
LABELS = np.arange(8) % 2


class Double(Layer):
    """y = 2 x. damages: the pass that writes into what it is given, if one does."""

    def __init__(self, damages=None):
        self.damages = damages

    def output_shape(self, shape):
        return shape

    def forward(self, x):
        if self.damages == "forward":
            x *= 2
            return x
        return 2 * x

    def backward(self, dy):
        if self.damages == "backward":
            dy *= 2
            return dy
        return 2 * dy


def network(layer):
    return Sequential(Flatten(), Linear(9, 4), Tanh(), Residual(layer), Linear(4, 2))


def fit(model, *callbacks):
    options = {"epochs": 1, "batch_size": 4, "progress": False, "callbacks": callbacks}
    return training.fit(model, (X, LABELS), **options)


@pytest.mark.parametrize(
    ("damages", "what"),
    [("forward", "forward changes its input"), ("backward", "backward changes its dy")],
)
def test_a_layer_that_writes_into_what_it_is_given(damages, what):
    model = network(Double(damages))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    with pytest.raises(TrainingError, match=rf"the layer 3\S* \(Double\): {what}"):
        fit(model)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


class DamageLater(training.Callback):
    """Makes the layer a damaging one after the first step, and counts the steps."""

    def __init__(self, layer):
        self.layer, self.steps = layer, 0

    def on_step_end(self, trainer, loss):
        self.layer.damages = "forward"
        self.steps += 1


def test_the_first_step_only_is_watched():
    layer = Double()
    later = DamageLater(layer)
    fit(network(layer), later)
    assert later.steps == 2
