"""Image files of every format and mode, damaged ones included."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.data import Decode
from minicnn.data.pixels import opened
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
    assert pixels.shape == (28, 28, 1)
    assert pixels.dtype == np.uint8
    assert inverted
    assert pixels[13, 11] > 200
    assert pixels[:, 20:].max() < 40
    color, inverted = data.read_image(path, (40, 60), 3)
    assert color.shape == (40, 60, 3)
    assert not inverted
    np.testing.assert_allclose(color[20, 25], 0, atol=30)
    np.testing.assert_allclose(color[20, 50], 255, atol=30)


def png(bits, color, rows, transparent):
    """A PNG of 8 pixels per row, written chunk by chunk: Pillow writes gray in 1, 8 and 16 bits."""

    def chunk(kind, contents):
        checksum = zlib.crc32(kind + contents)
        return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 8, len(rows), bits, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = (b"IHDR", header), (b"tRNS", transparent), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [0, 1, 2, "last"])
def test_the_transparent_gray_of_a_png_is_in_the_bits_of_the_file(bits, transparent):
    last = 2**bits - 1
    transparent = last if transparent == "last" else min(transparent, last)
    levels = np.array([0, 1, min(2, last), last, 0, 0, last, last])
    row = int("".join(f"{level:0{bits}b}" for level in levels), 2).to_bytes(bits, "big")
    contents = png(bits, 0, [row] * 8, struct.pack(">H", transparent))
    expected = np.where(levels == transparent, 255, levels * 255 // last)
    for channels in (1, 3):
        pixels = Decode((8, 8), channels)("x.png", contents)
        np.testing.assert_array_equal(pixels[..., 0], np.tile(expected, (8, 1)))


def test_the_transparent_color_of_a_png_of_16_bits():
    colors = np.array([(0, 0, 0), (0x1234, 0x5678, 0x9ABC)] * 4, ">u2")
    contents = png(16, 2, [colors.tobytes()] * 8, colors[1].tobytes())
    pixels = Decode((8, 8), 3)("x.png", contents)
    np.testing.assert_array_equal(pixels[0, :2], [(0, 0, 0), (255, 255, 255)])


def test_read_image_transparency_and_inversion(tmp_path):
    path = tmp_path / "t.png"
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[3:5, 3:5, 3] = 255  # opaque black on nothing
    Image.fromarray(pixels).save(path)
    gray, inverted = data.read_image(path, (8, 8), 1)
    assert inverted
    assert gray[4, 4] == 255
    assert gray[0, 0] == 0
    gray, inverted = data.read_image(path, (8, 8), 1, invert=False)
    assert not inverted
    assert gray[0, 0] == 255


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RAMP = np.linspace(0, 65535, 32 * 32).reshape(32, 32)
RED_BLUE = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]


def tiff(bits, photometric, pixels, sample_format=1):
    """A TIFF file of one channel, of the size of RAMP. photometric: 0 if 0 is white, else 1."""
    height, width = RAMP.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1}
    tags |= {278: height, 279: len(pixels.tobytes()), 339: sample_format}
    tags[273] = 8 + 2 + 12 * len(tags) + 4  # the pixels lie behind the tags
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels.tobytes()


def twelve_bits(pixels):
    """Numbers of 12 bits, two in three bytes."""
    first, second = pixels.reshape(-1, 2).T
    packed = first >> 4, (first & 15) << 4 | second >> 8, second & 255
    return np.stack(packed, axis=1).astype(np.uint8)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (encoded(Image.fromarray(RAMP.astype(np.uint16))), RAMP / 256),
        (
            encoded(Image.fromarray(RAMP.astype(np.uint16)), transparency=65535),
            np.where(RAMP == 65535, 255, RAMP / 256),
        ),
        (
            encoded(Image.fromarray(RAMP.astype(np.uint16)), transparency=0),
            np.where(RAMP == 0, 255, RAMP / 256),
        ),
        (encoded(Image.fromarray(RAMP.astype(np.int32)), "PPM"), RAMP / 256),
        (encoded(Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF"), RAMP / 257),
        (encoded(Image.fromarray((RAMP / 257).astype(np.float32)), "TIFF"), RAMP / 257),
        (tiff(16, 0, (65535 - RAMP).astype("<u2")), RAMP / 256),
        (tiff(32, 0, (1 - RAMP / 65535).astype("<f4"), sample_format=3), RAMP / 257),
        (tiff(12, 1, twelve_bits(RAMP.astype(int) >> 4)), RAMP / 256),
        (encoded(Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF"), 255),
        (encoded(Image.fromarray(RAMP > 30000)), 255 * (RAMP > 30000)),
        (encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), 255),
        (encoded(Image.new("LA", (8, 8), (0, 128))), 127),
        (encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"), 255),
        (encoded(RED_BLUE[0], "GIF", save_all=True, append_images=RED_BLUE[1:]), 76),
        (encoded(Image.new("P", (8, 8), 0), transparency=0), 255),
    ],
    ids=[
        "16",
        "16white",
        "16black",
        "16pgm",
        "unit",
        "bytes",
        "16 white is zero",
        "float white is zero",
        "12",
        "lab",
        "bit",
        "rgba",
        "la",
        "cmyk",
        "gif",
        "palette",
    ],
)
def test_every_kind_of_pixel_has_one_value(contents, expected):
    size = (32, 32) if np.ndim(expected) else (8, 8)
    gray = Decode(size, 1)("x", contents)
    assert abs(gray[..., 0] - np.asarray(expected, float)).max() <= 1.01
    color = Decode(size, 3)("x", contents)
    assert color.shape == (*size, 3)


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"), "integers of 32 bits"),
        (encoded(Image.fromarray(-RAMP.astype(np.float32)), "TIFF"), "run from -65535 to"),
        (encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"), "run from nan to"),
        (encoded(Image.fromarray(np.full((8, 8), np.inf, np.float32)), "TIFF"), "run from inf to"),
        (encoded(Image.fromarray(np.full((8, 8), 1.02, np.float32)), "TIFF"), "from 1.02 to 1.02"),
        (tiff(64, 1, RAMP.astype("<f8"), sample_format=3), "of a kind that Pillow does not read"),
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab", "a pointer of Git LFS"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "is HEIC, which is not read"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"hello", "it has no known format"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n",
            "it is EPS, a program that draws: convert it to PNG",
        ),
        (encoded(RED_BLUE[0], "JPEG")[:300], "cannot be read as an image"),
    ],
)
def test_what_has_no_value_is_refused(contents, sentence):
    with pytest.raises(DataError, match=f"^a/b.png: it cannot be read.*{sentence}|{sentence}"):
        Decode((8, 8))("a/b.png", contents)


def quadrants(height, width):
    """An image whose corners tell how it lies."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = 255
    return Image.fromarray(image)


