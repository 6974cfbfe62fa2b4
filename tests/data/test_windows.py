"""Windows: each rule against its source's formula, and against Pillow's own steps."""

import math

import numpy as np
import pytest
from PIL import Image

from minicnn.data import CenterCrop, RandomResizedCrop, ScaleJitter
from minicnn.data.windows import Window, WindowRule
from minicnn.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


class Scripted:
    """Stands in for a generator: what it draws lies at given fractions of the range."""

    def __init__(self, *fractions):
        self.fractions = list(fractions)

    def random(self):
        return self.fractions.pop(0)

    def uniform(self, low, high):
        return low + (high - low) * self.random()

    def integers(self, low, high=None):
        low, high = (0, low) if high is None else (low, high)
        return low + int((high - low) * self.random())


def sides(area, aspect):
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


HALF = (0.08 + 0.92 * 0.5) * 400 * 300
UNIFORM = 0.75 + (4 / 3 - 0.75) * 0.25
LOG = math.exp(math.log(0.75) + math.log(16 / 9) * 0.25)


@pytest.mark.parametrize(
    ("source", "draws", "expected"),
    [
        ("torchvision", (0.5, 0.25, 0.5, 0.999), sides(HALF, LOG)),
        ("googlenet", (0.5, 0.25, 0.5, 0.999), sides(HALF, UNIFORM)),
        ("fb.resnet.torch", (0.5, 0.25, 0.7, 0.5, 0.999), sides(HALF, UNIFORM)),
        ("fb.resnet.torch", (0.5, 0.25, 0.3, 0.5, 0.999), sides(HALF, UNIFORM)[::-1]),
    ],
)
def test_random_resized_crop_is_the_formula_of_its_source(source, draws, expected):
    """At the fraction 0.5 of its positions from top to bottom, and the last from left to right."""
    left, top, right, bottom = RandomResizedCrop(224, source).draw_box((300, 400), Scripted(*draws))
    w, h = expected
    assert (right - left, bottom - top) == expected
    assert (left, top) == (400 - w, (300 - h + 1) // 2)


def test_random_resized_crop_tries_again():
    """The first box would be as large as the image and not of its shape."""
    draws = Scripted(1.0, 0.0, 0.5, 0.25, 0.0, 0.0)
    box = RandomResizedCrop(224, "googlenet").draw_box((300, 400), draws)
    assert (box[2], box[3]) == sides(HALF, UNIFORM)


@pytest.mark.parametrize(
    ("source", "size", "expected"),
    [
        ("torchvision", (10, 1000), (493, 0, 506, 10)),
        ("torchvision", (1000, 12), (0, 492, 12, 508)),
        ("googlenet", (10, 1000), (493, 0, 506, 10)),
        ("fb.resnet.torch", (10, 1000), (496, 0, 506, 10)),  # ceil((500 - 5) / 2) * 2
        ("fb.resnet.torch", (1000, 10), (0, 496, 10, 506)),
    ],
)
def test_random_resized_crop_of_an_image_without_a_box(source, size, expected):
    assert RandomResizedCrop(5, source).draw_box(size, np.random.default_rng(0)) == expected


@pytest.mark.parametrize("source", ["torchvision", "googlenet", "fb.resnet.torch"])
@pytest.mark.parametrize("size", [(375, 500), (500, 375), (224, 224), (3, 2)])
def test_boxes_lie_inside_and_cover_all_areas(source, size):
    rule, generator = RandomResizedCrop(8, source), np.random.default_rng(1)
    boxes = np.array([rule.draw_box(size, generator) for _ in range(500)])
    assert boxes.min() == 0
    assert (boxes.max(axis=0)[2:] == size[::-1]).all()
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (w > 0).all() and (h > 0).all()
    if min(size) > 100:
        share = w * h / (size[0] * size[1])
        assert 0.079 < share.min() < 0.15 and 0.9 < share.max() <= 1
        assert 0.74 < (w / h).min() < 0.8 and 1.25 < (w / h).max() < 1.35


def test_interpolations():
    assert RandomResizedCrop(8, "fb.resnet.torch").interpolation == "bicubic"
    assert RandomResizedCrop(8).interpolation == "bilinear"
    late = RandomResizedCrop(8, "googlenet", interpolation=("bilinear", "area", "nearest"))
    generator = np.random.default_rng(0)
    drawn = {late.draw((30, 40), generator).interpolation for _ in range(50)}
    assert drawn == {"bilinear", "area", "nearest"}


def scaled_then_cropped(pixels, size, corner, crop):
    """What a box must be equal to, in two steps."""
    scaled = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    return scaled[corner[0] : corner[0] + crop[0], corner[1] : corner[1] + crop[1]]


def test_scale_jitter_is_scaling_and_then_a_crop():
    """The shorter side of 60 becomes 45 of 40 to 50; the offsets are half and all of the rest."""
    box = ScaleJitter((30, 32), (40, 50)).draw_box((60, 90), Scripted(0.5, 0.5, 0.999))
    pixels = Window(box, (30, 32)).cut(Image.fromarray(NOISE), (60, 90))
    expected = scaled_then_cropped(NOISE, (45, 68), (8, 36), (30, 32))
    assert abs(pixels.astype(int) - expected).max() <= 1


def test_scale_jitter_draws_all_lengths():
    rule, generator = ScaleJitter(224, (256, 258)), np.random.default_rng(0)
    heights = {
        round((b[3] - b[1]), 3) for b in (rule.draw_box((300, 400), generator) for _ in "a" * 60)
    }
    assert heights == {round(224 * 300 / s, 3) for s in (256, 257, 258)}


def test_center_crop_is_scaling_and_then_the_center():
    box = CenterCrop(33, 40).draw_box((60, 90), np.random.default_rng(0))
    pixels = Window(box, (33, 33)).cut(Image.fromarray(NOISE), (60, 90))
    expected = scaled_then_cropped(NOISE, (40, 60), (round(3.5), round(13.5)), (33, 33))
    assert abs(pixels.astype(int) - expected).max() <= 1


def test_on_images_in_memory():
    """Each image has a window of its own, which depends on no other image."""
    images = np.random.default_rng(0).integers(0, 256, (6, 40, 50, 3), np.uint8)
    rule = RandomResizedCrop((16, 24), flip=0.5)
    out = rule(images, np.random.default_rng(5))
    assert out.shape == (6, 16, 24, 3) and out.dtype == np.uint8
    np.testing.assert_array_equal(rule(images, np.random.default_rng(5)), out)
    np.testing.assert_array_equal(rule(images[:2], np.random.default_rng(5)), out[:2])
    gray = rule(images[..., :1], np.random.default_rng(5))
    np.testing.assert_array_equal(gray[..., 0], out[..., 0])
    with pytest.raises(
        DataError, match="RandomResizedCrop: the images are float32; expected uint8"
    ):
        rule(images.astype(np.float32), np.random.default_rng(5))


def test_flip_mirrors_as_often_as_it_says():
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), np.uint8)
    out = CenterCrop(8, 8, flip=0.25)(images, np.random.default_rng(0))
    mirrored = (out == images[:, :, ::-1]).all(axis=(1, 2, 3))
    straight = (out == images).all(axis=(1, 2, 3))
    assert (mirrored ^ straight).all()
    assert 30 < mirrored.sum() < 70
    assert (CenterCrop(8, 8, flip=1)(images, np.random.default_rng(0)) == images[:, :, ::-1]).all()


