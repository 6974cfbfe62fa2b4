"""Weighted sums along both axes on the CPU: what is read, BLAS, and wrong shapes."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import resample
from minicnn.kernels.resampling import means, upsampling

from .rejected import X, assert_rejected, f32

TWICE = upsampling(6, 12, "nearest")


def test_the_table_of_a_matrix():
    """A row without weights, one whose weights enclose a zero, and one at each end."""
    matrix = np.array([[0, 0, 0, 0], [0, 2, 0, 3], [1, 0, 0, 0], [0, 0, 0, 4]], np.float32)
    ranges, weights = resample.table(matrix)
    np.testing.assert_array_equal(ranges, [[0, 0], [1, 4], [0, 1], [3, 4]])
    again = np.zeros_like(matrix)
    for row, (first, last) in enumerate(ranges):
        again[row, first:last] = weights[row, : last - first]
    np.testing.assert_array_equal(again, matrix)


def test_without_results_or_pixels_nothing_is_added():
    """As in the reference: an empty array forward, zeros backward."""
    x, dy = f32(1, 3, 3, 2), f32(1, 0, 4, 2)
    matrices = np.ones((0, 3)), np.ones((4, 3))
    assert cpu.resample2d(x, *matrices).shape == dy.shape
    assert cpu.adaptive_max_pool2d(x, (0, 4))[1].shape == dy.shape
    np.testing.assert_array_equal(cpu.resample2d_grad(dy, *matrices), np.zeros(x.shape))


@pytest.mark.parametrize("shape", [(2, 3, 5, 1), (1, 7, 4, 20), (3, 40, 30, 33)])
def test_it_is_two_matrix_products(shape):
    """Also of images that lie apart, with pixels that nothing reads, and of many weights."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((*shape[:3], shape[3] + 3), dtype=np.float32)[..., 1:-2]
    r, s = (np.triu(generator.standard_normal((6, n), dtype=np.float32)) for n in shape[1:3])
    exact = np.einsum("pa,qb,nabc->npqc", *(a.astype(float) for a in (r, s, x)))
    np.testing.assert_allclose(cpu.resample2d(x, r, s), exact, rtol=1e-5, atol=1e-4)


def test_many_weights_are_multiplied_by_blas(monkeypatch):
    """Those of a network that mixes all rows; not the means of large windows."""
    calls = []
    monkeypatch.setattr(reference, "resample2d", lambda *given: calls.append(1) or given[0])
    cpu.resample2d(f32(1, 64, 8, 2), f32(64, 64), None)
    assert calls
    cpu.resample2d(f32(1, 64, 64, 2), means(64, 2), means(64, 2))
    assert len(calls) == 1


def test_a_matrix_that_is_written_to_counts():
    """Only of a matrix that cannot be written to is something kept."""
    x, matrix = f32(1, 4, 4, 1), np.eye(4)
    view = matrix.view()
    view.setflags(write=False)
    for factor in (1, 2):
        matrix[...] = factor * np.eye(4)
        np.testing.assert_array_equal(cpu.resample2d(x, view, None), factor * x)
        np.testing.assert_array_equal(cpu.resample2d_grad(x, None, matrix), factor * x)


def test_few_matrices_are_kept(monkeypatch):
    """Images of many sizes would fill the memory."""
    monkeypatch.setattr(resample, "_kept", {})
    for count in range(1, resample.MOST_KEPT + 3):
        cpu.resample2d(f32(1, 3, 1, 1), means(3, count), None)
        assert 0 < len(resample._kept) <= resample.MOST_KEPT


def test_a_value_that_is_not_finite_stays_with_its_readers():
    """A product with a whole matrix would spread it over the row."""
    x = np.ones((1, 4, 4, 20), np.float32)
    x[0, 1, 1, 3] = np.nan
    twice, half = upsampling(4, 8, "nearest"), means(4, 2)
    found = np.argwhere(np.isnan(cpu.resample2d(x, twice, twice)))
    assert {tuple(place) for place in found} == {(0, i, j, 3) for i in (2, 3) for j in (2, 3)}
    assert np.isnan(cpu.resample2d(x, half, half)).sum() == 1


REJECTED = {
    "x": lambda: cpu.resample2d(f32(6, 6, 16), TWICE, TWICE),
    "rows": lambda: cpu.resample2d(X, f32(12, 5), TWICE),
    "columns": lambda: cpu.resample2d(X, TWICE, f32(12, 7)),
    "no matrix": lambda: cpu.resample2d(X, f32(6), None),
    "out": lambda: cpu.resample2d(X, TWICE, TWICE, out=f32(2, 12, 11, 16)),
    "dy": lambda: cpu.resample2d_grad(f32(2, 12, 11, 16), TWICE, TWICE),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
