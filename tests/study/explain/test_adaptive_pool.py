"""Adaptive and global pooling: windows of several sizes, and the whole map."""

import numpy as np
import pytest

from minicnn.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d, GlobalAvgPool2d, GlobalMaxPool2d
from minicnn.study import explain, trace
from tests.study.explain.numbers import check_all

LAYERS = {
    "average": (AdaptiveAvgPool2d((3, 2)), (2, 7, 5, 2)),
    "average, enlarged": (AdaptiveAvgPool2d(4), (1, 3, 2, 2)),
    "global average": (GlobalAvgPool2d(), (2, 3, 4, 3)),
    "max": (AdaptiveMaxPool2d((3, 2)), (2, 7, 5, 2)),
    "max, enlarged": (AdaptiveMaxPool2d(4), (1, 3, 2, 2)),
    "global max": (GlobalMaxPool2d(), (2, 3, 4, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_number(name):
    layer, shape = LAYERS[name]
    found = check_all(layer, shape, count=8, path="")
    assert found["", "y"].kind == ("selection" if "max" in name else "sum")
    assert found["", "dx"].kind == "sum"


def test_a_pixel_in_two_windows():
    """7 rows in 3 windows: 0-2, 2-4, 4-6. Row 2 is in the first two, and the maximum of one."""
    x = np.array([0.0, 1, 5, 7, 3, 2, 1])[None, :, None, None]
    traced = trace(AdaptiveMaxPool2d((3, 1)), x, dy=np.array([1.0, 10, 100])[None, :, None, None])
    e = explain(traced, "", "dx", (0, 2, 0, 0))
    assert [(t.factors[0].index[1], t.value, t.chosen) for t in e.terms] == [
        (0, 1, True),
        (1, 0, False),
    ]
    assert e.note == "The pixel is the maximum of 1 of the 2 windows that contain it."
