"""The base class: a user's layer, and which layers are its children."""

import numpy as np

import minicnn
from minicnn import study
from minicnn.layers import Conv2d, Layer, Linear, Network, Parameter

from .contract import X


class Scale(Layer):
    """A user's layer, as in the documentation of `Layer`."""

    def __init__(self, channels):
        self.gain = Parameter(np.ones(channels, np.float32))

    def forward(self, x):
        self.save_for_backward(x)
        return x * self.gain.value

    def backward(self, dy):
        (x,) = self.pop_saved()
        self.gain.grad += (dy * x).sum(axis=(0, 1, 2))
        return dy * self.gain.value

    def output_shape(self, shape):
        return shape


def test_a_layer_of_ones_own():
    net = Network(scale=Scale(3), conv=Conv2d(3, 2, 3), last=Scale(2), input_shape=(6, 6, 3))
    joined = minicnn.layers.Concat(a=net, b=Conv2d(3, 1, 3))
    y = joined(X)
    assert joined.backward(np.ones_like(y)).shape == X.shape
    assert (net.scale.gain.grad != 0).all()
    assert study.check_gradients(net.astype(float), X.astype(float)).ok
    assert [row.name for row in study.summarize(net).rows] == ["scale", "conv", "last"]


def test_layers_in_lists_and_dicts_are_children():
    class Block(Layer):
        def __init__(self):
            self.convs = [Conv2d(3, 3, 1), Conv2d(3, 3, 1)]
            self.heads = {"one": Linear(2, 2)}

    assert [name for name, _ in Block().named_parameters()] == [
        "convs.0.weight",
        "convs.0.bias",
        "convs.1.weight",
        "convs.1.bias",
        "heads.one.weight",
        "heads.one.bias",
    ]
