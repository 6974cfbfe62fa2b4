"""Affine by the contract of layers, and against batch norm with fixed statistics."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.layers import Affine, BatchNorm2d

from .contract import IMAGES, LayerContract, values


class TestAffine(LayerContract):
    cases = {
        "both": (lambda: Affine(4), IMAGES),
        "scale": (lambda: Affine(4, bias=False), IMAGES),
        "bias": (lambda: Affine(4, scale=False), IMAGES),
        "vectors": (lambda: Affine(5), (3, 5)),
    }


def test_it_is_the_end_of_batch_norm():
    norm, own = BatchNorm2d(4, eps=0.0).eval(), Affine(4)
    for layer in (norm, own):
        layer.weight.value[:] = [1, -2, 3, 0.5]
        layer.bias.value[:] = [0, 1, 2, 3]
    x = values(IMAGES).astype(np.float32)
    np.testing.assert_allclose(own(x), norm(x), rtol=1e-6, atol=1e-6)
    dy = values(IMAGES, 1).astype(np.float32)
    np.testing.assert_allclose(own.backward(dy), norm.backward(dy), rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(own.parameters(), norm.parameters(), strict=True):
        np.testing.assert_allclose(mine.grad, theirs.grad, rtol=1e-4)


def test_errors():
    with pytest.raises(ShapeError, match=r"has 3 channels; expected \(..., 4\)"):
        Affine(4)(np.ones((1, 2, 2, 3), np.float32))
    for arguments in ({"channels": 0}, {"channels": 2, "scale": False, "bias": False}):
        with pytest.raises(ValueError, match="expected"):
            Affine(**arguments)
