"""Convolution: every number is the sum that its explanation has, over awkward geometry."""

import numpy as np
import pytest

from minicnn.layers import Conv2d
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all

CONNECTIONS = np.array([[1, 0, 1], [0, 1, 1]])
GEOMETRIES = {
    "plain": (Conv2d(3, 4, 3, activation="relu"), (2, 6, 7, 3)),
    "one pixel": (Conv2d(2, 3, 1), (1, 1, 1, 2)),
    "strided": (Conv2d(2, 3, (3, 2), stride=(2, 3), padding=(1, 0)), (2, 8, 9, 2)),
    "one-sided": (Conv2d(2, 3, 3, 2, padding=((0, 2), (1, 0)), activation="tanh"), (2, 6, 7, 2)),
    "dilated": (Conv2d(2, 2, 3, padding=2, dilation=(2, 3), stride=2), (2, 9, 11, 2)),
    "grouped": (Conv2d(6, 4, 3, padding=1, groups=2, bias=False), (2, 5, 5, 6)),
    "depthwise": (Conv2d(3, 6, 3, groups=3, activation="sigmoid"), (1, 4, 5, 3)),
    "wide padding": (Conv2d(1, 2, 2, padding=3), (1, 3, 2, 1)),
    "stride over kernel": (Conv2d(2, 2, 1, stride=3), (2, 5, 7, 2)),
    "connected": (Conv2d(2, 3, 2, connections=CONNECTIONS, activation="scaled_tanh"), (2, 4, 4, 2)),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_number(name):
    layer, shape = GEOMETRIES[name]
    found = check_all(layer, shape, count=6, path="")
    assert {what for _, what in found} >= {"y", "dx", "w"}


def traced(layer, shape):
    layer.astype("float64")
    generator = np.random.default_rng(0)
    dy = generator.standard_normal(layer.output_shape(shape))
    return trace(layer, generator.standard_normal(shape), dy=dy)


def test_the_terms_of_a_window():
    """2 x 2 pixels of a corner, the rest is padding: the bias comes first, then row by row."""
    e = explain(
        traced(Conv2d(1, 2, 3, padding=1, activation="relu"), (1, 4, 4, 1)), "", "y", (0,) * 4
    )
    assert [term.label for term in e.terms] == [
        "b[0]",
        "x[0, 0, 0, 0] · w[1, 1, 0, 0]",
        "x[0, 0, 1, 0] · w[1, 2, 0, 0]",
        "x[0, 1, 0, 0] · w[2, 1, 0, 0]",
        "x[0, 1, 1, 0] · w[2, 2, 0, 0]",
    ]
    assert e.then == "relu(sum)"
    assert e.total == max(e.sum, 0)
    assert e.note == "Cells of the window in the padding, which add 0: 5."
    assert e.source.file == "kernels/reference/conv.py"
    assert e.source.code.startswith("def conv2d(\n")
    assert e.source.last - e.source.first + 1 == e.source.code.count("\n")


def test_the_formula_has_only_what_the_layer_has():
    window = "Σ(i,j,c) x[n, p·s+i·d-pad, q·s+j·d-pad, c] · w[i,j,c,k]"
    for layer, expected in [
        (Conv2d(1, 1, 1), f"b[k] + {window}"),
        (Conv2d(1, 1, 1, bias=False), window),
        (Conv2d(1, 1, 1, activation="relu"), f"relu(b[k] + {window})"),
    ]:
        formula = explain(traced(layer, (1, 1, 1, 1)), "", "y", (0,) * 4).formula
        assert formula == f"y[n,p,q,k] = {expected}"


def test_an_unread_pixel_has_no_gradient():
    """Stride 3 with one pixel per window leaves two of three pixels out."""
    e = explain(traced(Conv2d(1, 1, 1, stride=3), (1, 4, 4, 1)), "", "dx", (0, 1, 0, 0))
    assert e.terms == ()
    assert e.total == e.engine == 0


def test_a_weight_that_is_not_connected():
    layer = Conv2d(2, 3, 2, connections=CONNECTIONS)
    e = explain(traced(layer, (1, 4, 4, 2)), "", "w", (0, 0, 0, 1))
    assert e.terms == ()
    assert "does not read" in e.note
    e = explain(traced(layer, (1, 4, 4, 2)), "", "y", (0, 0, 0, 1))
    assert {f.index[3] for term in e.terms for f in term.factors if f.name == "x"} == {1}


def test_a_group_reads_its_own_maps():
    e = explain(traced(Conv2d(4, 4, 1, groups=2), (1, 2, 2, 4)), "", "y", (0, 0, 0, 3))
    assert [f.index[3] for term in e.terms for f in term.factors if f.name == "x"] == [2, 3]
    assert e.note == "The map reads one of 2 groups: 2 input maps, of which w counts from 2 on."
    e = explain(traced(Conv2d(4, 4, 1, groups=2), (1, 2, 2, 4)), "", "dx", (0, 0, 0, 1))
    assert [f.index for term in e.terms for f in term.factors if f.name == "w"] == [
        (0, 0, 1, 0),
        (0, 0, 1, 1),
    ]
