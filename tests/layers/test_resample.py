"""Resizing by two matrices: the contract, torch's interpolation, and the errors."""

import numpy as np
import pytest
import torch

import minicnn
from minicnn.errors import ShapeError
from minicnn.layers import Graph, Resample2d

from .contract import IMAGES, LayerContract, values


def drawn(*shape):
    return np.random.default_rng(3).standard_normal(shape)


class TestResample2d(LayerContract):
    cases = {
        "both": (lambda: Resample2d(drawn(4, 7), drawn(5, 9)), IMAGES),
        "rows": (lambda: Resample2d(drawn(4, 7)), IMAGES),
        "columns": (lambda: Resample2d(columns=drawn(12, 9)), IMAGES),
    }

    def test_repr_makes_the_layer_again(self, case):
        assert repr(case[0]()).startswith("Resample2d(")  # the matrices are cut short


def test_against_torch():
    """Bicubic interpolation is such a resizing; its matrices are what it makes of unit vectors."""

    def resized(x, size):
        return torch.nn.functional.interpolate(x, size, mode="bicubic", align_corners=True)

    rows = resized(torch.eye(7, dtype=torch.float64)[None, None], (10, 7))[0, 0].numpy()
    columns = resized(torch.eye(9, dtype=torch.float64)[None, None], (5, 9))[0, 0].numpy()
    layer = Resample2d(rows, columns)
    layer.rows, layer.columns = rows, columns  # in float64
    x, dy = values(IMAGES), drawn(3, 10, 5, 4)
    given = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    y = resized(given, (10, 5))
    y.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(layer(x), y.detach().permute(0, 2, 3, 1), rtol=1e-9, atol=1e-9)
    dx = layer.backward(dy).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(dx, given.grad, rtol=1e-9, atol=1e-9)


def test_its_matrices_are_in_the_file(tmp_path):
    graph = Graph(Resample2d(drawn(4, 7)), Resample2d(columns=drawn(2, 9)), input_shape=(7, 9, 4))
    minicnn.save(graph, tmp_path / "a.safetensors")
    again, x = minicnn.load(tmp_path / "a.safetensors"), values(IMAGES).astype(np.float32)
    np.testing.assert_array_equal(again(x), graph(x))


def test_errors():
    with pytest.raises(ValueError, match="neither rows nor columns given; expected a matrix"):
        Resample2d()
    with pytest.raises(ValueError, match=r"Resample2d: rows of shape \(3,\): expected a matrix"):
        Resample2d(np.ones(3))
    with pytest.raises(ShapeError, match=r"the input \(3, 7, 9, 4\) has 9 columns; expected 7"):
        Resample2d(columns=np.ones((2, 7)))(values(IMAGES))
