"""Layers that join several arrays, against torch; `Slice` also by the contract of layers."""

import numpy as np
import pytest
import torch

import minicnn
from minicnn.errors import ShapeError
from minicnn.layers import Add, Concatenate, Maximum, Multiply, Slice

from .contract import IMAGES, LayerContract, values


class TestSlice(LayerContract):
    cases = {
        "first channels": (lambda: Slice(0, 2), IMAGES),
        "last channel": (lambda: Slice(3, 4), IMAGES),
        "features": (lambda: Slice(1, 4), (3, 5)),
    }


def product(*tensors):
    return tensors[0] * tensors[1] * (tensors[2] if len(tensors) > 2 else 1)


def maximum(*tensors):
    return torch.stack(torch.broadcast_tensors(*tensors)).amax(0)


ONES = [(2, 5, 3, 4)] * 3
GATES = [(2, 1, 1, 4), (2, 5, 3, 4), (2, 5, 3, 1)]
JOINS = {
    "add": (Add, lambda *t: sum(t), ONES),
    "add of one": (Add, lambda t: t, ONES[:1]),
    "add of two": (lambda: Add(activation="tanh"), lambda a, b: torch.tanh(a + b), ONES[:2]),
    "add, repeated": (Add, lambda *t: sum(t), GATES),
    "multiply": (Multiply, product, ONES),
    "multiply, repeated": (Multiply, product, GATES),
    "multiply vectors": (Multiply, product, [(3, 4)] * 2),
    "maximum": (Maximum, maximum, ONES),
    "maximum, repeated": (Maximum, maximum, GATES),
    "concatenate": (
        Concatenate,
        lambda *t: torch.cat(t, dim=-1),
        [(2, 5, 3, 4), (2, 5, 3, 1), (2, 5, 3, 7)],
    ),
    "concatenate vectors": (Concatenate, lambda *t: torch.cat(t, dim=-1), [(3, 4), (3, 2)]),
}


@pytest.mark.parametrize("name", JOINS)
def test_against_torch(name):
    make, theirs, shapes = JOINS[name]
    # The shift keeps the values of different arrays apart: no maximum is ambiguous.
    layer, arrays = make(), tuple(values(s, i) + 0.003 * i for i, s in enumerate(shapes))
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = theirs(*tensors)
    y = layer(arrays)
    assert layer.output_shape(tuple(shapes)) == y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-12)
    dy = np.random.default_rng(9).standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    gradients = layer.backward(dy)
    assert len(gradients) == len(arrays)
    for dx, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(dx, tensor.grad, rtol=1e-10, atol=1e-12)

    room = np.full((*y.shape[:-1], y.shape[-1] + 2), np.nan)
    layer(arrays, out=room[..., 1:-1])
    np.testing.assert_array_equal(room[..., 1:-1], y)
    assert np.isnan(room[..., 0]).all()
    with pytest.raises(ShapeError, match="backward was given a gradient of shape"):
        layer.backward(dy[:1, ..., :1])
    with minicnn.no_grad():
        assert layer(tuple(a.astype(np.float32) for a in arrays)).dtype == np.float32
    with pytest.raises(RuntimeError, match="outside of no_grad"):
        layer.backward(dy)


def test_of_equal_values_the_first_is_the_maximum():
    layer, x = Maximum(), np.ones((1, 2))
    layer((x, x, x))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 2)))[0], 1)
    first, *others = layer((x, x)) is None or layer.backward(np.full((1, 2), 3.0))
    np.testing.assert_array_equal(first, 3)
    np.testing.assert_array_equal(others, 0)


def test_errors():
    a, b = np.ones((2, 4, 4, 3)), np.ones((2, 4, 5, 3))
    for layer, x, message in (
        (Add(), (a, b), r"Add\(\): the inputs are \(2, 4, 4, 3\), \(2, 4, 5, 3\); they must have"),
        (Add(), (a, np.ones((2, 3))), "they must have one shape"),
        (Concatenate(), (a, b), "only the channels may differ"),
        (Add(), a, "Add: the input is ndarray; expected a tuple of arrays"),
        (Add(), (), "expected a tuple of arrays"),
        (Add(), (a, [1.0]), "Add: the input is list; expected an array of float32"),
        (Add(), (a, a.astype(np.float32)), "the inputs are float32 and float64; expected"),
        (Slice(1, 4), a, r"\(2, 4, 4, 3\) has 3 channels; expected at least 4"),
    ):
        with pytest.raises(ShapeError, match=message):
            layer(x)
    for start, stop in ((2, 2), (-1, 2)):
        with pytest.raises(ValueError, match="expected 0 <= start < stop"):
            Slice(start, stop)
