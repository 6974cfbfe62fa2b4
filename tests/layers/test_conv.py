"""Convolution layers: the contract, and connections that are cut."""

import numpy as np
import pytest

from minicnn.layers import Conv2d
from minicnn.models.lenet import C3_CONNECTIONS

from .contract import IMAGES, LayerContract, check_accumulation


class TestConv2d(LayerContract):
    cases = {
        "same": (lambda: Conv2d(4, 6, 3, padding=1), IMAGES),
        "strided, asymmetric": (
            lambda: Conv2d(4, 5, (3, 2), (2, 3), ((0, 3), (1, 0)), activation="tanh"),
            IMAGES,
        ),
        "grouped, dilated, no bias": (
            lambda: Conv2d(4, 6, 3, dilation=2, groups=2, bias=False, activation="sigmoid"),
            IMAGES,
        ),
        "LeNet-5's connections": (
            lambda: Conv2d(6, 16, 5, connections=C3_CONNECTIONS, activation="scaled_tanh"),
            (2, 8, 7, 6),
        ),
    }


def test_cut_connections_stay_cut():
    layer = Conv2d(6, 16, 5, connections=C3_CONNECTIONS)
    assert layer.weight.trainable + layer.bias.trainable == 1516
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 6)).astype(np.float32)
    layer.weight.value += 1  # even if someone fills the gaps, they count for nothing
    full = layer(x)
    layer.weight.value *= C3_CONNECTIONS
    np.testing.assert_allclose(layer(x), full, rtol=1e-6)
    layer.backward(full)
    assert (layer.weight.grad[:, :, C3_CONNECTIONS == 0] == 0).all()
    assert (layer.weight.grad[:, :, C3_CONNECTIONS == 1] != 0).all()


def test_missing_accumulation_is_caught():
    """A layer that assigns its gradient instead of adding it fails the contract."""

    class Assigning(Conv2d):
        def backward(self, dy, need_dx=True):
            self.weight.zero_grad()
            return super().backward(dy, need_dx)

    check_accumulation(Conv2d(2, 3, 3), (2, 5, 5, 2))
    with pytest.raises(AssertionError):
        check_accumulation(Assigning(2, 3, 3), (2, 5, 5, 2))
