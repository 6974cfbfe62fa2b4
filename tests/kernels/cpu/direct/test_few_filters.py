"""The weight gradient of fewer filters than a vector has lanes."""

import numpy as np
import pytest

import minicnn
from minicnn.kernels import functional as F
from minicnn.kernels import reference
from minicnn.kernels.cpu.direct import few_filters
from minicnn.kernels.cpu.engine.simd import LANES
from minicnn.kernels.geometry import window


def gradients(size, kernel, padding, images=3):
    """dw and db of the kernels here, and those of the reference in float64."""
    (height, width, channels, filters), rng = size, np.random.default_rng(1)
    x = rng.standard_normal((images, height, width, channels), dtype=np.float32)
    shape = (*kernel, channels, filters)
    geometry = window((height, width), kernel, 1, padding, 1)
    assert few_filters.supports(geometry, channels, filters, 1)
    dy = rng.standard_normal((images, *geometry.output, filters), dtype=np.float32)
    found = np.empty(shape, np.float32), np.empty(filters, np.float32)
    few_filters.conv2d_grad_weight(dy, x, geometry, *found)
    wide = dy.astype(np.float64), x.astype(np.float64)
    return found, reference.conv2d_grad_weight(*wide, shape, padding=padding)


@pytest.mark.parametrize("filters", range(1, LANES))
@pytest.mark.parametrize("kernel", [(5, 5), (3, 3)])
def test_any_number_of_filters(filters, kernel):
    found, expected = gradients((9, 11, 1, filters), kernel, 0)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [
        ((5, 5, 1, 2), (5, 5), 0),  # one result
        ((5, 6, 3, 3), (5, 5), 2),
        ((6, 5, 4, 3), (7, 5), (3, 1)),  # more rows than fit the registers
        ((4, 9, 2, 3), (1, 3), (0, 1)),
        ((3, 8, 2, 1), (2, 3), ((1, 0), (0, 2))),
    ],
)
def test_other_geometry(size, kernel, padding):
    found, expected = gradients(size, kernel, padding)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_slice_of_channels_and_any_number_of_threads():
    rng, results = np.random.default_rng(2), []
    x = rng.standard_normal((8, 12, 12, 5), dtype=np.float32)[..., 1:3]
    dy = rng.standard_normal((8, 10, 10, 7), dtype=np.float32)[..., 2:5]
    before = minicnn.get_num_threads()
    try:
        for threads in range(1, before + 1):
            minicnn.set_num_threads(threads)
            results.append(F.conv2d_grad_weight(dy, x, (3, 3, 2, 3)))
    finally:
        minicnn.set_num_threads(before)
    expected = reference.conv2d_grad_weight(dy, x, (3, 3, 2, 3))
    for result in results:
        for a, b in zip(result, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_others_are_left_to_other_kernels():
    plain = window((9, 9), (5, 5), 1, 0, 1)
    assert not few_filters.supports(plain, 1, LANES, 1)
    assert not few_filters.supports(plain, 1, 2, 2)
    assert not few_filters.supports(plain, few_filters.MOST_CHANNELS + 1, 2, 1)
    assert not few_filters.supports(window((9, 9), (5, 5), 2, 0, 1), 1, 2, 1)
    assert not few_filters.supports(window((9, 9), (5, 5), 1, 0, 2), 1, 2, 1)
    assert not few_filters.supports(window((9, 9), (5, 4), 1, 0, 1), 1, 2, 1)
    assert not few_filters.supports(window((1024, 1024), (5, 5), 1, 0, 1), 1, 2, 1)
