"""Upsampling on every backend, against torch, with mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import reference
from minicnn.kernels.reference.upsample import source_weights

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("upsample2d")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def test_nearest_repeats_pixels():
    x = np.array([[1.0, 2], [3, 4]])[None, :, :, None]
    y = reference.upsample2d(x, (4, 6))[0, :, :, 0]
    np.testing.assert_array_equal(y, np.repeat(np.repeat(x[0, :, :, 0], 2, 0), 3, 1))


def test_bilinear_weights_by_hand():
    """Centers at half-integers: outputs lie at -1/4 (clipped), 1/4, 3/4 and 5/4 (clipped)."""
    weights = source_weights(np.zeros(1), 2, 4, "bilinear", None)
    np.testing.assert_array_equal(weights, [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


def test_nearest_positions_are_exact():
    """floor(i H / H_out) of integers, where a rounded ratio gives the pixel before."""
    for size, count in ((6, 9), (10, 49), (7, 21), (3, 100)):
        weights = source_weights(np.zeros(1), size, count, "nearest", None)
        np.testing.assert_array_equal(weights.argmax(1), [i * size // count for i in range(count)])


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_every_output_is_a_mean(mode):
    for scale in (None, 1.3, 0.4):
        weights = source_weights(
            np.zeros(1), 7, 9 if scale is None else int(7 * scale), mode, scale
        )
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-14)


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="mode='cubic': expected one of nearest, bilinear"):
        reference.upsample2d(np.ones((1, 2, 2, 1)), (4, 4), "cubic")


def aligned_corners(x, output_size, mode="nearest", scale=None, out=None):
    if mode == "nearest" or scale is not None or min(output_size) < 2:
        return reference.upsample2d(x, output_size, mode, scale, out)
    matrices = []
    for size, count in zip(x.shape[1:3], output_size, strict=True):
        h = np.arange(count) * (size - 1) / (count - 1)
        matrices.append(np.maximum(1 - abs(h[:, None] - np.arange(size)), 0))
    y = reference.arrays.apply_to_axes(*matrices, x).astype(x.dtype)
    return reference.arrays.write_to(out, y)


def ratio_instead_of_scale(x, output_size, mode="nearest", scale=None, out=None):
    return reference.upsample2d(x, output_size, mode, None, out)


def assigned_gradient(dy, x_shape, mode="nearest", scale=None):
    """The gradient of one output per pixel instead of their sum."""
    dx = reference.upsample2d_grad(dy, x_shape, mode, scale)
    return dx / max(1, dy.shape[1] // x_shape[1])


MUTANTS = {  # operation, and a backend with one mistake
    "corners aligned": ("upsample2d", broken(upsample2d=aligned_corners)),
    "scale ignored": ("upsample2d", broken(upsample2d=ratio_instead_of_scale)),
    "gradient assigned": ("upsample2d", broken(upsample2d_grad=assigned_gradient)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
