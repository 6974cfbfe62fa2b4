"""Resized boxes of images."""

import numpy as np
import pytest
from PIL import Image

from minicnn.data.resize import INTERPOLATIONS, resized

BOX = (3.25, 2.5, 40.5, 30.0)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_box_that_is_mirrored(interpolation, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (31, 47, channels), np.uint8)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    found = resized(image, (12, 15), interpolation, BOX)
    assert found.shape == (12, 15, channels)
    assert found.dtype == np.uint8
    mirrored = resized(image, (12, 15), interpolation, BOX, mirrored=True)
    np.testing.assert_array_equal(mirrored, found[:, ::-1])


def test_only_the_box_and_what_the_filter_reaches_matters():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    other = pixels.copy()
    other[:80] = other[140:] = 0
    other[:, :100] = other[:, 190:] = 0
    for interpolation in INTERPOLATIONS:
        one, two = (
            resized(Image.fromarray(x), (20, 30), interpolation, (110.0, 90.0, 180.0, 130.0))
            for x in (pixels, other)
        )
        np.testing.assert_array_equal(one, two)


def test_the_whole_image_by_default():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 47), np.uint8))
    whole = resized(image, (10, 10), "bicubic", (0.0, 0.0, 47.0, 31.0))
    np.testing.assert_array_equal(resized(image, (10, 10), "bicubic"), whole)
