"""Linear layers on the CPU: long sums, and wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu

from .rejected import assert_rejected, f32


def test_sums_over_many_rows_keep_their_digits():
    """One value, added 65,536 times: a running sum in float32 is off by 6e-4."""
    x = np.full((1 << 16, 4), 0.1, np.float32)
    dw, db = cpu.linear_grad_weight(x, x)
    np.testing.assert_allclose(dw, 0.01 * (1 << 16), rtol=1e-4)
    np.testing.assert_allclose(db, 0.1 * (1 << 16), rtol=1e-4)
    odd = np.random.default_rng(0).standard_normal((4099, 5), dtype=np.float32)
    dw, db = cpu.linear_grad_weight(odd, odd)
    np.testing.assert_allclose(dw, odd.astype(float).T @ odd.astype(float), rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(db, odd.astype(float).sum(0), rtol=1e-5, atol=1e-3)


REJECTED = {
    "linear: w": lambda: cpu.linear(f32(4, 8), f32(9, 3)),
    "linear: b": lambda: cpu.linear(f32(4, 8), f32(8, 3), f32(1)),
    "linear: x": lambda: cpu.linear(f32(8), f32(8, 3)),
    "linear: out": lambda: cpu.linear(f32(4, 8), f32(8, 3), out=f32(4, 2)),
    "linear_grad_input: w": lambda: cpu.linear_grad_input(f32(4, 3), f32(8, 4)),
    "linear_grad_weight: x": lambda: cpu.linear_grad_weight(f32(4, 3), f32(3, 8)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
