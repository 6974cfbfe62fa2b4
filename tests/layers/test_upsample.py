"""Upsampling: the contract, sizes and errors."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.layers import Upsample

from .contract import IMAGES, LayerContract


class TestUpsample(LayerContract):
    cases = {
        "nearest": (lambda: Upsample(2), IMAGES),
        "bilinear": (lambda: Upsample((2, 3), "bilinear"), IMAGES),
        "fractional": (lambda: Upsample(1.5, "bilinear"), IMAGES),
        "smaller": (lambda: Upsample(0.5), IMAGES),
        "to a size": (lambda: Upsample(size=(5, 20), mode="bilinear"), IMAGES),
    }


def test_sizes_are_rounded_down():
    assert Upsample(1.5).output_shape((1, 3, 5, 2)) == (1, 4, 7, 2)
    assert Upsample((1, 2.6)).output_shape((1, 3, 5, 2)) == (1, 3, 13, 2)
    with pytest.raises(ShapeError, match=r"scale=0.2.: input .1, 3, 5, 2.: no pixel is left"):
        Upsample(0.2)(np.zeros((1, 3, 5, 2), np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither given; expected a scale or a size"),
        ({"scale": 2, "size": 3}, "scale=2 and size=3 given; expected a scale or a size"),
        ({"scale": 0}, "scale=0: expected a number above 0 or a pair of them"),
        ({"scale": "2"}, "scale='2': expected a number above 0"),
        ({"scale": (1, 2, 3)}, r"scale=\(1, 2, 3\): expected a number above 0 or a pair"),
        ({"scale": float("inf")}, "scale=inf: expected a number"),
        ({"scale": 2, "mode": "cubic"}, "mode='cubic': expected one of nearest, bilinear"),
        ({"size": 0}, "size=0: expected an integer >= 1"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        Upsample(**arguments)