def test_photographs_are_turned_upright_unless_told_otherwise():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    contents = encoded(quadrants(40, 80), "JPEG", exif=exif, quality=95)
    upright = Decode((80, 40))("x", contents)
    assert upright[10, 30].min() > 200
    assert upright[70, 10].max() < 50
    lying = Decode((40, 80), orient=False)("x", contents)
    assert lying[10, 10].min() > 200


def test_cover_keeps_the_center_and_inside_keeps_everything():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255
    contents = encoded(Image.fromarray(wide))
    assert Decode((10, 10))("x", contents).min() == 255
    inside = Decode((20, 20), fit="inside")("x", contents)
    assert inside[10, 10].min() == 255
    assert inside[10, 2].max() == 0
    assert inside[2].max() == inside[-2].max() == 0
    small = encoded(Image.new("L", (4, 4), 200))
    for fit in ("cover", "inside"):  # smaller images are enlarged
        assert Decode((16, 16), 1, fit)("x", small).min() == 200


def test_every_size_is_covered():
    """Rounding must not move the kept part out of the image."""
    for side in range(1, 130):
        contents = encoded(Image.new("RGB", (side, 94), (9, 8, 7)))
        for size in (23, 24):
            assert (Decode((size, size))("x", contents) == (9, 8, 7)).all()


