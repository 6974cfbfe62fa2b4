"""Dropout: the right share is dropped, the expectation is kept, one seed repeats the masks, and the gradient has the same mask."""

import numpy as np
import pytest
from minicnn.kernels import reference


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout(p, dtype):
    x = np.random.default_rng(0).standard_normal((50, 8, 8, 4)).astype(dtype) + 3
    y, keep = reference.dropout(x, p, np.random.default_rng(1))
    assert y.dtype == dtype
    assert abs(keep.mean() - (1 - p)) < 4 * np.sqrt(p * (1 - p) / x.size)
    np.testing.assert_array_equal(y[~keep], 0)
    np.testing.assert_allclose(y[keep], x[keep] / (1 - p), rtol=1e-6)
    assert abs(y.mean() - x.mean()) < 0.1

    dy = np.random.default_rng(2).standard_normal(x.shape).astype(dtype)
    np.testing.assert_allclose(reference.dropout_grad(dy, keep, p), np.where(keep, dy / (1 - p), 0), rtol=1e-6)

    again, _ = reference.dropout(x, p, np.random.default_rng(1))
    np.testing.assert_array_equal(again, y)
    other, _ = reference.dropout(x, p, np.random.default_rng(3))
    assert (other != y).any()
