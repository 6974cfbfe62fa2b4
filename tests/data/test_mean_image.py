"""The mean of a training set, per pixel and per channel, in Preprocess and in checkpoints."""

import numpy as np
import pytest

import minicnn
from minicnn import models, training
from minicnn.data import Dataset, Preprocess
from minicnn.data.augment import NORMALIZE, Pipeline, RandomCropFlip
from minicnn.data.mean_image import MeanImage, mean_of
from minicnn.errors import DataError


def pixels(*shape, seed=7):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_the_mean_of_a_set():
    images = pixels(600, 5, 4, 3)
    found = mean_of(images)
    np.testing.assert_allclose(found.values, images.mean(axis=0) / 255, rtol=1e-5)
    np.testing.assert_allclose(found.channel_means, images.mean(axis=(0, 1, 2)) / 255, rtol=1e-5)
    with pytest.raises(DataError, match="float32 images cannot be subtracted"):
        mean_of(images.astype(np.float32))


def test_a_large_set_is_sampled_from_end_to_end():
    images = np.repeat(np.arange(200, dtype=np.uint8), 200).reshape(-1, 1, 1, 1)
    assert 255 * mean_of(images).values.item() == pytest.approx(99.5, abs=0.1)


def test_per_pixel_and_per_channel():
    images = pixels(30, 8, 8, 3)
    for mean, expected in (
        ("per pixel", images.mean(axis=0)),
        ("per channel", images.mean(axis=(0, 1, 2))),
    ):
        preprocess = Preprocess((8, 8), 3, mean=mean, std=1 / 255).for_data(images)
        np.testing.assert_allclose(preprocess(images), images - expected, atol=1e-3)
        assert preprocess.for_data(images) is preprocess


def test_the_frame_of_a_small_image_is_black():
    images = pixels(30, 4, 5, 1)
    preprocess = Preprocess((6, 8), std=1 / 255, mean="per pixel").for_data(images)
    expected = np.pad(images - images.mean(axis=0), ((0, 0), (1, 1), (1, 2), (0, 0)))
    np.testing.assert_allclose(preprocess(images), expected, atol=1e-3)


def test_a_window_loses_the_mean_of_its_own_place():
    """As in the code of Krizhevsky et al. 2012, where the mean is subtracted before the crop."""
    images = np.repeat(pixels(1, 9, 9, 3), 40, axis=0)
    preprocess = Preprocess((6, 6), 3, std=1 / 255, mean="per pixel", crop=True).for_data(images)
    labels, generator = np.zeros(40, np.int64), np.random.default_rng(0)
    crop = RandomCropFlip(6)
    x, _ = Pipeline(NORMALIZE, crop).batch(images, labels, preprocess, generator, 1)
    np.testing.assert_allclose(x, 0, atol=1e-4)
    x, _ = Pipeline(crop).batch(images, labels, preprocess, generator, 1)
    assert abs(x).max() > 50  # the mean of the center, wherever the window is
    np.testing.assert_allclose(preprocess(images), 0, atol=1e-4)


def test_another_input_size_has_the_channels_means():
    mean = mean_of(pixels(5, 8, 8, 3))
    other = Preprocess((8, 8), 3, mean=mean).for_input((16, 16, 3))
    assert other.mean == mean.channel_means
    gray = Preprocess((8, 8), 3, mean=mean).for_input((8, 8, 1))
    assert gray.mean == pytest.approx(np.mean(mean.channel_means))
    assert Preprocess((8, 8), 3, mean="per pixel").for_input((4, 4, 1)).mean == "per pixel"


def test_a_mean_that_does_not_fit():
    images = pixels(2, 8, 8, 3)
    with pytest.raises(DataError, match="'per pixel' is not computed yet"):
        Preprocess((8, 8), 3, mean="per pixel")(images)
    with pytest.raises(ValueError, match="mean='per image': expected numbers, per channel or"):
        Preprocess((8, 8), 3, mean="per image")
    small = MeanImage(np.zeros((4, 8, 3)))
    with pytest.raises(DataError, match="the mean image has 4x8 pixels, and the images have 8x8"):
        Preprocess((8, 8), 3, mean=small)(images)


def test_a_run_computes_it_and_its_checkpoint_holds_it(tmp_path):
    images = pixels(40, 28, 28, 1)
    preprocess = Preprocess((32, 32), mean="per pixel", image_size=(28, 28))
    model = models.create("lenet5", seed=0)
    data = Dataset(images, np.arange(40) % 10)
    training.fit(model, data, epochs=1, preprocess=preprocess, progress=False)
    minicnn.save(model, tmp_path / "model.safetensors")
    loaded = minicnn.load(tmp_path / "model.safetensors")
    assert loaded.preprocess == model.preprocess == preprocess.for_data(images)
    assert loaded.preprocess.mean == mean_of(images)
    assert hash(loaded.preprocess) == hash(model.preprocess)
    assert "MeanImage(28x28x1, gray levels 12" in repr(loaded.preprocess)
