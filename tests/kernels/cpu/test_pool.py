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


def test_adaptive_max_pooling_of_windows_that_a_byte_does_not_number():
    """1,600 cells in one window, with NaN, and the first of equal values."""
    x = np.zeros((1, 40, 40, 20), np.float32)
    x[0, 30, 7, 3], x[0, 31, 0, 3], x[0, 9, 9, 5] = 1, 1, np.nan
    y, argmax = cpu.adaptive_max_pool2d(x, (1, 1))
    assert argmax[0, 0, 0, 3] == 30 * 40 + 7 and y[0, 0, 0, 3] == 1
    assert argmax[0, 0, 0, 5] == 9 * 40 + 9 and np.isnan(y[0, 0, 0, 5])
    dx = cpu.adaptive_max_pool2d_grad(np.ones_like(y), argmax, x.shape)
    assert dx[0, 30, 7, 3] == 1 and dx[0, 0, 0, 0] == 1 and dx.sum() == 20


REJECTED = {
    "adaptive_max_pool2d: x": lambda: cpu.adaptive_max_pool2d(f32(6, 6, 16), (3, 3)),
    "adaptive_max_pool2d: out": lambda: cpu.adaptive_max_pool2d(X, (3, 3), f32(2, 3, 2, 16)),
    "adaptive_max_pool2d_grad: dy": lambda: cpu.adaptive_max_pool2d_grad(
        f32(2, 3, 3, 8), np.zeros((2, 3, 3, 16), np.int32), X.shape
    ),
    "adaptive_max_pool2d_grad: argmax": lambda: cpu.adaptive_max_pool2d_grad(
        f32(2, 3, 3, 16), np.zeros((2, 3, 3, 8), np.int32), X.shape
    ),
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
