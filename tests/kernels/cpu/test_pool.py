"""Pooling on the CPU: NaN, and wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu

from .rejected import X, assert_rejected, f32


def test_max_pooling_propagates_nan():
    x = np.full((1, 4, 4, 20), -1, np.float32)
    x[0, 1, 1] = np.nan
    y, _ = cpu.max_pool2d(x, 2)
    assert np.isnan(y[0, 0, 0]).all() and (y[0, 1] == -1).all()


REJECTED = {
    "max_pool2d: out": lambda: cpu.max_pool2d(X, 2, out=f32(1, 3, 3, 16)),
    "max_pool2d_grad: dy": lambda: cpu.max_pool2d_grad(
        f32(2, 3, 3, 8), np.zeros((2, 3, 3, 16), np.uint8), X.shape, 2
    ),
    "max_pool2d_grad: argmax": lambda: cpu.max_pool2d_grad(
        f32(2, 3, 3, 16), np.zeros((2, 3, 3, 8), np.uint8), X.shape, 2
    ),
    "avg_pool2d_grad: dy": lambda: cpu.avg_pool2d_grad(f32(2, 3, 2, 16), X.shape, 2),
    "global_avg_pool2d_grad: dy": lambda: cpu.global_avg_pool2d_grad(f32(2, 8), X.shape),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
