"""Transposed convolution: every number is the sum that its explanation has."""

import numpy as np
import pytest

from minicnn.layers import ConvTranspose2d
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all

GEOMETRIES = {
    "plain": (ConvTranspose2d(3, 4, 3), (2, 3, 4, 3)),
    "strided": (ConvTranspose2d(2, 3, 3, 2, 1, (1, 0)), (2, 3, 4, 2)),
    "one-sided": (ConvTranspose2d(2, 3, (3, 2), (2, 3), ((0, 2), (1, 0))), (2, 4, 3, 2)),
    "dilated": (ConvTranspose2d(2, 2, 3, 2, dilation=(2, 1)), (1, 3, 4, 2)),
    "grouped": (ConvTranspose2d(6, 4, 3, 2, 1, groups=2, bias=False), (2, 3, 3, 6)),
    "gaps": (ConvTranspose2d(1, 2, 2, 3), (1, 3, 2, 1)),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_number(name):
    layer, shape = GEOMETRIES[name]
    found = check_all(layer, shape, count=6, path="")
    assert {what for _, what in found} >= {"y", "dx", "w"}


def test_the_terms_of_one_place():
    """Stride 2 and 3 x 3: between two pixels of x, each reaches the place with another weight."""
    layer = ConvTranspose2d(1, 1, 3, 2).astype("float64")
    x = np.random.default_rng(0).standard_normal((1, 2, 2, 1))
    e = explain(trace(layer, x, dy=np.ones((1, 5, 5, 1))), "", "y", (0, 0, 2, 0))
    assert [term.label for term in e.terms] == [
        "b[0]",
        "x[0, 0, 0, 0] · w[0, 2, 0, 0]",
        "x[0, 0, 1, 0] · w[0, 0, 0, 0]",
    ]
    assert e.source.file == "kernels/reference/transposed.py"
    assert e.note == "Pixels whose kernel covers the place: 2. Maps that it reads: 1."
