"""Group and layer normalization: the numbers that share a mean, and the three terms of dx."""

import numpy as np
import pytest

from minicnn.layers import GroupNorm, LayerNorm
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (GroupNorm(2, 6), (2, 3, 4, 6)),
        (GroupNorm(3, 6), (4, 6)),
        (GroupNorm(4, 4), (2, 3, 3, 4)),
        (LayerNorm(5), (2, 3, 2, 5)),
        (LayerNorm(5), (3, 5)),
    ],
)
def test_every_number(layer, shape):
    generator = np.random.default_rng(0)
    layer.weight.value[:] = generator.standard_normal(layer.channels)
    layer.bias.value[:] = generator.standard_normal(layer.channels)
    found = check_all(layer, shape, count=6, path="")
    assert {what for _, what in found} >= {"y", "dx", "w", "b"}
    assert len(found["", "dx"].terms) == 3
    assert len(found["", "b"].terms) == np.prod(shape[:-1])


def test_which_numbers_share_a_mean():
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 6))
    traced = trace(GroupNorm(3, 6).astype("float64"), x, dy=np.ones_like(x))
    e = explain(traced, "", "y", (1, 0, 2, 3))
    assert e.reads[0].ranges == ((1, 2), (0, 3), (0, 3), (2, 4))
    assert e.note.endswith("are of maps 2 to 3 of image 1.")
    traced = trace(LayerNorm(6).astype("float64"), x, dy=np.ones_like(x))
    e = explain(traced, "", "y", (1, 0, 2, 3))
    assert e.reads[0].ranges == ((1, 2), (0, 1), (2, 3), (0, 6))
    assert e.note.endswith("are of the 6 channels of this pixel.")
    traced = trace(GroupNorm(6, 6).astype("float64"), x, dy=np.ones_like(x))
    assert explain(traced, "", "y", (1, 0, 2, 3)).note.endswith("are of map 3 of image 1.")
