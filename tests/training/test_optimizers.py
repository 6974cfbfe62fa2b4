"""Optimizers: their arguments, what they print, and factors of single parameters."""

import numpy as np
import pytest

from minicnn import training
from minicnn.layers import Linear, Parameter


def test_repr_shows_the_settings():
    parameters = Linear(2, 3).parameters()
    assert repr(training.SGD(parameters, 0.1, momentum=0.9)) == (
        "SGD(2 parameters, lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=False, form='torch')"
    )
    assert "betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01" in repr(training.AdamW(parameters))
    assert "decay=0.99" in repr(training.RMSProp(parameters))


def test_a_parameter_given_twice():
    parameters = Linear(2, 3).parameters()
    with pytest.raises(ValueError, match="SGD: 2 of 4 parameters are given twice"):
        training.SGD(parameters * 2, 0.1)


def test_multipliers_reach_the_update():
    """Caffe's zoo: biases learn twice as fast and do not decay."""
    p = Parameter(np.array([1.0]))
    p.lr_multiplier, p.weight_decay_multiplier = 2.0, 0.0
    p.grad[...] = 0.5
    training.SGD([p], lr=0.1, weight_decay=10.0).step()
    np.testing.assert_allclose(p.value, 1 - 0.2 * 0.5)


def test_arguments_are_checked():
    p = [Parameter(np.zeros(1))]
    with pytest.raises(ValueError, match="momentum=1.5"):
        training.SGD(p, 0.1, momentum=1.5)
    with pytest.raises(ValueError, match="momentum='a'"):
        training.SGD(p, 0.1, momentum="a")
    with pytest.raises(ValueError, match=r"Adam: betas=1.0: expected 0 <= betas < 1"):
        training.Adam(p, betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="AdamW: betas=0.9: expected two numbers"):
        training.AdamW(p, betas=0.9)
    with pytest.raises(ValueError, match="eps=-1e-08: expected a number >= 0"):
        training.Adam(p, eps=-1e-8)
    with pytest.raises(ValueError, match="RMSProp: decay=1: expected 0 <= decay < 1"):
        training.RMSProp(p, decay=1)
    with pytest.raises(ValueError, match="RMSProp: momentum=nan"):
        training.RMSProp(p, momentum=float("nan"))
    with pytest.raises(ValueError, match="form='keras'"):
        training.SGD(p, 0.1, form="keras")
    with pytest.raises(ValueError, match="lr=-1"):
        training.Adam(p, lr=-1)
    with pytest.raises(ValueError, match="non-empty list of parameters"):
        training.SGD([], 0.1)