@pytest.mark.parametrize(
    ("box", "expected"),
    [((0, 0, 447, 900), 1), ((0, 0, 448, 448), 2), ((10, 10, 906, 2000), 4), ((0, 0, 4e3, 4e3), 8)],
)
def test_reduction_enlarges_nothing(box, expected):
    assert Window(box, (224, 224)).reduction == expected


def test_a_window_of_a_reduced_original():
    image = Image.fromarray(NOISE)
    box = (10, 20, 70, 60)
    exact = Window(box, (10, 15)).cut(image, (60, 90))
    reduced = Window(box, (10, 15)).cut(image.reduce(2), (60, 90))
    assert abs(exact.astype(int) - reduced).mean() < 8


def test_for_input():
    assert RandomResizedCrop(224).for_input((64, 64, 3)) == RandomResizedCrop(64)
    assert RandomResizedCrop(224).for_input((64, 32, 3)).output_size == (64, 32)
    assert ScaleJitter(224, (256, 512)).for_input((112, 112, 3)) == ScaleJitter(112, (128, 256))
    assert CenterCrop(224).for_input((112, 112, 3)) == CenterCrop(112, 128)
    rule = ScaleJitter(224)
    assert rule.for_input((224, 224, 3)) == rule


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RandomResizedCrop(8, "caffe"), "source='caffe': expected one of fb.resnet.torch"),
        (lambda: RandomResizedCrop(0), "size=0: expected an integer >= 1"),
        (
            lambda: CenterCrop(8, interpolation="cubic"),
            "interpolation='cubic': expected one of near",
        ),
        (lambda: CenterCrop(8, interpolation=()), "interpolation='': expected one of nearest"),
        (lambda: CenterCrop(8, flip=2), "flip=2: expected a probability, 0 to 1"),
        (lambda: CenterCrop(224, 200), "shorter=200: expected pixels that cover 224"),
        (lambda: CenterCrop(8, 10.5), "shorter=10.5: expected pixels that cover 8"),
        (lambda: ScaleJitter(8, (10, 12.5)), r"shorter=\(10, 12.5\): expected an integer >= 1"),
        (lambda: ScaleJitter(224, (200, 300)), r"shorter=\(200, 300\): expected \(least, most\)"),
        (lambda: ScaleJitter(224, (300, 256)), r"shorter=\(300, 256\): expected \(least, most\)"),
    ],
)
def test_arguments_that_mean_nothing(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_rule_of_ones_own():
    class TopLeft(WindowRule):
        def draw_box(self, size, generator):
            return 0, 0, size[1] / 2, size[0] / 2

    images = np.zeros((1, 8, 8, 3), np.uint8)
    images[:, :4, :4] = 9
    assert (TopLeft(4)(images, np.random.default_rng(0)) == 9).all()


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_images_that_pillow_would_take_for_transparent_are_not_allowed(channels):
    images = np.zeros((2, 20, 20, channels), np.uint8)
    with pytest.raises(DataError, match=f"CenterCrop: the images have {channels} channels; expect"):
        CenterCrop(8, 10)(images, np.random.default_rng(0))
