"""Pictures: what is drawn, not how it looks."""

import numpy as np
import pytest
from PIL import Image

from minicnn.data import Preprocess
from minicnn.study.look import figures

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), np.uint8)
MAPS = np.random.default_rng(1).random((3, 8, 10))
CAPTIONS = ["$a$", "b", "c\nd"]


def drawn(figure):
    """The arrays of all images in the figure."""
    return [image.get_array() for axes in figure.axes for image in axes.get_images()]


def test_visible_is_the_inverse_of_preprocessing():
    preprocess = Preprocess((8, 10), 3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    np.testing.assert_array_equal(figures.visible(preprocess(PIXELS), preprocess), PIXELS)


def test_a_row_has_the_image_the_map_and_both(tmp_path):
    figure = figures.maps(PIXELS, MAPS, CAPTIONS, title="all")
    found = [array for array in drawn(figure) if array.shape[:2] == (8, 10)]
    assert len(found) == 9
    np.testing.assert_array_equal(found[0], PIXELS[0])
    np.testing.assert_array_equal(found[1], MAPS[0])
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == CAPTIONS
    path = figures.maps(PIXELS[:1], MAPS[:1], CAPTIONS[:1], tmp_path / "a.png", signed=True)
    with Image.open(path) as picture:
        assert picture.width > 500


def test_an_overlay_shows_the_image_where_the_map_is_0():
    image = np.full((4, 4, 1), 51, np.uint8)
    found = np.zeros((4, 4))
    np.testing.assert_allclose(figures.overlaid(image, found), 0.2)
    found[1, 2] = 5
    mixed = figures.overlaid(image, found)
    assert np.ptp(mixed[1, 2]) > 0.1
    np.testing.assert_allclose(np.delete(mixed.reshape(16, 3), 6, axis=0), 0.2)
    found[3, 3] = -5
    red, _, blue = figures.overlaid(image, found, signed=True)[3, 3]
    assert blue > red
    red, _, blue = figures.overlaid(image, found, signed=True)[1, 2]
    assert red > blue


def test_a_signed_image_is_gray_at_0():
    found = np.zeros((40, 40, 3))
    np.testing.assert_array_equal(figures.signed_image(found), 0.5)
    found[0], found[1] = 2, -2
    image = figures.signed_image(found)
    assert image[0].min() == 1
    assert image[1].max() == 0
    assert (image[2:] == 0.5).all()


def test_a_box_is_framed():
    gradients = MAPS[..., None] - 0.5
    boxes = [None, (1, 2, 5, 6), (0, 0, 8, 10)]
    figure = figures.gradients(PIXELS, gradients.repeat(3, axis=3), CAPTIONS, boxes=boxes)
    lines = [line.get_xydata() for axes in figure.axes for line in axes.get_lines()]
    assert len(lines) == 2
    assert (lines[0].min(axis=0).tolist(), lines[0].max(axis=0).tolist()) == (
        [1.5, 0.5],
        [5.5, 4.5],
    )


def test_patches_of_units_with_different_counts():
    patches = [[PIXELS[0, :3, :4], PIXELS[1]], [PIXELS[2]]]
    projected = [[image / 255 - 0.5 for image in row] for row in patches]
    captions = [["7", "6"], ["5"]]
    figure = figures.patches(patches, projected, ["unit 3", "unit 9"], captions)
    assert [array.shape[:2] for array in drawn(figure)] == [(3, 4), (8, 10)] * 2 + [(8, 10)] * 2
    assert [t.get_text() for axes in figure.axes for t in axes.texts] == ["unit 3", "unit 9"]


@pytest.mark.parametrize("count", [1, 7])
def test_wrong_images(count):
    figure = figures.wrong([PIXELS[0]] * count, [f"c{i}" for i in range(count)])
    assert len(drawn(figure)) == count


def test_columns_compare_methods():
    pairs = zip(PIXELS, MAPS, strict=True)
    shown = {"image": PIXELS, "map": [figures.overlaid(*pair) for pair in pairs]}
    figure = figures.columns(shown, ["a", "b", "c"])
    assert len(drawn(figure)) == 6
    assert [a.get_title() for a in figure.axes if a.get_title()] == ["image", "map"]
    assert [t.get_text() for axes in figure.axes for t in axes.texts] == ["a", "b", "c"]


def test_long_names_are_cut_at_a_word():
    assert figures.shortened("tench") == "tench"
    name = figures.shortened("a long name of several words, and more")
    assert name == "a long name of several…"
    assert figures.shortened("x" * 50) == "x" * 23 + "…"


def test_captions_are_not_wider_than_an_image():
    text = figures.caption("n" * 40 + ".jpeg", "black and gold garden… (100.0%, score -1.28e+07)")
    assert text.splitlines()[1:] == ["black and gold garden…", "(100.0%, score", "-1.28e+07)"]
    assert all(len(line) <= figures.NAME for line in text.splitlines())
