"""Pooling layers: the contract, and the argmax of the last forward."""

import numpy as np
import pytest

from minicnn.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
    Subsample2d,
)

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
        "adaptive max": (lambda: AdaptiveMaxPool2d((3, 4)), IMAGES),
        "adaptive max, enlarged": (lambda: AdaptiveMaxPool2d(5), (2, 3, 7, 4)),
        "global max": (GlobalMaxPool2d, IMAGES),
        "asymmetric max": (lambda: MaxPool2d(3, 2, ((0, 1), (1, 0))), IMAGES),
        "asymmetric average": (
            lambda: AvgPool2d(3, 2, ((0, 1), (1, 0)), count_include_pad=False),
            IMAGES,
        ),
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


def test_global_max_of_a_large_map():
    """More pixels than a byte counts."""
    x = np.random.default_rng(0).permutation(2 * 20 * 17 * 3).reshape(2, 20, 17, 3)
    x = x.astype(np.float32)
    pool = GlobalMaxPool2d()
    np.testing.assert_array_equal(pool(x), x.max(axis=(1, 2)))
    dx = pool.backward(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(dx, x == x.max(axis=(1, 2), keepdims=True))


@pytest.mark.parametrize(("channels", "size"), [(0, 2), (4, 0), (4, 2.5)])
def test_subsampling_of_no_pixels(channels, size):
    with pytest.raises(ValueError, match="Subsample2d: .*: expected an integer >= 1"):
        Subsample2d(channels, size)
