"""Layers that move numbers."""

import numpy as np
import pytest

from minicnn.layers import FlipChannels, Pad2d, Permute, Reshape
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all

CASES = {
    "reshape": (Reshape(4, 15), (2, 3, 4, 5)),
    "reshape to images": (Reshape(3, 2, 2), (2, 12)),
    "permute": (Permute(0, 3, 1, 2), (2, 3, 4, 5)),
    "permute three axes": (Permute(0, 2, 1), (2, 3, 4)),
    "pad": (Pad2d(((1, 0), (2, 1))), (2, 3, 2, 3)),
    "pad channels": (Pad2d(1, 0.5, channels=(2, 1)), (1, 2, 2, 3)),
    "flip": (FlipChannels(), (2, 3, 2, 3)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_number(case):
    layer, shape = CASES[case]
    check_all(layer, shape, count=20, path="")


def test_the_frame_is_the_constant():
    traced = trace(Pad2d(1, 0.5), np.ones((1, 2, 2, 1)), dy=np.ones((1, 4, 4, 1)))
    found = explain(traced, "", "y", (0, 0, 0, 0))
    assert found.total == 0.5
    assert found.note == "It is in the frame."
    assert explain(traced, "", "y", (0, 1, 1, 0)).terms[0].factors[0].index == (0, 0, 0, 0)
