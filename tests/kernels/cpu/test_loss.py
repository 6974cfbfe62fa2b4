"""Softmax and its loss on the CPU: NaN, and wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu

from .rejected import assert_rejected, f32


def test_softmax_propagates_nan():
    x = np.full((4, 20), -1, np.float32)
    x[1] = np.nan
    y = cpu.softmax(x)
    assert np.isnan(y[1]).all() and not np.isnan(y[[0, 2, 3]]).any()


REJECTED = {
    "softmax_cross_entropy: targets": lambda: cpu.softmax_cross_entropy(f32(4, 3), f32(4, 4)),
    "softmax_cross_entropy: class_weights": lambda: cpu.softmax_cross_entropy(
        f32(4, 3), np.zeros(4, int), f32(4)
    ),
    "softmax_cross_entropy: labels": lambda: cpu.softmax_cross_entropy(f32(4, 3), np.zeros(3, int)),
    "softmax_cross_entropy: 1-D": lambda: cpu.softmax_cross_entropy(f32(3), np.zeros(3, int)),
    "softmax_cross_entropy: empty": lambda: cpu.softmax_cross_entropy(f32(0, 3), np.zeros(0, int)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