def test_a_panorama_takes_no_memory_for_what_is_cut_away():
    """Scaled to cover 64 x 64, this line of pixels would have 13 million columns."""
    contents = encoded(Image.new("RGB", (200_000, 1), (9, 8, 7)))
    tracemalloc.start()
    pixels = Decode((64, 64))("x", contents)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert (pixels == (9, 8, 7)).all()


def test_large_jpegs_are_decoded_small_and_look_the_same():
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), np.uint8))
    large = coarse.resize((1600, 1200), Image.Resampling.BICUBIC)
    small = Decode((60, 80))("x", encoded(large, "JPEG", quality=95))
    exact = Decode((60, 80))("x", encoded(large))
    assert abs(small.astype(int) - exact).mean() < 2


def test_light_on_dark_looks_at_the_border_of_gray_images():
    ink = np.full((28, 28), 250, np.uint8)
    ink[10:18, 12:16] = 5
    scan, inverse = encoded(Image.fromarray(ink)), encoded(Image.fromarray(255 - ink))
    decode = Decode((28, 28), 1, light_on_dark=True)
    np.testing.assert_array_equal(decode("x", scan), decode("x", inverse))
    assert Decode((28, 28), 3, light_on_dark=True)("x", scan)[0, 0, 0] == 250


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((8, 8), 2), "channels=2"),
        (((8, 8), 3, "stretch"), "fit='stretch': expected one of cover, inside"),
        (((0, 8),), "size="),
    ],
)
def test_decode_refuses_arguments_that_mean_nothing(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Decode(*arguments)


def test_read_image_refuses(tmp_path):
    with pytest.raises(DataError, match=r"missing\.png: there is no such file"):
        data.read_image(tmp_path / "missing.png", (28, 28), 1)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match=r"text\.png: it cannot be read as an image"):
        data.read_image(tmp_path / "text.png", (28, 28), 1)
    with pytest.raises(DataError, match="it cannot be read: Is a directory"):
        data.read_image(tmp_path, (28, 28), 1)


def test_an_image_that_memory_does_not_hold():
    with (
        pytest.raises(DataError, match=r"big\.png: there is not enough memory to decode"),
        opened("big.png", encoded(Image.new("L", (2, 2)))),
    ):
        raise MemoryError


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


def test_a_gif_whose_first_frame_does_not_cover_it():
    """As in browsers, nothing is there; Pillow has the first color of the palette."""
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    contents = bytearray(encoded(image, "GIF"))
    place = contents.index(b"\x2c\0\0\0\0") + 1
    contents[6:10] = b"\x08\0\x06\0"  # the size of the screen, (8, 6)
    contents[place : place + 4] = b"\x02\0\x01\0"  # the place of the frame
    expected = np.full((6, 8, 3), 255)
    expected[1:5, 2:6] = 0, 0, 255
    np.testing.assert_array_equal(Decode((6, 8))("x", bytes(contents)), expected)


@pytest.mark.parametrize("alpha", [0, 128])
def test_a_bmp_whose_fourth_byte_is_0(alpha):
    """It is opaque, as in browsers; with any other value it is transparency."""
    pixels = np.full((2, 2, 4), (30, 20, 10, 0), np.uint8)  # B, G, R, A
    pixels[0, 0, 3] = alpha
    header = struct.pack("<IiiHHIIiiII", 108, 2, 2, 1, 32, 3, 16, 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    contents = b"BM" + struct.pack("<IHHI", 138, 0, 0, 122) + header + pixels.tobytes()
    found = Decode((2, 2))("x", contents)
    assert found[0, 0].tolist() == ([255, 255, 255] if alpha else [10, 20, 30])
