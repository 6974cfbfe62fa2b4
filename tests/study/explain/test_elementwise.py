"""Dropout, scale, and layers that only change the shape."""

import numpy as np
import pytest

from minicnn.layers import Affine, Dropout, Flatten, Function, Identity, PadShortcut, Scale
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all


def drawn(layer):
    """The layer with random parameters."""
    for seed, parameter in enumerate(layer.parameters()):
        shape = parameter.value.shape
        parameter.value[...] = np.random.default_rng(seed).standard_normal(shape)
    return layer


@pytest.mark.parametrize("p", [0, 0.4])
@pytest.mark.parametrize("training", [False, True])
def test_dropout(p, training):
    found = check_all(Dropout(p), (3, 8), count=16, training=training, path="")
    names = [factor.name for factor in found["", "y"].terms[0].factors]
    assert names == (["x", "mask", "1/(1 - 0.4)"] if training and p else ["x"])


def test_both_values_of_the_mask():
    traced = trace(Dropout(0.5), np.ones((1, 64)), dy=np.ones((1, 64)), training=True)
    notes = {explain(traced, "", "y", (0, i)).note for i in range(64)}
    assert notes == {"The mask kept this number.", "The mask dropped this number."}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Scale(0.25), (2, 3, 2)),
        (Identity(), (2, 3, 2)),
        (Function("softplus"), (2, 3, 4, 2)),
        (Function("power", 3), (2, 3)),
        (drawn(Affine(5)), (2, 3, 4, 5)),
        (drawn(Affine(3, bias=False)), (2, 3)),
        (drawn(Affine(3, scale=False)), (2, 4, 3)),
        (Flatten(), (2, 3, 4, 5)),
        (PadShortcut(2, 5, 2), (2, 5, 4, 2)),
        (PadShortcut(2, 5, 2, pad_both_ends=True), (2, 5, 4, 2)),
        (PadShortcut(3, 3), (1, 2, 2, 3)),
    ],
)
def test_every_number(layer, shape):
    check_all(layer, shape, count=12, path="")


def test_new_maps_and_skipped_pixels():
    x = np.ones((1, 4, 4, 2))
    traced = trace(PadShortcut(2, 6, 2, pad_both_ends=True), x, dy=np.ones((1, 2, 2, 6)))
    kinds = [len(explain(traced, "", "y", (0, 1, 1, c)).terms) for c in range(6)]
    assert kinds == [0, 0, 1, 1, 0, 0]
    assert "left out" in explain(traced, "", "dx", (0, 1, 0, 0)).note
