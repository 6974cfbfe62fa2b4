"""Normalization: the cross terms of LRN, and the three terms of batch norm."""

import numpy as np
import pytest

from minicnn.layers import BatchNorm2d, LocalResponseNorm
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all

NEIGHBORS = {
    "five": LocalResponseNorm(5, alpha=0.9, beta=0.75, k=1.5),
    "even": LocalResponseNorm(4, alpha=0.9, alpha_div_n=True),
    "one": LocalResponseNorm(1, alpha=1.0, beta=0.5, k=1.0),
    "wide": LocalResponseNorm(17, alpha=0.5),
    "grouped": LocalResponseNorm(3, alpha=1.0, groups=2),
}


@pytest.mark.parametrize("name", NEIGHBORS)
def test_local_response_norm(name):
    found = check_all(NEIGHBORS[name], (2, 2, 3, 8), count=10, path="")
    assert found["", "y"].then.startswith("x[1, 1, 2, 7] · sum^(-0.")
    share = "alpha/4" if name == "even" else "alpha"
    assert f"s_i = k + {share} · Σ" in found["", "y"].formula
    assert f" - 2 {share} beta · x_i" in found["", "dx"].formula


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm_within_a_channel(size):
    layer = LocalResponseNorm(size, 0.9, k=1.0, alpha_div_n=True, within_channel=True)
    found = check_all(layer, (2, 4, 3, 2), count=8, path="")
    assert f"s_i = k + alpha/{size}² · Σ" in found["", "y"].formula
    corner = found["", "y"].terms[1:]
    assert len(corner) == {1: 1, 2: 4, 3: 4, 5: 9}[size]


def test_the_cross_terms_stay_in_the_group():
    x = np.random.default_rng(0).standard_normal((1, 1, 1, 8))
    traced = trace(LocalResponseNorm(5, alpha=1.0, groups=2), x, dy=np.ones_like(x))
    e = explain(traced, "", "dx", (0, 0, 0, 4))
    assert [f.index[3] for t in e.terms[1:] for f in t.factors if f.name == "dy"] == [4, 5, 6]


def test_an_even_size_has_other_neighbors_backward():
    x = np.random.default_rng(0).standard_normal((1, 1, 1, 8))
    traced = trace(LocalResponseNorm(4, alpha=1.0), x, dy=np.ones_like(x))
    e = explain(traced, "", "y", (0, 0, 0, 4))
    assert [t.factors[1].index[3] for t in e.terms[1:]] == [2, 3, 4, 5]
    e = explain(traced, "", "dx", (0, 0, 0, 4))
    assert [f.index[3] for t in e.terms[1:] for f in t.factors if f.name == "dy"] == [3, 4, 5, 6]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("activation", [None, "relu", "gelu", "tanh"])
def test_batch_norm(activation, scale, training):
    layer = BatchNorm2d(3, activation=activation, scale=scale)
    generator = np.random.default_rng(0)
    layer.running_mean[:], layer.running_var[:] = [0.5, -1, 0], [2, 0.5, 1]
    layer.bias.value[:] = generator.standard_normal(3)
    if scale:
        layer.weight.value[:] = generator.standard_normal(3)
    found = check_all(layer, (2, 3, 4, 3), count=5, training=training, path="")
    assert len(found["", "dx"].terms) == (3 if training else 1)
    assert len(found["", "b"].terms) == 24
    assert (("", "w") in found) == scale
    assert all(("w[c] · " in found["", what].formula) == scale for what in ("y", "dx"))


def test_the_statistics_are_those_of_the_pass():
    """An explanation does not change when training goes on."""
    layer = BatchNorm2d(2).astype("float64")
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 2))
    traced = trace(layer, x, dy=np.ones_like(x))
    layer.train()(x + 5)
    layer.weight.value[:] = 7
    e = explain(traced, "", "y", (0, 0, 0, 1))
    assert abs(e.difference) < 1e-14
    assert e.note == "Mean 0 and variance 1 are of the running statistics."
