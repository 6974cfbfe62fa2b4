"""Optimizers: what they print, and which lists of parameters they refuse."""

import pytest

from minicnn import training
from minicnn.layers import Linear


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
