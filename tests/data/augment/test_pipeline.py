"""Augmentations in order, before and after normalization, and what the network gets."""

import numpy as np
import pytest

from minicnn.data import Dataset, Loader, Preprocess, RandomResizedCrop
from minicnn.data.augment import (
    KRIZHEVSKY,
    NORMALIZE,
    ColorJitter,
    CutMix,
    Cutout,
    ImageStep,
    Lighting,
    Mixup,
    Pipeline,
    RandomCropFlip,
    RandomErasing,
    RandomShift,
)
from minicnn.errors import DataError

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
INPUT = Preprocess(size=(12, 12), channels=3, mean=MEAN, std=STD)


def pixels(*shape, seed=7):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def generator(seed=0):
    return np.random.default_rng(seed)


def made(pipeline, images, preprocess=INPUT, classes=4):
    labels = np.arange(len(images)) % classes
    return pipeline.batch(images, labels, preprocess, generator(), classes)


def test_the_name_says_every_step():
    pipeline = Pipeline(
        RandomCropFlip(32, padding=4),
        ColorJitter(0.4, 0.4, 0.4),
        Lighting(0.1, KRIZHEVSKY),
        NORMALIZE,
        Cutout(16),
        Mixup(0.2),
    )
    assert repr(pipeline) == (
        "Pipeline(RandomCropFlip(size=32, padding=4), "
        "ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4), "
        "Lighting(std=0.1, components=KRIZHEVSKY), NORMALIZE, Cutout(size=16), Mixup(alpha=0.2))"
    )


def test_steps_follow_each_other_with_one_generator():
    images = pixels(5, 12, 12, 3)
    found = Pipeline(RandomCropFlip(12, 2), RandomShift(1))(images, generator())
    draws = generator()
    expected = RandomShift(1)(RandomCropFlip(12, 2)(images, draws), draws)
    np.testing.assert_array_equal(found, expected)
    x, labels = made(Pipeline(RandomCropFlip(12, 2), RandomShift(1)), images)
    np.testing.assert_array_equal(x, INPUT(expected))
    assert labels.dtype.kind == "i"


def test_padding_is_black_before_normalization_and_the_mean_after_it():
    white = np.full((40, 12, 12, 3), 255, np.uint8)
    crop = RandomCropFlip(12, padding=4)
    black, mean = (-np.array(MEAN) / STD).astype(np.float32), np.zeros(3, np.float32)
    for pipeline, border in ((Pipeline(crop), black), (Pipeline(NORMALIZE, crop), mean)):
        x, _ = made(pipeline, white)
        inner = ((1 - np.array(MEAN)) / STD).astype(np.float32)
        values = np.unique(x.reshape(-1, 3), axis=0)
        expected = np.unique(np.stack([border, inner]), axis=0)
        np.testing.assert_allclose(values, expected, atol=1e-6)


