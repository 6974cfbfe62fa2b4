"""Fully connected layers: every number is the sum that its explanation has."""

import pytest

from minicnn.layers import Linear
from tests.study.explain.numbers import check_all


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh", "scaled_tanh"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(activation, bias):
    found = check_all(Linear(5, 3, bias=bias, activation=activation), (4, 5), path="")
    assert found["", "y"].then == (f"{activation}(sum)" if activation else "")
    assert len(found["", "y"].terms) == 5 + bias
    assert len(found["", "dx"].terms) == 3
    assert len(found["", "w"].terms) == 4
    assert (("", "b") in found) == bias
