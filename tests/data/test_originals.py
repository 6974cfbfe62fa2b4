"""Windows of files: equal to those of the decoded image, kept or not, reduced or not."""

import io

import numpy as np
import pytest
from PIL import Image

from minicnn.data import CenterCrop, Decode, RandomResizedCrop
from minicnn.data.originals import Originals
from minicnn.data.pixels import opened
from minicnn.errors import DataError


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8))
SMOOTH = NOISE.resize((8, 6)).resize((700, 500), Image.Resampling.BICUBIC)
RULE, DECODE = RandomResizedCrop(20), Decode((8, 8))


def windows(contents, limit=1 << 20, rule=RULE, decode=DECODE, n=6, reads=None):
    originals = Originals(decode, limit)

    def read():
        if reads is not None:
            reads.append(1)
        return contents

    found = [originals.window("a", read, rule, np.random.default_rng(i)) for i in range(n)]
    return np.stack(found)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK"])
def test_a_file_gives_the_windows_of_its_pixels(mode):
    image = NOISE.convert(mode)
    contents = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    pixels = np.asarray(image.convert("RGB"))[None]
    draws = [np.random.default_rng(i) for i in range(6)]
    expected = [RULE.draw((40, 56), g).cut(Image.fromarray(pixels[0]), (40, 56)) for g in draws]
    np.testing.assert_array_equal(windows(contents), expected)
    gray = windows(contents, decode=Decode((8, 8), channels=1))
    assert gray.shape == (6, 20, 20, 1)


def test_large_jpegs_are_decoded_small_and_look_the_same():
    small = windows(encoded(SMOOTH, "JPEG", quality=95))
    exact = windows(encoded(SMOOTH, "PNG"))
    assert abs(small.astype(int) - exact).mean() < 2
    assert (small != exact).any()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_kept_changes_no_pixel_and_is_decoded_once(kind):
    contents, rule, kept, again = encoded(SMOOTH, kind), RandomResizedCrop(100), [], []
    once = windows(contents, rule=rule, reads=kept, limit=2 << 20, n=40)
    np.testing.assert_array_equal(once, windows(contents, 0, rule, reads=again, n=40))
    assert len(again) == 40
    assert len(kept) == (1 if kind == "PNG" else 3)  # at 1, 1/2 and 1/4 of its size


def test_no_more_is_kept_than_the_limit():
    contents = encoded(NOISE, "PNG")
    originals = Originals(Decode((8, 8)), limit=2 * 40 * 56 * 3)
    for name in "abcd":
        originals.window(name, lambda: contents, RULE, np.random.default_rng(0))
    assert originals.nbytes == originals.limit
    assert sorted(originals._kept) == ["a", "b"]


def test_photographs_are_turned_upright_unless_told_otherwise():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    halves = np.zeros((400, 800, 3), np.uint8)
    halves[:, :400] = 255
    contents = encoded(Image.fromarray(halves), "JPEG", exif=exif, quality=95)
    whole = CenterCrop((80, 40), 80)
    upright = windows(contents, rule=whole, n=2)  # decoded, and kept
    assert upright[:, :30].min() > 200 and upright[:, 50:].max() < 50
    lying = windows(contents, rule=CenterCrop(40, 40), decode=Decode((8, 8), orient=False), n=1)
    assert lying[0, :, :15].min() > 200 and lying[0, :, 25:].max() < 50


def test_a_tiff_is_opened_upright():
    """Pillow turns it while it opens it, so that width and height need not be exchanged."""
    exif = Image.Exif()
    exif[0x0112] = 6
    contents = encoded(NOISE, "TIFF", exif=exif)
    upright = NOISE.transpose(Image.Transpose.ROTATE_270)
    found = windows(contents, rule=CenterCrop(40, 40), n=1)
    np.testing.assert_array_equal(found[0], np.asarray(upright)[8:48])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_any_file_is_left_as_it_lies_if_asked(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    contents, decode = encoded(NOISE, kind, exif=exif), Decode((8, 8), orient=False)
    with opened("a", contents) as file:
        assert decode.original_size(file) == (40, 56)
        np.testing.assert_array_equal(np.asarray(decode.original(file)), np.asarray(NOISE))


def test_errors_name_the_file():
    for contents in (b"", b"hello", encoded(SMOOTH, "JPEG")[:2000]):
        with pytest.raises(DataError, match="^a: it cannot be read as an image: "):
            windows(contents)


def test_an_image_that_two_threads_decode_is_counted_once():
    originals, contents = Originals(DECODE, 1 << 20), encoded(NOISE, "PNG")
    second = []

    def read():  # meanwhile another thread decodes the same image
        if not second:
            second.append(1)
            originals.window("a", lambda: contents, RULE, np.random.default_rng(0))
        return contents

    originals.window("a", read, RULE, np.random.default_rng(0))
    assert originals.nbytes == 40 * 56 * 3
