"""Image files of every format and mode, damaged ones included."""

import io

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.errors import DataError

from ..damage import CASES, damage, outcomes


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "I;16", "CMYK"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "webp"])
def test_read_image_modes(tmp_path, mode, suffix):
    """A dark bar on white, in every mode of the format, becomes a bright bar on black."""
    page = np.full((40, 60), 255, np.uint8)
    page[10:30, 20:30] = 0
    image = Image.fromarray(page)
    image = Image.fromarray(page.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    path = tmp_path / f"page.{suffix}"
    try:
        image.save(path)
    except (OSError, ValueError, KeyError):
        return  # the format cannot hold this mode
    pixels, inverted = data.read_image(path, (28, 28), 1)
    assert pixels.shape == (19, 28, 1)
    assert pixels.dtype == np.uint8
    assert inverted
    assert pixels[9, 11] > 200
    assert pixels[:, 20:].max() < 40
    color, inverted = data.read_image(path, (100, 100), 3)
    assert color.shape == (40, 60, 3)
    assert not inverted


def test_read_image_transparency_and_inversion(tmp_path):
    path = tmp_path / "t.png"
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[3:5, 3:5, 3] = 255  # opaque black on nothing
    Image.fromarray(pixels).save(path)
    gray, inverted = data.read_image(path, (28, 28), 1)
    assert inverted
    assert gray[4, 4] == 255
    assert gray[0, 0] == 0
    gray, inverted = data.read_image(path, (28, 28), 1, invert=False)
    assert not inverted
    assert gray[0, 0] == 255


def test_read_image_refuses(tmp_path):
    with pytest.raises(DataError, match=r"missing\.png: there is no such file"):
        data.read_image(tmp_path / "missing.png", (28, 28), 1)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match=r"text\.png: it cannot be read as an image"):
        data.read_image(tmp_path / "text.png", (28, 28), 1)
    with pytest.raises(DataError, match="it cannot be read as an image"):
        data.read_image(tmp_path, (28, 28), 1)


def test_png(tmp_path):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (30, 30), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")

    def read(path):
        return [data.read_image(path, (30, 30), 1, invert=False)[0][..., 0]]

    assert (
        outcomes(tmp_path / "image.png", buffer.getvalue(), read, [pixels], DataError) > 0.9 * CASES
    )


def test_jpeg_never_gives_a_traceback(tmp_path):
    """JPEG has no checksum: a flipped bit gives an image of the same size, or one sentence."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 30), np.uint8)).save(
        buffer, "JPEG"
    )
    generator = np.random.default_rng(2)
    path = tmp_path / "image.jpg"
    refused = 0
    for _ in range(CASES):
        path.write_bytes(damage(buffer.getvalue(), generator))
        try:
            pixels, _ = data.read_image(path, (30, 30), 1)
        except DataError as refusal:
            refused += 1
            assert "image.jpg: it cannot be read as an image" in str(refusal)
        else:
            assert pixels.dtype == np.uint8
            assert max(pixels.shape) <= 30
    assert refused > CASES / 4