def test_windows_do_not_depend_on_where_normalization_is():
    images = pixels(20, 12, 12, 3)
    crop = RandomCropFlip(8)
    small = Preprocess(size=(8, 8), channels=3, mean=MEAN, std=STD, crop=True)
    before, _ = made(Pipeline(crop), images, small)
    after, _ = made(Pipeline(NORMALIZE, crop), images, small)
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_colors_are_neither_rounded_nor_clipped_on_the_way_to_the_network():
    images = pixels(30, 12, 12, 3)
    steps = ColorJitter(0.4, 0.4, 0.4), Lighting(0.1, KRIZHEVSKY)
    x, _ = made(Pipeline(*steps), images)
    levels, draws = images.astype(np.float32), generator()
    for step in steps:
        levels = step(levels, draws)
    assert levels.max() > 256
    expected = (levels / 255 - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(x, expected, atol=1e-4)
    as_bytes = Pipeline(*steps)(images, generator())
    assert as_bytes.dtype == np.uint8


def test_a_preprocess_of_ones_own_gets_bytes():
    x, _ = made(Pipeline(ColorJitter(0.4)), pixels(3, 4, 4, 3), lambda images: images / 2)
    np.testing.assert_array_equal(x * 2, np.rint(x * 2))
    x, _ = made(Pipeline(ColorJitter(0.4)), pixels(3, 4, 4, 3), None)
    assert x.dtype == np.uint8


def test_images_that_are_mixed_have_soft_targets():
    images = pixels(8, 12, 12, 3)
    x, targets = made(Pipeline(RandomCropFlip(12, 2), CutMix(1.0)), images)
    assert x.dtype == targets.dtype == np.float32
    assert targets.shape == (8, 4)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    draws, mixing = generator(), CutMix(1.0)
    mixture = mixing.sample(8, draws)  # first: it says which images are needed
    plain = INPUT(RandomCropFlip(12, 2)(images, draws)), np.eye(8, dtype=np.float32)
    others = tuple(array[mixture.others] for array in plain)
    np.testing.assert_array_equal(x, mixing.mixed(plain, others, mixture)[0])
    assert Pipeline(CutMix(1.0)).mixes
    assert not Pipeline(Cutout(2)).mixes


def test_the_loader_gives_what_the_pipeline_makes():
    dataset = Dataset(pixels(10, 12, 12, 3), np.arange(10) % 3, ("a", "b", "c"))
    for augment in (Mixup(1.0), Pipeline(Mixup(1.0))):
        batches = list(Loader(dataset, 4, INPUT, augment, seed=2))
        assert [targets.shape for _, targets in batches] == [(4, 3), (4, 3), (2, 3)]
        x, targets = Pipeline(Mixup(1.0)).batch(
            dataset.images[4:8], dataset.labels[4:8], INPUT, np.random.default_rng([2, 0, 1]), 3
        )
        np.testing.assert_array_equal(batches[1][0], x)
        np.testing.assert_array_equal(batches[1][1], targets)


class Darken(ImageStep):
    """Divides each image by a number of its own; is_wrong: draws one for each row of pixels."""

    def __init__(self, is_wrong=False):
        self.is_wrong = is_wrong

    def __repr__(self):
        return "Darken()"

    def sample(self, n, shape, generator):
        return (generator.integers(1, 9, shape[0] if self.is_wrong else n),)

    def apply(self, images, numbers):
        return images // numbers[0][:, None, None, None].astype(np.uint8)


def test_a_step_of_ones_own_draws_for_each_image():
    images = pixels(5, 12, 12, 3)
    expected = images // generator().integers(1, 9, 5)[:, None, None, None]
    np.testing.assert_array_equal(Darken()(images, generator()), expected)
    np.testing.assert_array_equal(Pipeline(Darken())(images, generator()), expected)
    message = r"Darken\(\): sample returned arrays of 12 rows for 5 images; expected a row for each"
    with pytest.raises(DataError, match=message):
        Pipeline(Darken(is_wrong=True))(images, generator())


def test_for_input_and_for_batch_reach_the_steps():
    pipeline = Pipeline(NORMALIZE, RandomCropFlip(224), Mixup(0.2))
    assert pipeline.for_input((64, 64, 3)) == Pipeline(NORMALIZE, RandomCropFlip(64), Mixup(0.2))
    assert hash(pipeline.for_input((224, 224, 3))) == hash(pipeline)
    seen = []

    class Step:
        def for_batch(self, seed, epoch, rows):
            seen.append((seed, epoch, rows.tolist()))
            return self

        def __call__(self, images, generator):
            return images

    dataset = Dataset(pixels(5, 12, 12, 3), np.zeros(5, np.int64))
    for _ in Loader(dataset, 3, INPUT, Step(), seed=9):
        pass
    assert seen == [(9, 0, [0, 1, 2]), (9, 0, [3, 4])]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((NORMALIZE, Lighting(0.1, KRIZHEVSKY)), "is for gray levels; place it before NORMALIZE"),
        ((NORMALIZE, RandomErasing(0.5)), "is for gray levels; place it before NORMALIZE"),
        ((Mixup(0.2), Cutout(3)), r"Mixup\(alpha=0.2\) mixes images; only others that do may"),
        ((Mixup(0.2), NORMALIZE), "mixes images; only others that do may follow it"),
        ((NORMALIZE, Cutout(3), NORMALIZE), "NORMALIZE stands there 2 times"),
        ((Cutout(3), RandomResizedCrop(12)), "cuts windows of the original images; place it first"),
        ((Cutout(3), 5), r"Pipeline\(Cutout\(size=3\), 5\): 5 cannot be called"),
    ],
)
def test_orders_that_mean_nothing(steps, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(*steps)


def test_what_the_images_do_not_allow():
    normalized = np.zeros((2, 12, 12, 3), np.float32)
    with pytest.raises(DataError, match="the images are float32, which counts as normalized"):
        made(Pipeline(Lighting(0.1, KRIZHEVSKY)), normalized)
    with pytest.raises(ValueError, match="needs a preprocess: call its method batch"):
        Pipeline(NORMALIZE, Cutout(4))(pixels(1, 12, 12, 3), generator())
    x, _ = made(Pipeline(Cutout(4)), normalized + 1)  # windows and holes are for any images
    assert set(np.unique(x)) == {0, 1}


def test_noise_of_gray_levels_is_not_for_normalized_images():
    images = np.zeros((2, 12, 12, 3), np.float32)
    with pytest.raises(DataError, match=r"RandomErasing\(p=1\): the images are float32, which cou"):
        made(Pipeline(RandomErasing(1)), images)
    x, _ = made(Pipeline(RandomErasing(1, fill=0)), images + 1)
    assert set(np.unique(x)) == {0, 1}


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (lambda images, _: images + 0.5, r"float64 \(2, 12, 12, 3\)"),  # would stay 0 to 255
        (lambda images, _: images[:1], r"uint8 \(1, 12, 12, 3\)"),
        (lambda images, _: images[..., 0], r"uint8 \(2, 12, 12\)"),
        (lambda images, _: None, r"NoneType \(\)"),
    ],
)
def test_a_step_returns_as_many_images_of_the_same_type(step, found):
    with pytest.raises(DataError, match=f"it made {found} of uint8 .*; expected uint8 .2, H, W, C"):
        made(Pipeline(step), pixels(2, 12, 12, 3))
    with pytest.raises(DataError, match="expected float32"):
        made(Pipeline(NORMALIZE, lambda x, _: x.astype(np.float64)), pixels(2, 12, 12, 3))


@pytest.mark.parametrize("step", [3, "flip", RandomShift])
def test_a_step_is_a_function_and_no_class(step):
    with pytest.raises(ValueError, match=r"cannot be called as step\(images, generator\)"):
        Pipeline(step)
