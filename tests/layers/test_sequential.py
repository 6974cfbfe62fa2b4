"""Sequential: the contract of networks, skipped gradients, and messages with a path."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.layers import AvgPool2d, Concat, Conv2d, Flatten, Linear, Residual, Sequential

from .blocks import bottleneck, bottleneck_tail
from .contract import IMAGES, NetworkContract, values


class TestSequential(NetworkContract):
    cases = {
        "sequential": (
            lambda: Sequential(
                Conv2d(4, 3, 3, activation="tanh"), AvgPool2d(2), Flatten(), Linear(18, 5)
            ),
            IMAGES,
        ),
        "concat of residuals": (
            lambda: Sequential(Concat(bottleneck(1), bottleneck(1)), bottleneck_tail()),
            IMAGES,
        ),
    }


def test_first_layer_may_skip_dx():
    network = Sequential(Conv2d(4, 3, 3), Flatten(), Linear(105, 2))
    x = values((2, 7, 9, 4)).astype(np.float32)
    dy = np.ones_like(network(x))
    assert network.backward(dy, need_dx=False) is None
    gradients = [p.grad.copy() for p in network.parameters()]
    network.zero_grad()
    network(x)
    assert network.backward(dy).shape == x.shape
    for p, gradient in zip(network.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(p.grad, gradient)


def test_shape_errors_name_the_path():
    network = Sequential(stem=Conv2d(4, 8, 3), block=Sequential(conv=Conv2d(6, 8, 3)))
    with pytest.raises(
        ShapeError, match=r"^block\.conv: Conv2d\(6, 8, 3\): the input .* has 8 channels"
    ):
        network(np.zeros((1, 9, 9, 4), np.float32))
    with pytest.raises(ShapeError, match=r"^block\.conv: "):
        network.output_shape((1, 9, 9, 4))
    with pytest.raises(ShapeError, match="only the channels may differ"):
        Concat(Conv2d(4, 2, 3), Conv2d(4, 2, 1))(np.zeros((1, 9, 9, 4), np.float32))
    with pytest.raises(ShapeError, match="must be equal to be added"):
        Residual(Conv2d(4, 2, 1))(np.zeros((1, 9, 9, 4), np.float32))
    with pytest.raises(ValueError, match="expected a layer"):
        Sequential(Conv2d(1, 1, 1), "relu")
    with pytest.raises(ValueError, match="at least one layer"):
        Sequential()
