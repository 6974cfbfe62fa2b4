"""Activations as layers."""

import numpy as np
import pytest

from minicnn.kernels.reference.activation import ACTIVATIONS
from minicnn.layers import ELU, Activation, Clip, LeakyReLU, PReLU, ReLU, Softmax
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    found = check_all(Activation(name), (2, 3, 4, 2), count=8, path="")
    assert found["", "y"].kind == "function"
    assert found["", "y"].then == f"{name}(sum)"


def test_relu_passes_no_gradient_at_zero():
    traced = trace(ReLU(), np.array([[0.0, -1.0, 2.0]]), dy=np.ones((1, 3)))
    notes = [explain(traced, "", "dx", (0, i)).note for i in range(3)]
    assert notes == [*["No gradient passes where y = 0."] * 2, "The gradient passes where y > 0."]


@pytest.mark.parametrize(
    ("layer", "formula"),
    [
        (LeakyReLU(0.3), "y = leaky_relu(x, 0.3)"),
        (ELU(2.0), "y = elu(x, 2)"),
        (Clip(-0.5, 0.7), "y = clip(x, -0.5, 0.7)"),
    ],
)
def test_constants(layer, formula):
    found = check_all(layer, (2, 3, 4, 2), count=20, path="")
    assert found["", "y"].formula == formula


@pytest.mark.parametrize("channels", [1, 3])
def test_prelu(channels):
    layer = PReLU(channels)
    layer.weight.value[:] = np.linspace(0.1, 0.7, channels)
    found = check_all(layer, (2, 3, 4, 3), count=8, path="")
    assert {what for _, what in found} >= {"y", "dx", "w"}
    traced = trace(layer, np.array([[0.0, -2.0, 2.0]]), dy=np.ones((1, 3)))
    names = [[f.name for f in explain(traced, "", "dx", (0, i)).terms[0].factors] for i in range(3)]
    assert names == [["w", "dy"], ["w", "dy"], ["dy"]]
    terms = [explain(traced, "", "w", (c,)).terms for c in range(channels)]
    assert [len(own) for own in terms] == ([2] if channels == 1 else [1, 1, 0])


def test_softmax():
    found = check_all(Softmax(), (2, 3, 4, 5), count=6, path="")
    assert len(found["", "y"].terms) == 5
    assert found["", "y"].then.startswith("exp(x[")
    assert len(found["", "dx"].terms) == 6
    check_all(Softmax(), (3, 4), count=4, path="")
