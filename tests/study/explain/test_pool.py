"""Pooling: windows that overlap, padding, ceil mode, ties."""

import numpy as np
import pytest

from minicnn.layers import (
    AvgPool2d,
    MaxPool2d,
    Subsample2d,
)
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all

LAYERS = {
    "max": (MaxPool2d(2), (2, 5, 6, 2)),
    "max, overlapping": (MaxPool2d(3, 2), (2, 7, 7, 2)),
    "max, dense": (MaxPool2d(3, 1, padding=1), (1, 4, 5, 2)),
    "max, ceil": (
        MaxPool2d((3, 2), (2, 3), padding=((1, 0), (0, 1)), ceil_mode=True),
        (2, 6, 8, 2),
    ),
    "average": (AvgPool2d(2), (2, 4, 5, 2)),
    "average, padded": (AvgPool2d(3, 2, padding=1), (2, 6, 5, 2)),
    "average, real": (AvgPool2d(3, 2, padding=1, count_include_pad=False), (2, 6, 5, 2)),
    "average, ceil": (AvgPool2d(3, 2, padding=1, ceil_mode=True), (2, 6, 6, 1)),
    "average, gaps": (AvgPool2d(2, 3), (1, 7, 8, 2)),
    "subsampling": (Subsample2d(2, 2), (2, 5, 6, 2)),
    "subsampling, tanh": (Subsample2d(3, 3, activation="scaled_tanh"), (2, 7, 6, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_number(name):
    layer, shape = LAYERS[name]
    found = check_all(layer, shape, count=8, path="")
    kind = "selection" if isinstance(layer, MaxPool2d) else "sum"
    assert found["", "y"].kind == kind
    assert found["", "dx"].kind == "sum"


def test_the_first_of_equal_maxima_wins():
    x = np.array([[1.0, 3, 3], [3, 0, 3], [0, 3, 1]])[None, :, :, None]
    traced = trace(MaxPool2d(2, 1), x, dy=np.array([[1.0, 10], [100, 1000]])[None, :, :, None])
    e = explain(traced, "", "y", (0, 0, 0, 0))
    assert [term.chosen for term in e.terms] == [False, True, False, False]
    assert e.note == "2 values are equal: the first in row-major order wins."
    assert e.total == 3
    e = explain(traced, "", "dx", (0, 0, 1, 0))
    assert [(term.factors[0].index, term.value) for term in e.terms] == [
        ((0, 0, 0, 0), 1),
        ((0, 0, 1, 0), 10),
    ]
    e = explain(traced, "", "dx", (0, 1, 1, 0))
    assert [(t.factors[0].index, t.value, t.chosen) for t in e.terms] == [
        ((0, 0, 0, 0), 0, False),
        ((0, 0, 1, 0), 0, False),
        ((0, 1, 0, 0), 0, False),
        ((0, 1, 1, 0), 0, False),
    ]
    assert e.note == "The pixel is the maximum of 0 of the 4 windows that contain it."


def test_the_divisor_counts_padding_or_not():
    x, dy = np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1))
    e = explain(trace(AvgPool2d(3, 1, 1), x, dy=dy), "", "y", (0, 0, 0, 0))
    assert e.terms[0].label == "x[0, 0, 0, 0] · 1/9"
    assert e.note == "Cells of padding that the area counts: 5."
    layer = AvgPool2d(3, 1, 1, count_include_pad=False)
    e = explain(trace(layer, x, dy=dy), "", "y", (0, 0, 0, 0))
    assert e.terms[0].label == "x[0, 0, 0, 0] · 1/4"
    assert e.note == ""


def test_subsampling_leaves_the_edge_out():
    layer = Subsample2d(1, 2).astype("float64")
    traced = trace(layer, np.ones((1, 3, 4, 1)), dy=np.ones((1, 1, 2, 1)))
    e = explain(traced, "", "dx", (0, 2, 0, 0))
    assert e.terms == ()
    assert e.note == "The pixel is at the edge, where no window fits."
