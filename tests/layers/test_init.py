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
