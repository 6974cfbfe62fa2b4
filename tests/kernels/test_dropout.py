"""Dropout: the share that is dropped, the expectation, the masks of one seed, and the gradient."""

import numpy as np
import pytest

from minicnn.kernels import dispatch, functional, reference
from minicnn.kernels.thread_state import part_of_batch


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
    np.testing.assert_allclose(
        reference.dropout_grad(dy, keep, p), np.where(keep, dy / (1 - p), 0), rtol=1e-6
    )

    again, _ = reference.dropout(x, p, np.random.default_rng(1))
    np.testing.assert_array_equal(again, y)
    other, _ = reference.dropout(x, p, np.random.default_rng(3))
    assert (other != y).any()


@pytest.mark.parametrize("shape", [(1,), (3, 17), (5, 9, 9, 33), (2, 64, 64, 16)])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.999])
def test_cpu_drops_the_same(shape, p):
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    dy = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    (y, keep), (expected, kept) = (
        k.dropout(x, p, np.random.default_rng(7)) for k in (functional, reference)
    )
    assert dispatch.select(reference.dropout, x) is not reference.dropout
    assert keep.dtype == bool
    np.testing.assert_array_equal(keep, kept)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(
        functional.dropout_grad(dy, keep, p), reference.dropout_grad(dy, kept, p)
    )
    wide = np.zeros((*shape[:-1], shape[-1] + 2), np.float32)
    functional.dropout(x, p, np.random.default_rng(7), out=wide[..., 1:-1])
    np.testing.assert_array_equal(wide[..., 1:-1], expected)


def test_masks_look_random():
    """Neighbors, positions a power of two apart, and two draws are independent."""
    x = np.ones(1 << 20, np.float32)
    generator = np.random.default_rng(0)
    first, second = (reference.dropout(x, 0.5, generator)[1] for _ in range(2))
    bound = 5 * 0.5 / np.sqrt(x.size)
    assert abs(first.mean() - 0.5) < bound
    assert abs((first == second).mean() - 0.5) < bound
    for distance in (1, 2, 3, 16, 1024, 4096, 65536):
        assert abs((first[distance:] == first[:-distance]).mean() - 0.5) < 1.1 * bound, distance


@pytest.mark.parametrize("dropout", [functional.dropout, reference.dropout])
def test_masks_of_a_part_are_those_of_the_whole_batch(dropout):
    x = np.ones((7, 3, 5), np.float32)
    whole, _ = dropout(x, 0.4, np.random.default_rng(3))
    parts = []
    for first, last in ((0, 3), (3, 4), (4, 7)):
        with part_of_batch(first):
            parts.append(dropout(x[first:last], 0.4, np.random.default_rng(3))[0])
    np.testing.assert_array_equal(np.concatenate(parts), whole)
