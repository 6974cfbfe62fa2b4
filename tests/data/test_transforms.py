"""Normalization, padding and cropping of images."""

import warnings

import numpy as np
import pytest

from minicnn.data import Preprocess
from minicnn.data.mean_image import MeanImage
from minicnn.errors import DataError


def test_preprocess():
    images = np.full((2, 28, 28, 1), 255, np.uint8)
    images[0, 0, 0] = 0
    out = Preprocess(size=(32, 32), mean=0.1307, std=0.3081)(images)
    assert out.shape == (2, 32, 32, 1)
    assert out.dtype == np.float32
    background, white = (0 - 0.1307) / 0.3081, (1 - 0.1307) / 0.3081
    np.testing.assert_allclose(
        out[0, [0, 1, 2, 2, 31], [0, 2, 2, 3, 31], 0],
        [background, background, background, white, background],
        rtol=1e-5,
    )
    color = Preprocess(size=(28, 28), channels=3, mean=(0.1, 0.2, 0.3), std=(1, 2, 4))(images)
    np.testing.assert_allclose(color[1, 5, 5], [0.9, 0.4, 0.175], rtol=1e-5)


def test_preprocess_refuses():
    preprocess = Preprocess(size=(28, 28))
    with pytest.raises(
        DataError, match="the images are 32x32 pixels; the network reads at most 28x28"
    ):
        preprocess(np.zeros((1, 32, 32, 1), np.uint8))
    with pytest.raises(DataError, match="the images have 3 channels; the network reads 1"):
        preprocess(np.zeros((1, 28, 28, 3), np.uint8))
    with pytest.raises(DataError, match="normalized images must be 28x28x1"):
        preprocess(np.zeros((1, 20, 28, 1), np.float32))
    with pytest.raises(DataError, match="the images are uint16; expected uint8"):
        preprocess(np.zeros((1, 28, 28, 1), np.uint16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 28}, r"^size=28: expected \(H, W\) in pixels"),
        ({"image_size": (28, 2.5)}, r"image_size=\(28, 2.5\): expected \(H, W\)"),
        ({"mean": float("nan")}, "mean=nan: expected finite numbers"),
        ({"mean": None}, "mean=None: expected finite numbers"),
        ({"std": float("inf")}, "std=inf: expected numbers larger than 0"),
        ({"std": "a"}, "std=a: expected numbers larger than 0"),
    ],
)
def test_settings_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        Preprocess(**{"size": (28, 28)} | options)


def test_gray_levels_do_not_pass_for_normalized_images():
    levels = np.full((2, 28, 28, 1), 200, np.float32)
    with pytest.warns(UserWarning, match="values up to 200: gray levels from 0 to 255"):
        Preprocess(size=(28, 28), mean=0.1, std=0.3)(levels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Preprocess(size=(28, 28), std=1 / 255)(levels)  # Caffe's scale
        Preprocess(size=(28, 28), mean=0.1, std=0.3)(levels / 70)


@pytest.mark.parametrize("channels", [1, 3])
def test_whole_and_padded_images_are_normalized_alike(channels):
    """Padding and normalizing in NumPy, and the kernel for images that need no padding."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 7, channels), np.uint8)
    mean, std = ((0.4, 0.5, 0.6), (0.2, 0.3, 0.25)) if channels == 3 else (0.1307, 0.3081)
    whole = Preprocess((6, 7), channels, mean, std)(pixels)
    padded = Preprocess((8, 9), channels, mean, std)(pixels)
    np.testing.assert_array_equal(whole, padded[:, 1:7, 1:8])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": 0}, "std=0: expected numbers larger than 0"),
        ({"channels": 3, "std": (0.2, 0.0, 0.2)}, r"std=\(0.2, 0.0, 0.2\): expected numbers la"),
        ({"std": (0.2, 0.3, 0.4)}, "std=.*: 3 numbers; expected 1, or one for each of the 1 chan"),
        ({"channels": 3, "mean": (0.2, 0.3)}, "mean=.*: 2 numbers; expected 1, or one for each of"),
        ({"mean": MeanImage(np.zeros((4, 4, 3)))}, "mean=.*: 3 numbers; expected 1"),
    ],
)
def test_numbers_that_do_not_fit_the_channels(options, message):
    with pytest.raises(ValueError, match=message):
        Preprocess((4, 4), **options)
