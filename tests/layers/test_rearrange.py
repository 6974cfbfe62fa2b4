"""Reshape, Permute and Pad2d by the contract of layers."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.layers import FlipChannels, Pad2d, Permute, Reshape

from .contract import IMAGES, LayerContract, values


class TestRearrange(LayerContract):
    cases = {
        "to vectors": (lambda: Reshape(252), IMAGES),
        "to images": (lambda: Reshape(3, 2, 4), (2, 24)),
        "channels first": (lambda: Permute(0, 3, 1, 2), IMAGES),
        "groups of channels": (lambda: Permute(0, 1, 2, 4, 3), (2, 3, 2, 3, 2)),
        "flip": (FlipChannels, IMAGES),
        "pad": (lambda: Pad2d(2), IMAGES),
        "pad channels": (lambda: Pad2d(0, channels=(1, 3)), IMAGES),
        "pad unevenly": (lambda: Pad2d(((1, 0), (2, 3)), 0.5), IMAGES),
    }


def test_numbers():
    x = values((2, 3, 4, 5))
    np.testing.assert_array_equal(Reshape(12, 5)(x), x.reshape(2, 12, 5))
    np.testing.assert_array_equal(Permute(0, 2, 3, 1)(x), x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(FlipChannels()(x), x[..., ::-1])
    expected = np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=-1)
    np.testing.assert_array_equal(Pad2d(((1, 2), (0, 3)), -1)(x), expected)


def test_errors():
    for make, message in (
        (lambda: Reshape(), "expected at least one size"),
        (lambda: Reshape(3, 0), "Reshape: size=0: expected an integer >= 1"),
        (lambda: Reshape(2.5), "Reshape: size=2.5: expected an integer >= 1"),
        (lambda: Permute(1, 0), r"axes=\(1, 0\): expected 0, and then the others"),
        (lambda: Permute(0, 1, 1), "expected 0, and then"),
        (lambda: Pad2d(-1), "padding"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    x = np.ones((2, 3, 4, 5))
    with pytest.raises(ShapeError, match=r"Reshape\(7\): the input \(2, 3, 4, 5\) has another"):
        Reshape(7)(x)
    with pytest.raises(ShapeError, match=r"has shape \(2, 3, 4, 5\); expected 2 axes"):
        Permute(0, 1)(x)
