"""The batch that a network reads, against NumPy."""

import numpy as np
import pytest

from minicnn.kernels.cpu.data import normalize


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 7, 3), (3, 32, 32, 3), (2, 9, 4, 1)])
@pytest.mark.parametrize("is_contiguous", [True, False])
def test_normalize_is_numpys_to_the_last_bit(shape, is_contiguous):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, shape, np.uint8)
    images = images if is_contiguous else images[:, :, ::-1]
    factor, shift = generator.random((2, shape[-1]), np.float32)
    expected = images.astype(np.float32) * factor - shift
    np.testing.assert_array_equal(normalize(images, factor, shift), expected)


def test_a_batch_that_does_not_fit_a_cache():
    images = np.random.default_rng(0).integers(0, 256, (50, 224, 224, 3), np.uint8)
    factor, shift = np.float32([0.1, 0.2, 0.3]), np.float32([1, 2, 3])
    expected = images.astype(np.float32) * factor - shift
    np.testing.assert_array_equal(normalize(images, factor, shift), expected)
