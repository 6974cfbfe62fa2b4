"""Resampling layers: the contract, sizes, torch's interpolation, and the errors."""

import numpy as np
import pytest
import torch

import minicnn
from minicnn.errors import ShapeError
from minicnn.layers import Graph, Resample2d, Upsample

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


class TestUpsample(LayerContract):
    cases = {
        "nearest": (lambda: Upsample(2), IMAGES),
        "bilinear": (lambda: Upsample((2, 3), "bilinear"), IMAGES),
        "fractional": (lambda: Upsample(1.5, "bilinear"), IMAGES),
        "smaller": (lambda: Upsample(0.5), IMAGES),
        "to a size": (lambda: Upsample(size=(5, 20), mode="bilinear"), IMAGES),
    }


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


def test_sizes_are_rounded_down():
    assert Upsample(1.5).output_shape((1, 3, 5, 2)) == (1, 4, 7, 2)
    assert Upsample((1, 2.6)).output_shape((1, 3, 5, 2)) == (1, 3, 13, 2)
    with pytest.raises(ShapeError, match=r"scale=0.2.: input .1, 3, 5, 2.: no pixel is left"):
        Upsample(0.2)(np.zeros((1, 3, 5, 2), np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither given; expected a scale or a size"),
        ({"scale": 2, "size": 3}, "scale=2 and size=3 given; expected a scale or a size"),
        ({"scale": 0}, "scale=0: expected a number above 0 or a pair of them"),
        ({"scale": "2"}, "scale='2': expected a number above 0"),
        ({"scale": (1, 2, 3)}, r"scale=\(1, 2, 3\): expected a number above 0 or a pair"),
        ({"scale": float("inf")}, "scale=inf: expected a number"),
        ({"scale": 2, "mode": "cubic"}, "mode='cubic': expected one of nearest, bilinear"),
        ({"size": 0}, "size=0: expected an integer >= 1"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        Upsample(**arguments)
