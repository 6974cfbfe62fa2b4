"""Parameter updates on the CPU: wrong shapes."""

import pytest

from minicnn.kernels import cpu

from .rejected import X, assert_rejected, f32

REJECTED = {
    "sgd_update: g": lambda: cpu.sgd_update([X], [f32(1)], [X.copy()], [0.1], [0.0]),
    "sgd_update: v": lambda: cpu.sgd_update([X], [X.copy()], [f32(16)], [0.1], [0.0]),
    "sgd_update: count": lambda: cpu.sgd_update([X], [], [X.copy()], [0.1], [0.0]),
    "sgd_update: rates": lambda: cpu.sgd_update([X, X], [X, X], [X, X], [0.1], [0.0, 0.0]),
    "adam_update: m": lambda: cpu.adam_update([X], [X], [f32(3)], [X], [0.1], [0.0], 1),
    "rmsprop_update: s": lambda: cpu.rmsprop_update([X], [X], [f32(3)], [X], [0.1], [0.0]),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
