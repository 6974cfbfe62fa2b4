"""Resized boxes of images: the same pixels with every version of Pillow."""

import numpy as np
from PIL import Image

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area")


def resized(
    image: Image.Image,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    box: tuple[float, float, float, float] | None = None,
    mirrored: bool = False,
) -> np.ndarray:
    """A box of an image in mode L or RGB, scaled to `size`, as uint8 `(*size, C)`.

    size: (H, W). interpolation: one of `INTERPOLATIONS`, with antialiasing.
    box: (left, top, right, bottom) in pixels, possibly with fractions; by default the whole image.
    mirrored: exchange left and right.
    """
    box = box or (0.0, 0.0, float(image.width), float(image.height))
    if interpolation == "nearest":
        pixels = pixels_of(image.resize(size[::-1], Image.Resampling.NEAREST, box))
        return pixels[:, ::-1] if mirrored else pixels
    from ..kernels.cpu.resize import needed, resize  # `import minicnn` compiles no kernels

    whole = image.height, image.width
    part = needed(box, size, interpolation, whole)
    pixels = pixels_of(image.crop(part))
    return resize(pixels, size, interpolation, box, mirrored, (part[1], part[0]), whole)


def pixels_of(image: Image.Image) -> np.ndarray:
    """An image in mode L or RGB as uint8 `(H, W, C)`."""
    return np.asarray(image).reshape(image.height, image.width, -1)
