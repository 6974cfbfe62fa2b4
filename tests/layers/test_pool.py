"""Pooling layers: the contract, and the argmax of the last forward."""

import numpy as np
import pytest

from minicnn.layers import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d, Subsample2d

from .contract import IMAGES, LayerContract, X


class TestPool(LayerContract):
    cases = {
        "max": (lambda: MaxPool2d(3, stride=2, padding=1, ceil_mode=True), IMAGES),
        "average": (
            lambda: AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
            IMAGES,
        ),
        "global average": (GlobalAvgPool2d, IMAGES),
        "adaptive average": (lambda: AdaptiveAvgPool2d((3, 4)), IMAGES),
        "subsample": (lambda: Subsample2d(4, 2, activation="scaled_tanh"), IMAGES),
    }


def test_a_second_forward_keeps_its_own_argmax():
    pool = MaxPool2d(2)
    first, second = X, X[:, ::-1].copy()
    pool(first)
    y = pool(second)
    alone = MaxPool2d(2)
    expected = (alone(second), alone.backward(np.ones_like(y)))[1]
    np.testing.assert_array_equal(pool.backward(np.ones_like(y)), expected)
    with pytest.raises(RuntimeError, match="MaxPool2d: backward needs a forward before it"):
        pool.backward(np.ones_like(y))
