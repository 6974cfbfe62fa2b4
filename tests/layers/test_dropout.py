"""The dropout layer: the contract, its two modes and its masks."""

import numpy as np

import minicnn
from minicnn.layers import Dropout

from .contract import IMAGES, LayerContract


class TestDropout(LayerContract):
    cases = {"dropout": (lambda: Dropout(0.5), IMAGES)}
    is_random = True


def test_dropout_modes():
    layer = Dropout(0.5)
    x = np.ones((4, 100), np.float32)
    y = layer(x)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer.backward(x), y)  # the same mask
    layer.eval()
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    minicnn.seed(3)
    first = layer.train()(x)
    minicnn.seed(3)
    np.testing.assert_array_equal(layer(x), first)
