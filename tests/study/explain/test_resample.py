"""Upsampling: the pixels that an output is made of, and where a gradient goes."""

import numpy as np
import pytest

from minicnn.layers import Resample2d, Upsample
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all

LAYERS = {
    "nearest": Upsample(2),
    "nearest, fractional": Upsample((1.5, 2.25)),
    "bilinear": Upsample(2, "bilinear"),
    "smaller": Upsample(0.5, "bilinear"),
    "any": Resample2d(np.arange(12).reshape(3, 4) - 5, np.ones((2, 5))),
    "columns": Resample2d(columns=np.arange(10).reshape(2, 5)),
    "size": Upsample(size=(7, 3), mode="bilinear"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_number(name):
    found = check_all(LAYERS[name], (2, 4, 5, 2), count=8, path="")
    assert {what for _, what in found} >= {"y", "dx"}


def test_a_place_between_four_pixels():
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    e = explain(trace(Upsample(2, "bilinear"), x, dy=np.ones((1, 4, 4, 1))), "", "y", (0, 1, 1, 0))
    assert [[f.value for f in t.factors] for t in e.terms] == [
        [0.75, 0.75, 0],
        [0.75, 0.25, 1],
        [0.25, 0.75, 2],
        [0.25, 0.25, 3],
    ]
    assert e.total == 0.75
