"""Normalization layers: the contract, and batch norm's two modes."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.layers import BatchNorm2d, Conv2d, LocalResponseNorm, Sequential, fuse, no_grad

from .contract import IMAGES, LayerContract


class TestNorm(LayerContract):
    cases = {
        "LRN": (lambda: LocalResponseNorm(5, alpha=1.0, k=1.0), IMAGES),
        "LRN, groups": (lambda: LocalResponseNorm(3, alpha=1.0, groups=2), IMAGES),
        "LRN, even size": (
            lambda: LocalResponseNorm(4, alpha=1.0, beta=0.5, alpha_div_n=True),
            IMAGES,
        ),
        "batch norm, GELU": (lambda: BatchNorm2d(4, activation="gelu"), IMAGES),
        "batch norm, no scale": (lambda: BatchNorm2d(4, scale=False), IMAGES),
        "batch norm": (lambda: BatchNorm2d(4, activation="tanh"), IMAGES),
    }


def test_batch_norm_modes():
    layer = BatchNorm2d(3)
    x = np.random.default_rng(0).normal(5, 2, (8, 4, 4, 3)).astype(np.float32)
    y = layer(x)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    before = layer.running_mean.copy()
    layer.eval()
    assert abs(layer(x).mean()) > 1, "evaluation uses the running statistics"
    np.testing.assert_array_equal(layer.running_mean, before)


def test_batch_norm_without_scale_is_that_with_ones():
    """It has no weight, and the results of one whose weight is 1, also if it is fused."""
    x = np.random.default_rng(0).normal(5, 2, (8, 4, 4, 3)).astype(np.float32)
    plain, scaled = BatchNorm2d(3, scale=False), BatchNorm2d(3)
    assert list(plain.state_dict()) == ["bias", "running_mean", "running_var"]
    np.testing.assert_array_equal(plain(x), scaled(x))
    np.testing.assert_array_equal(plain.backward(x), scaled.backward(x))
    np.testing.assert_array_equal(plain.bias.grad, scaled.bias.grad)
    net = Sequential(conv=Conv2d(3, 4, 1), bn=BatchNorm2d(4, scale=False)).eval()
    expected = net(x)
    with no_grad():
        np.testing.assert_allclose(fuse(net)(x), expected, rtol=1e-5, atol=1e-6)


def test_groups_of_channels_are_normalized_by_themselves():
    """As two layers, each on its half of the channels, also into a slice of another array."""
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 5, 4, 12)) * 3
    both, one = (LocalResponseNorm(5, 0.9, groups=g) for g in (2, 1))
    wide = np.zeros((3, 5, 4, 20))
    y, dx = both(x, out=wide[..., 4:16]), both.backward(dy)
    np.testing.assert_array_equal(wide[..., 4:16], y)
    for half in (np.s_[..., :6], np.s_[..., 6:]):
        np.testing.assert_allclose(y[half], one(x[half]), rtol=1e-12)
        np.testing.assert_allclose(dx[half], one.backward(dy[half]), rtol=1e-12)
    assert not np.allclose(y, one(x))
    with pytest.raises(ShapeError, match="has 12 channels; expected a multiple of 5"):
        LocalResponseNorm(groups=5)(x)
    with pytest.raises(ValueError, match="groups=0: expected at least 1"):
        LocalResponseNorm(groups=0)
