"""From an image file to pixels: the one way that training, evaluation and prediction share."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..checks import is_one_of, is_whole
from ..errors import DataError, brief
from .resize import resized

FITS = ("cover", "inside")
SIXTEEN_BITS = ("PNG", "PPM")  # formats whose 16 bits Pillow may keep in integers of 32


@dataclass(frozen=True)
class Decode:
    """How image files become uint8 pixels `(H, W, channels)`.

    size: (H, W).
    channels: 1 (gray) or 3 (RGB); files of either kind become what is asked for.
    fit: "cover" scales an image until it covers `size` and keeps the center; "inside" scales it
        until it lies inside, and leaves the rest black. Both keep its proportions.
    orient: turn photographs upright, as their EXIF tag says. ImageNet's benchmarks do not.
    light_on_dark: invert gray images whose border is bright, as scans of ink on paper are, so that
        they look like MNIST.

    Whatever the file holds has one value: transparency is laid over white, 16 (or 12) bits per
    pixel become the upper 8, floating-point pixels are read as 0 to 1 (or 0 to 255, if one is 2 or
    more), palettes, CMYK and Lab become RGB, and of several frames the first is taken. A BMP that
    is all transparent is opaque.
    Raises ValueError for arguments that mean nothing.
    """

    size: tuple[int, int]
    channels: int = 3
    fit: str = "cover"
    orient: bool = True
    light_on_dark: bool = False

    def __post_init__(self) -> None:
        if not is_one_of(self.fit, FITS):
            raise ValueError(f"fit={brief(self.fit)}: expected one of {', '.join(FITS)}")
        if not is_whole(self.channels) or self.channels not in (1, 3):
            raise ValueError(f"channels={brief(self.channels)}: expected 1 or 3")
        check_size("size", self.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(H, W, channels)` of the result."""
        return (*self.size, self.channels)

    def __call__(self, name: str, contents: bytes) -> np.ndarray:
        """The pixels in a file's `contents`. Raises DataError that names the file."""
        return self.decoded(name, contents)[0]

    def read(self, path: str | PathLike) -> np.ndarray:
        """The pixels of a file on disk. Raises DataError."""
        return self(str(path), read_file(path))

    def decoded(
        self, name: str, contents: bytes, invert: bool | None = None
    ) -> tuple[np.ndarray, bool]:
        """The pixels, and whether they were inverted, which `invert` decides if it is not None."""
        with opened(name, contents) as file:
            inner = self._resized(file)
        if invert is None:
            invert = self.light_on_dark and is_dark_on_light(inner)
        return self._framed(255 - inner if invert else inner), invert

    def original_size(self, file: Image.Image) -> tuple[int, int]:
        """(H, W) of the whole image, upright with `orient`; nothing is decoded."""
        return (file.width, file.height) if self._is_turned(file) else (file.height, file.width)

    def original(self, file: Image.Image, reduction: int = 1) -> Image.Image:
        """The whole image, decoded, upright with `orient`, in mode L or RGB.

        reduction: 1, 2, 4 or 8; a JPEG becomes smaller by this factor.
        """
        if reduction > 1:
            file.draft(None, (max(1, file.width // reduction), max(1, file.height // reduction)))
        tiles = getattr(file, "tile", ())
        frame = tiles[0][1] if file.format == "GIF" and tiles else None
        as_stored = None
        if self.orient:
            ImageOps.exif_transpose(file, in_place=True)
        elif file.format == "TIFF":  # Pillow turns it upright when it is loaded
            as_stored = TURNED_BACK.get(file.getexif().get(ORIENTATION, 1))
        image = plain(file, file.format in SIXTEEN_BITS)
        if as_stored is not None:
            image = image.transpose(as_stored)
        if frame and frame != (0, 0, *file.size):  # browsers show what lies behind
            whole = Image.new("RGB", file.size, "white")
            whole.paste(image.convert("RGB").crop(frame), frame[:2])
            image = whole
        mode = "L" if self.channels == 1 else "RGB"
        if image.mode != mode:
            return image.convert(mode)
        image.load()
        return image

    def _is_turned(self, file: Image.Image) -> bool:
        """Whether width and height will be exchanged. Pillow has those of an upright TIFF."""
        is_lying = file.getexif().get(ORIENTATION, 1) in QUARTER_TURNS
        return is_lying and self.orient != (file.format == "TIFF")

    def _resized(self, file: Image.Image) -> np.ndarray:
        """The image, scaled to cover `size` and cropped to it, or scaled to lie inside."""
        height, width = self.size
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size; the result is at least this large.
        file.draft(None, self._draft_size(file.size, self._is_turned(file)))
        image = self.original(file)
        if self.fit == "cover":
            # The part that is kept is resized, and not the image: that of a panorama is enormous.
            scale = max(width / image.width, height / image.height)
            left = max(0.0, (image.width - width / scale) / 2)  # 0 may come out as -1e-14
            top = max(0.0, (image.height - height / scale) / 2)
            box = (left, top, image.width - left, image.height - top)
            return resized(image, self.size, box=box)
        scale = min(width / image.width, height / image.height)
        inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        return resized(image, inner[::-1])

    def _framed(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels in the middle of black ones."""
        if pixels.shape == self.shape:
            return pixels
        framed = np.zeros(self.shape, np.uint8)
        (height, width), (h, w) = self.size, pixels.shape[:2]
        top, left = (height - h) // 2, (width - w) // 2
        framed[top : top + h, left : left + w] = pixels
        return framed

    def _draft_size(self, size: tuple[int, int], turned: bool) -> tuple[int, int]:
        """The smallest (W, H) of the file, as it lies, from which nothing has to be enlarged."""
        height, width = reversed(self.size) if turned else self.size
        choose = max if self.fit == "cover" else min
        scale = min(1.0, choose(width / size[0], height / size[1]))
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def check_size(name: str, size: Any) -> None:
    """Raise ValueError unless the argument of that name is `(H, W)`."""
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not is_pair or not all(is_whole(n, 1) for n in size):
        raise ValueError(f"{name}={brief(size)}: expected (H, W) in pixels")


# What is found in place of images, by something among its first bytes.
MISTAKEN = (
    (b"version https://git-lfs", "is a pointer of Git LFS: fetch the file with `git lfs pull`"),
    (b"ftyphei", "is HEIC, which is not read: convert it to JPEG"),
    (b"ftypmif1", "is HEIC, which is not read: convert it to JPEG"),
    (b"ftypavif", "is AVIF, damaged or not read by this version of Pillow: convert it to JPEG"),
    (b"II*\0", "is TIFF, damaged or of a kind that Pillow does not read"),
    (b"MM\0*", "is TIFF, damaged or of a kind that Pillow does not read"),
    (b"<html", "is a web page"),
    (b"<!DOCTYPE", "is a web page"),
    (b"<?xml", "is XML, such as SVG, which is not read"),
)

ORIENTATION = 0x0112  # the EXIF tag
BITS, PHOTOMETRIC = 258, 262  # tags of TIFF
WHITE_IS_ZERO = 0  # a value of PHOTOMETRIC; Pillow inverts only up to 8 bits
GRAY_STEPS = {"L;2": 85, "L;4": 17}  # between gray levels of PNG with fewer bits
QUARTER_TURNS = (5, 6, 7, 8)  # values of ORIENTATION that exchange width and height
# What undoes that which turns an image of this ORIENTATION upright.
TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@contextmanager
def opened(name: str, contents: bytes) -> Iterator[Image.Image]:
    """The image in a file's `contents`, not decoded yet.

    Whatever fails in the block of `with` becomes a DataError that names the file.
    """
    if not contents:
        raise DataError(f"{name}: it cannot be read as an image: the file is empty")
    try:
        with Image.open(io.BytesIO(contents)) as file:
            if file.format == "EPS":  # Pillow would hand the program to Ghostscript
                raise DataError("it is EPS, a program that draws: convert it to PNG")
            _scale_transparent_color(file)
            yield file
    except DataError as error:
        raise DataError(f"{name}: it cannot be read as an image: {error}") from None
    except Image.UnidentifiedImageError:
        what = next(
            (what for mark, what in MISTAKEN if mark in contents[:64]), "has no known format"
        )
        raise DataError(f"{name}: it cannot be read as an image: it {what}") from None
    except MemoryError:  # without a text of its own
        raise DataError(f"{name}: there is not enough memory to decode this image") from None
    except Exception as error:  # Pillow and its codecs can raise anything for a damaged file
        raise DataError(f"{name}: it cannot be read as an image: {error}") from None


def plain(image: Image.Image, sixteen_bits: bool = False) -> Image.Image:
    """The image with 8 bits per channel and without transparency.

    sixteen_bits: pixels of 32 bits hold numbers of 16. Raises DataError if the range is not known.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and sixteen_bits):
        return _eight_bits(image, _upper_bits(image))
    is_bmp = image.format == "BMP" and image.mode == "RGBA"
    if is_bmp and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")  # written by a program that left the fourth byte 0
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode == "I":
        raise DataError("its pixels are integers of 32 bits; expected 8 or 16 bits")
    if image.mode == "F":
        return _eight_bits(image, _from_floats(image))
    return image.convert("RGB") if image.mode == "LAB" else image  # Pillow has no Lab to gray


def _scale_transparent_color(file: Image.Image) -> None:
    """Give the color that a PNG calls transparent the 8 bits that its pixels get.

    Pillow keeps it in the bits of the file, which are known before the pixels are decoded. Of 16
    bits the upper ones remain, as of the pixels.
    """
    color, tiles = file.info.get("transparency"), getattr(file, "tile", ())
    raw = tiles[0][3] if tiles else None
    if file.format != "PNG" or not isinstance(raw, str):
        return
    if raw in GRAY_STEPS and isinstance(color, int):
        file.info["transparency"] = color * GRAY_STEPS[raw]
    elif raw == "RGB;16B" and isinstance(color, tuple):
        file.info["transparency"] = tuple(value >> 8 for value in color)


def _eight_bits(image: Image.Image, pixels: np.ndarray) -> Image.Image:
    """The pixels of `image` as uint8. In a TIFF, 0 may be white."""
    is_inverted = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO
    return Image.fromarray(255 - pixels if is_inverted else pixels)


def _upper_bits(image: Image.Image) -> np.ndarray:
    """The upper 8 of 16 bits. The gray level that a PNG calls transparent becomes white."""
    pixels = np.asarray(image)
    (bits,) = getattr(image, "tag_v2", {}).get(BITS, (16,))  # a TIFF may have 12
    upper = (pixels >> (bits - 8)).astype(np.uint8)
    if "transparency" in image.info:
        upper[pixels == image.info["transparency"]] = 255
    return upper


def _from_floats(image: Image.Image) -> np.ndarray:
    """From 0 to 1 or 0 to 255. Raises DataError if neither is certain."""
    pixels = np.asarray(image, np.float64)
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and (high <= 1 or 2 <= high <= 255)):  # NaN is neither
        raise DataError(f"its pixels run from {low:g} to {high:g}; expected 0 to 1 or 0 to 255")
    return np.rint(pixels * (255 if high <= 1 else 1)).astype(np.uint8)


def is_dark_on_light(pixels: np.ndarray) -> bool:
    """True for a gray image `(H, W, 1)` whose border is bright."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return pixels.shape[2] == 1 and float(border.mean()) > 127


def read_file(path: str | PathLike) -> bytes:
    """The contents of a file. Raises DataError that names it."""
    return contents_of(str(path), Path(path).read_bytes)


def contents_of(name: str, read: Callable[[], bytes]) -> bytes:
    """What `read` returns. Whatever it raises becomes a DataError that names the file."""
    try:
        return read()
    except FileNotFoundError:
        raise DataError(f"{name}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{name}: it cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile and zlib have their own exceptions
        raise DataError(f"{name}: it cannot be read: {error}") from None


def read_image(
    path: str | PathLike,
    size: tuple[int, int],
    channels: int,
    invert: bool | None = None,
    fit: str = "inside",
) -> tuple[np.ndarray, bool]:
    """An image file as uint8 `(H, W, channels)`, and whether it was inverted.

    size, channels, fit: as in `Decode`, which says how files of any kind are read. Photographs are
    turned upright as their EXIF tag says.
    invert: turn dark on light into light on dark, as in MNIST; None decides by the border, for
    gray images only.
    Raises DataError if the file is missing, damaged or not an image.
    """
    decode = Decode(size, channels, fit, light_on_dark=True)
    return decode.decoded(str(path), read_file(path), invert)
