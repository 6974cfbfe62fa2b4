"""Resizing, against Pillow: one axis at a time, since the order of the two is its own affair."""

import numpy as np
import pytest
from PIL import Image

from minicnn.kernels.cpu.resize import needed, resize

FILTERS = {"area": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def by_pillow(pixels, size, interpolation, box):
    height, _, channels = pixels.shape
    left, top, right, bottom = box
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    image = image.resize((size[1], height), FILTERS[interpolation], (left, 0, right, height))
    image = image.resize(size[::-1], FILTERS[interpolation], (0, top, size[1], bottom))
    return np.asarray(image).reshape(*size, channels)


def random_case(generator):
    """Pixels, a size, and a box that is at times the whole, at times less than a pixel."""
    height, width = generator.integers(1, generator.choice([4, 50, 300]), 2)
    pixels = generator.integers(0, 256, (height, width, generator.choice([1, 3])), np.uint8)
    if generator.random() < 0.3:
        pixels = np.where(pixels < 128, 0, 255).astype(np.uint8)  # bicubic overshoots
    box = (0.0, 0.0, float(width), float(height))
    if generator.random() < 0.7:
        (left, right), (top, bottom) = (
            np.sort(generator.uniform(0, side, 2)).astype(np.float32) for side in (width, height)
        )
        box = (float(left), float(top), float(right), float(bottom))
    return pixels, tuple(map(int, generator.integers(1, 70, 2))), box


@pytest.mark.parametrize("interpolation", FILTERS)
def test_resize_is_pillows_to_the_last_bit(interpolation):
    generator, cases = np.random.default_rng(0), 0
    while cases < 100:
        pixels, size, box = random_case(generator)
        if box[2] - box[0] < 0.01 or box[3] - box[1] < 0.01:
            continue  # Pillow refuses an empty box
        cases += 1
        expected = by_pillow(pixels, size, interpolation, box)
        what = f"{pixels.shape} {box} to {size}"
        found = resize(pixels, size, interpolation, box)
        np.testing.assert_array_equal(found, expected, what)
        mirrored = resize(pixels, size, interpolation, box, mirrored=True)
        np.testing.assert_array_equal(mirrored, expected[:, ::-1], what)
        left, top, right, bottom = needed(box, size, interpolation, pixels.shape[:2])
        part = pixels[top:bottom, left:right]  # rows of a larger array
        found = resize(part, size, interpolation, box, corner=(top, left), whole=pixels.shape[:2])
        np.testing.assert_array_equal(found, expected, what)


def test_strided_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for view in (pixels[:, ::2], pixels[::-1], pixels[..., ::-1], pixels[..., :1]):
        found = resize(view, (20, 30))
        np.testing.assert_array_equal(found, resize(np.ascontiguousarray(view), (20, 30)))


def test_a_whole_image_at_its_own_size_is_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (33, 21, 3), np.uint8)
    for interpolation in FILTERS:
        np.testing.assert_array_equal(resize(pixels, (33, 21), interpolation), pixels)
