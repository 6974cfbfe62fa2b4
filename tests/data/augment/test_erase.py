"""What is hidden is a rectangle of the stated size and place."""

import numpy as np
import pytest

from minicnn.data.augment import Cutout, RandomErasing
from minicnn.errors import DataError


def generator(seed=0):
    return np.random.default_rng(seed)


def box(mask):
    """The rectangle (top, bottom, left, right) that a bool array `(H, W)` marks, and only that."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    found = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    assert mask.sum() == (found[1] - found[0]) * (found[3] - found[2])
    return tuple(map(int, found))


def test_cutout_squares_have_their_centers_anywhere():
    images = np.ones((4000, 7, 6, 3), np.uint8)
    out = Cutout(4)(images, generator())
    assert set(np.unique(out)) == {0, 1}
    assert images.all()
    found = {box(image[..., 0] == 0) for image in out}
    expected = {
        (max(0, y - 2), min(7, y + 2), max(0, x - 2), min(6, x + 2))
        for y in range(7)
        for x in range(6)
    }
    assert found == expected


def test_cutout_of_one_pixel_and_of_the_whole_image():
    images = np.ones((50, 5, 5, 1), np.float32)
    assert (Cutout(1)(images, generator()).sum(axis=(1, 2, 3)) == 24).all()
    assert (Cutout(20, fill=-3)(images, generator()) == -3).all()


@pytest.mark.parametrize("log_aspect", [False, True])
def test_erased_rectangles_have_the_stated_areas_and_aspects(log_aspect):
    h, w = 60, 80
    images = np.ones((3000, h, w, 1), np.float32)
    step = RandomErasing(1.0, log_aspect=log_aspect, fill=0)
    boxes = [box(image[..., 0] == 0) for image in step(images, generator())]
    sizes = np.array([(b - t, r - x) for t, b, x, r in filter(None, boxes)])
    assert len(sizes) > 2990
    areas, aspects = sizes.prod(axis=1) / (h * w), sizes[:, 0] / sizes[:, 1]
    assert 0.018 < areas.min() < 0.03
    assert 0.38 < areas.max() < 0.41
    assert abs(areas.mean() - 0.21) < 0.03  # large ones are redrawn more often
    assert 0.27 < aspects.min() < 0.36
    tall = (aspects > 1).mean()
    assert abs(tall - (0.5 if log_aspect else (1 / 0.3 - 1) / (1 / 0.3 - 0.3))) < 0.06
    places = np.array([b[:4] for b in filter(None, boxes)])
    assert places[:, 0].min() == places[:, 2].min() == 0
    assert places[:, 1].max() == h
    assert places[:, 3].max() == w


def test_erasing_happens_with_its_probability_and_fill():
    images = np.full((2000, 16, 16, 3), 7, np.uint8)
    out = RandomErasing(0.3, fill=0)(images, generator())
    assert set(np.unique(out)) == {0, 7}
    assert 0.25 < (out == 0).any(axis=(1, 2, 3)).mean() < 0.35
    noisy = RandomErasing(1.0)(np.full((500, 16, 16, 3), 7, np.uint8), generator())
    erased = noisy[noisy != 7]
    assert abs(erased.mean() - 127.5) < 2
    assert erased.min() == 0
    assert erased.max() == 255


def test_an_image_with_no_room_stays_whole():
    images = np.ones((20, 1, 1, 1), np.uint8)
    assert (RandomErasing(1.0, fill=0)(images, generator()) == 1).all()


def test_arguments_that_mean_nothing():
    with pytest.raises(ValueError, match="size=.*: expected an integer >= 1"):
        Cutout(0)
    with pytest.raises(ValueError, match="p=2: expected 0 to 1"):
        RandomErasing(2)
    with pytest.raises(
        ValueError, match="area=.*: expected two rising numbers above 0 and up to 1"
    ):
        RandomErasing(0.5, area=(0.4, 0.02))
    with pytest.raises(ValueError, match="aspect=.*: expected two rising numbers above 0$"):
        RandomErasing(0.5, aspect=0.3)
    with pytest.raises(ValueError, match=r"p=\(0, 1\): expected 0 to 1"):
        RandomErasing((0, 1))
    with pytest.raises(ValueError, match="fill=.*: expected a number or 'noise'"):
        RandomErasing(0.5, fill="mean")


@pytest.mark.parametrize("fill", [0.5, -1, 256, float("nan")])
def test_bytes_are_filled_with_what_they_can_hold(fill):
    pixels = np.full((2, 8, 8, 3), 9, np.uint8)
    for step in (Cutout(4, fill), RandomErasing(1, fill=fill)):
        with pytest.raises(DataError, match=f"an integer from 0 to 255, not {fill}"):
            step(pixels, generator())
        assert step(pixels.astype(np.float32), generator()).dtype == np.float32
