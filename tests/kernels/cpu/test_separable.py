"""Weighted sums along both axes on the CPU: the tables, what is read, and wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu
from minicnn.kernels.cpu.separable import weighted_sums, weights_of

from .rejected import X, assert_rejected, f32


def test_the_table_of_a_matrix():
    """A row without weights, one whose weights enclose a zero, and one at each end."""
    matrix = np.array([[0, 0, 0, 0], [0, 2, 0, 3], [1, 0, 0, 0], [0, 0, 0, 4]], np.float32)
    ranges, values = weights_of(matrix)
    np.testing.assert_array_equal(ranges, [[0, 0], [1, 4], [0, 1], [3, 4]])
    again = np.zeros_like(matrix)
    for row, (first, last) in enumerate(ranges):
        again[row, first:last] = values[row, : last - first]
    np.testing.assert_array_equal(again, matrix)


def test_without_results_or_pixels_nothing_is_added():
    """As in the reference: an empty array forward, zeros backward."""
    x, dy = f32(1, 3, 3, 2), f32(1, 0, 4, 2)
    for y in (cpu.upsample2d(x, (0, 4)), cpu.adaptive_avg_pool2d(x, (0, 4))):
        assert y.shape == dy.shape
    assert cpu.adaptive_max_pool2d(x, (0, 4))[1].shape == dy.shape
    for dx in (cpu.upsample2d_grad(dy, x.shape), cpu.adaptive_avg_pool2d_grad(dy, x.shape)):
        np.testing.assert_array_equal(dx, np.zeros(x.shape))


@pytest.mark.parametrize("shape", [(2, 3, 5, 1), (1, 7, 4, 20), (3, 40, 30, 33)])
def test_it_is_two_matrix_products(shape):
    """Also of images that lie apart, and with pixels that nothing reads."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((*shape[:3], shape[3] + 3), dtype=np.float32)[..., 1:-2]
    r, s = (np.triu(generator.standard_normal((6, n), dtype=np.float32)) for n in shape[1:3])
    found = weighted_sums(x, weights_of(r), weights_of(s))
    exact = np.einsum("pa,qb,nabc->npqc", *(a.astype(float) for a in (r, s, x)))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-4)


def test_a_value_that_is_not_finite_stays_with_its_readers():
    """A product with a whole matrix would spread it over the row."""
    x = np.ones((1, 4, 4, 20), np.float32)
    x[0, 1, 1, 3] = np.nan
    found = np.argwhere(np.isnan(cpu.upsample2d(x, (8, 8))))
    assert {tuple(place) for place in found} == {(0, i, j, 3) for i in (2, 3) for j in (2, 3)}
    assert np.isnan(cpu.adaptive_avg_pool2d(x, (2, 2))).sum() == 1


REJECTED = {
    "upsample2d: x": lambda: cpu.upsample2d(f32(6, 6, 16), (3, 3)),
    "upsample2d: mode": lambda: cpu.upsample2d(X, (3, 3), "cubic"),
    "upsample2d: out": lambda: cpu.upsample2d(X, (12, 12), out=f32(2, 12, 11, 16)),
    "upsample2d_grad: dy": lambda: cpu.upsample2d_grad(f32(2, 12, 12, 8), X.shape),
    "upsample2d_grad: images": lambda: cpu.upsample2d_grad(f32(1, 12, 12, 16), X.shape),
    "adaptive_avg_pool2d: x": lambda: cpu.adaptive_avg_pool2d(f32(6, 16), (3, 3)),
    "adaptive_avg_pool2d: out": lambda: cpu.adaptive_avg_pool2d(X, (3, 3), f32(2, 3, 3, 15)),
    "adaptive_avg_pool2d_grad: dy": lambda: cpu.adaptive_avg_pool2d_grad(f32(2, 3, 3), X.shape),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
