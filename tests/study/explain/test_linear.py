"""Fully connected layers: every number is the sum that its explanation has."""

import numpy as np
import pytest

from minicnn.layers import RBF, Linear
from tests.study.explain.numbers import check_all


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh", "scaled_tanh"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(activation, bias):
    found = check_all(Linear(5, 3, bias=bias, activation=activation), (4, 5), path="")
    assert found["", "y"].then == (f"{activation}(sum)" if activation else "")
    assert len(found["", "y"].terms) == 5 + bias
    added = "b[k] + Σ(j) x[n,j] · w[j,k]" if bias else "Σ(j) x[n,j] · w[j,k]"
    assert found["", "y"].formula == f"y[n,k] = {f'{activation}({added})' if activation else added}"
    assert len(found["", "dx"].terms) == 3
    assert len(found["", "w"].terms) == 4
    assert (("", "b") in found) == bias


def test_radial_basis_functions():
    codes = np.random.default_rng(0).choice([-1.0, 1.0], (4, 6))
    found = check_all(RBF(codes), (3, 6), count=8, path="")
    assert len(found["", "y"].terms) == 6
    assert len(found["", "dx"].terms) == 4
