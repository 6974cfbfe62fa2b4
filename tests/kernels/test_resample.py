"""Resampling on every backend, against torch, with mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import functional, reference
from minicnn.kernels.resampling import means, upsampling

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("resample2d")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def test_nearest_repeats_pixels():
    x = np.array([[1.0, 2], [3, 4]])[None, :, :, None]
    y = reference.resample2d(x, upsampling(2, 4, "nearest"), upsampling(2, 6, "nearest"))
    np.testing.assert_array_equal(y[0, :, :, 0], np.repeat(np.repeat(x[0, :, :, 0], 2, 0), 3, 1))


def test_bilinear_weights_by_hand():
    """Centers at half-integers: outputs lie at -1/4 (clipped), 1/4, 3/4 and 5/4 (clipped)."""
    weights = upsampling(2, 4, "bilinear")
    np.testing.assert_array_equal(weights, [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


def test_nearest_positions_are_exact():
    """floor(i H / H_out) of integers, where a rounded ratio gives the pixel before."""
    for size, count in ((6, 9), (10, 49), (7, 21), (3, 100)):
        weights = upsampling(size, count, "nearest")
        np.testing.assert_array_equal(weights.argmax(1), [i * size // count for i in range(count)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_counts_only_where_it_has_a_weight(dtype, value):
    x = np.ones((1, 4, 4, 2), dtype)
    x[0, 0, 0, 0] = value
    y = functional.resample2d(x, upsampling(4, 8, "nearest"), upsampling(4, 8, "nearest"))
    np.testing.assert_array_equal(y[0, :2, :2, 0], value)
    y[0, :2, :2, 0] = 1
    np.testing.assert_array_equal(y, 1)


def test_means_by_hand():
    """Windows of two pixels that share the middle one."""
    np.testing.assert_array_equal(means(3, 2), [[0.5, 0.5, 0], [0, 0.5, 0.5]])


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_every_output_is_a_mean(mode):
    for scale in (None, 1.3, 0.4):
        weights = upsampling(7, 9 if scale is None else int(7 * scale), mode, scale)
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-14)


def test_matrices_are_kept_and_cannot_be_changed():
    for make in (lambda: means(7, 3), lambda: upsampling(7, 3, "bilinear")):
        assert make() is make()
        with pytest.raises(ValueError, match="read-only"):
            make()[0] = 1


def test_without_a_matrix_there_is_a_copy():
    x = np.ones((1, 2, 3, 4))
    y = reference.resample2d(x, None, None)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="mode='cubic': expected one of nearest, bilinear"):
        upsampling(2, 4, "cubic")


def test_a_matrix_that_does_not_fit():
    message = r"the matrix for columns has shape \(5, 4\): expected \(any, 3\) for images of shape"
    with pytest.raises(ValueError, match=message):
        reference.resample2d(np.ones((1, 4, 3, 1)), np.ones((2, 4)), np.ones((5, 4)))


def the_largest_weight(x, rows, columns, out=None):
    """The nearest pixel instead of a mean."""
    pair = [
        None if m is None else (m == m.max(axis=1, keepdims=True)).astype(float)
        for m in (rows, columns)
    ]
    return reference.resample2d(x, *pair, out)


def averaged_gradient(dy, rows, columns):
    """The mean over the outputs of a pixel instead of their sum."""
    dx = reference.resample2d_grad(dy, rows, columns)
    return dx / max(1, dy.shape[1] // dx.shape[1])


MUTANTS = {  # a backend with one mistake
    "one pixel per output": broken(resample2d=the_largest_weight),
    "gradient averaged": broken(resample2d_grad=averaged_gradient),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught("resample2d", MUTANTS[name])
