"""Initializers: their spread, with the fans of a grouped convolution."""

import numpy as np
import pytest

from minicnn import layers
from minicnn.layers import Conv2d


@pytest.mark.parametrize(
    ("initializer", "std"),
    [
        (layers.init.gaussian(0.01), 0.01),
        (layers.init.lecun_uniform(), 2.4 / 200 / np.sqrt(3)),
        (layers.init.torch_default(), 1 / np.sqrt(200) / np.sqrt(3)),
        (layers.init.caffe_xavier(), 1 / np.sqrt(200)),
        (layers.init.glorot_uniform(), np.sqrt(2 / (200 + 400))),
        (layers.init.he_normal(), np.sqrt(2 / 200)),
        (layers.init.he_normal("fan_out"), np.sqrt(2 / 400)),
    ],
)
def test_initializers(initializer, std):
    """fan_in = 25 * 16 / 2 = 200, fan_out = 25 * 32 / 2 = 400: groups count."""
    layer = Conv2d(16, 32, 5, groups=2, init=initializer, bias_init=0.1)
    assert layer.weight.value.dtype == np.float32
    assert abs(layer.weight.value.std() / std - 1) < 0.05
    assert abs(layer.weight.value.mean()) < 4 * std / np.sqrt(layer.weight.value.size)
    np.testing.assert_array_equal(layer.bias.value, np.float32(0.1))


def test_dirac_copies_the_first_channels():
    """The first C_in maps of a 3x3 convolution are its input, the others torch's default draw."""
    layer = Conv2d(5, 9, 3, padding=1, bias=False, init=layers.init.dirac())
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 5)).astype(np.float32)
    y = layer(x)
    np.testing.assert_allclose(y[..., :5], x, rtol=1e-6)
    drawn = layer.weight.value[..., 5:]
    assert 0 < abs(drawn).max() <= 1 / np.sqrt(45)
    narrow = Conv2d(5, 2, 1, bias=False, init=layers.init.dirac(layers.init.constant(7)))
    np.testing.assert_array_equal(narrow.weight.value[0, 0], np.eye(5)[:, :2])
    with pytest.raises(ValueError, match=r"dirac: weights of shape \(3, 2\)"):
        layers.Linear(3, 2, init=layers.init.dirac())


def test_functions_of_others_draw_weights():
    layer = layers.Linear(3, 2, init=lambda shape, fan_in, fan_out, g: g.normal(size=shape))
    assert layer.weight.value.dtype == np.float32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("he_normal", "init='he_normal': expected a function"),
        (lambda shape: np.zeros(shape), "expected a function .shape, fan_in, fan_out, generator."),
        (lambda *_: np.zeros((2, 3)), r"it drew the shape \(2, 3\); expected \(3, 2\)"),
    ],
)
def test_what_is_no_initializer(wrong, message):
    with pytest.raises(ValueError, match=message):
        layers.Linear(3, 2, init=wrong)
