"""Colors against loops of the definition, Pillow, and the sizes that the sources state."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from minicnn.data.augment import FB_RESNET, KRIZHEVSKY, ColorJitter, Lighting
from minicnn.data.augment.color import GRAY, blend
from minicnn.errors import DataError


def pixels(*shape, seed=7):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def generator(seed=0):
    return np.random.default_rng(seed)


def jittered(image, order, alphas):
    """fb.resnet.torch's ColorJitter of one image, float64 `(H, W, 3)`, step by step."""
    for kind in order:
        gray = (image @ [0.299, 0.587, 0.114])[..., None]
        other = (0.0, gray.mean(), gray)[kind]
        image = alphas[kind] * image + (1 - alphas[kind]) * other
    return image


def test_jitter_is_the_sequence_of_blends():
    """The draws are repeated here, so that each image can be computed on its own."""
    images = pixels(9, 8, 6, 3).astype(np.float32)
    step = ColorJitter(0.4, 0.3, 0.2)
    out = step(images, generator(3))
    draws = generator(3)
    alphas = 1 + draws.uniform(-1, 1, (3, 9)) * np.array([[0.4], [0.3], [0.2]])
    orders = draws.permuted(np.tile([0, 1, 2], (9, 1)), axis=1)
    assert len({tuple(order) for order in orders}) > 3
    for i in range(9):
        expected = jittered(images[i].astype(np.float64), orders[i], alphas[:, i])
        np.testing.assert_allclose(out[i], expected, atol=2e-3)
    as_bytes = step(images.astype(np.uint8), generator(3))
    assert as_bytes.dtype == np.uint8
    np.testing.assert_array_equal(as_bytes, np.clip(np.rint(out), 0, 255))


@pytest.mark.parametrize(
    ("kind", "enhance"),
    [(0, ImageEnhance.Brightness), (1, ImageEnhance.Contrast), (2, ImageEnhance.Color)],
)
@pytest.mark.parametrize("alpha", [0.6, 0.95, 1.4])
def test_blends_are_pillows(kind, enhance, alpha):
    """But for rounding: Pillow truncates, and its gray image and mean gray are whole levels."""
    image = pixels(12, 11, 3)
    expected = np.asarray(enhance(Image.fromarray(image)).enhance(alpha), np.float64)
    means = image.mean(axis=(0, 1))[None]
    matrices, offsets = blend(np.array([kind]), np.array([alpha]), means)
    found = np.clip(image @ matrices[0].T + offsets[0], 0, 255)
    assert abs(found - expected).max() <= 1.25


def test_factors_lie_within_their_range():
    images = np.full((4000, 1, 1, 3), 100, np.float32)
    found = ColorJitter(brightness=0.4)(images, generator())[:, 0, 0, 0] / 100
    assert 0.6 <= found.min() < 0.61
    assert 1.39 < found.max() <= 1.4
    assert abs(found.mean() - 1) < 0.02


def test_a_jitter_of_nothing_changes_nothing():
    images = pixels(3, 4, 5, 3)
    np.testing.assert_array_equal(ColorJitter()(images, generator()), images)


@pytest.mark.parametrize(
    ("components", "levels"),
    [(KRIZHEVSKY, (12.18, 3.709, 1.972)), (FB_RESNET, (5.546, 0.4794, 0.1148))],
)
def test_lighting_shifts_by_the_gray_levels_of_its_source(components, levels):
    """The standard deviation of the shift along each component, for std=0.1."""
    images = np.full((20_000, 1, 1, 3), 100, np.float32)
    shifts = (Lighting(0.1, components)(images, generator()) - 100)[:, 0, 0].astype(np.float64)
    along = (shifts @ np.array(components.vectors)).std(axis=0)
    np.testing.assert_allclose(along, levels, rtol=0.02)


@pytest.mark.parametrize("components", [KRIZHEVSKY, FB_RESNET])
def test_components_are_orthonormal(components):
    vectors = np.array(components.vectors)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=5e-4)
    # The first one is brightness: all three colors in one direction.
    assert abs(vectors[:, 0].mean()) > 0.57


def test_a_shift_is_the_same_for_all_pixels():
    images = pixels(5, 300, 301, 3).astype(np.float32)  # more than a chunk
    shifts = Lighting(0.1, KRIZHEVSKY)(images, generator()) - images
    assert np.ptp(shifts, axis=(1, 2)).max() < 1e-4
    assert np.ptp(shifts[:, 0, 0, 0]) > 1
    dark = Lighting(0.1, KRIZHEVSKY)(np.zeros((50, 2, 2, 3), np.uint8), generator())
    assert dark.max() < 100  # clipped, not wrapped around


def test_gray_images():
    """A gray image is its own gray; brightness and contrast are those of its pixels."""
    images = pixels(6, 5, 4, 1)
    step = ColorJitter(brightness=0.4, contrast=0.4)
    found = step(images.astype(np.float32), generator(1))
    color = step(np.repeat(images, 3, axis=3).astype(np.float32), generator(1))
    np.testing.assert_allclose(np.repeat(found, 3, axis=3), color, atol=1e-3)
    assert GRAY.sum() == pytest.approx(1)
    with pytest.raises(DataError, match=r"saturation=0.4\): gray images have no saturation"):
        ColorJitter(saturation=0.4)(images, generator())
    with pytest.raises(DataError, match=r"Lighting\(.*KRIZHEVSKY\): the images are gray"):
        Lighting(0.1, KRIZHEVSKY)(images, generator())
    with pytest.raises(DataError, match="the images have 2 channels; expected 1 .* or 3"):
        step(pixels(1, 4, 4, 2), generator())


def test_arguments_that_mean_nothing():
    with pytest.raises(ValueError, match="contrast=.*: expected a number from 0 to 1"):
        ColorJitter(contrast=1.5)
    with pytest.raises(ValueError, match="brightness=.*: expected a number from 0 to 1"):
        ColorJitter(brightness=(0.5, 1.5))  # torchvision's form
    for std in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="std=.*: expected a number >= 0"):
            Lighting(std, KRIZHEVSKY)
    with pytest.raises(ValueError, match="expected KRIZHEVSKY, FB_RESNET or"):
        Lighting(0.1, None)
