"""Convolution with fewer filters than a vector has lanes."""

import numpy as np
import pytest

from minicnn.kernels import reference
from minicnn.kernels.cpu.direct import few_filters_forward
from minicnn.kernels.cpu.engine.simd import LANES
from minicnn.kernels.geometry import window


def assert_right(size, kernel, padding, bounds=0, bias=True, images=3):
    """The result of the kernels here is that of the reference in float64."""
    (height, width, channels, filters), rng = size, np.random.default_rng(1)
    x = rng.standard_normal((images, height, width, channels), dtype=np.float32)
    w = rng.standard_normal((*kernel, channels, filters), dtype=np.float32)
    b = rng.standard_normal(filters, dtype=np.float32) if bias else None
    geometry = window((height, width), kernel, 1, padding, 1)
    assert few_filters_forward.supports(geometry, channels, filters, 1)
    y = np.full((images, *geometry.output, filters), np.nan, np.float32)
    few_filters_forward.conv2d(x, w, b, geometry, bounds, y)
    activation = (None, "relu", "relu6")[bounds]
    wide = (None if a is None else a.astype(np.float64) for a in (x, w, b))
    expected = reference.conv2d(*wide, padding=padding, activation=activation)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("filters", range(1, LANES))
@pytest.mark.parametrize("kernel", [(5, 5), (3, 3)])
def test_any_number_of_filters(filters, kernel):
    assert_right((9, 11, 1, filters), kernel, 0)


@pytest.mark.parametrize("height", range(9, 34))
def test_any_number_of_rows(height):
    """Those that are no multiple of the rows of a tile are computed twice."""
    assert_right((height, 8, 1, 3), (5, 5), 0, images=2)


@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [
        ((9, 5, 1, 2), (5, 5), 0),  # one column
        ((5, 6, 3, 3), (5, 5), 2),
        ((9, 7, 4, 2), (5, 3), ((1, 2), (0, 1))),
        ((6, 9, 2, 3), (5, 3), (2, 1)),
    ],
)
@pytest.mark.parametrize("bounds", [0, 1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_other_geometry(size, kernel, padding, bounds, bias):
    assert_right(size, kernel, padding, bounds, bias)


def test_channels_between_others():
    """A slice of the channels of larger images."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 12, 12, 5), dtype=np.float32)[..., 1:3]
    w = rng.standard_normal((5, 5, 2, 3), dtype=np.float32)
    y = np.empty((2, 8, 8, 3), np.float32)
    few_filters_forward.conv2d(x, w, None, window((12, 12), (5, 5), 1, 0, 1), 0, y)
    np.testing.assert_allclose(y, reference.conv2d(x, w), rtol=1e-4, atol=1e-5)
