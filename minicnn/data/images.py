"""Single image files, of any common format."""

from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError


def read_image(
    path: str | PathLike, size: tuple[int, int], channels: int, invert: bool | None = None
) -> tuple[np.ndarray, bool]:
    """An image file as uint8 `(h, w, channels)`.

    A larger image is scaled down to fit into `size` (H, W); its proportions are kept.
    channels: 1 (gray) or 3 (RGB). Transparent pixels are composited on white.
    invert: turn dark on light into light on dark, as in MNIST; None decides by the border, for
    gray images only.
    Returns the pixels and whether they were inverted. Raises DataError if the file is missing,
    damaged or not an image.
    """
    path = Path(path)
    try:
        with Image.open(path) as file:
            file.load()
            image: Image.Image = file
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            if image.mode.startswith("I;16") or image.mode in ("I", "F"):
                pixels = np.asarray(image, np.float64)
                image = Image.fromarray(
                    (pixels * (255 / max(pixels.max(), 1))).clip(0, 255).astype(np.uint8)
                )
            image = image.convert("L" if channels == 1 else "RGB")
            scale = min(size[0] / image.height, size[1] / image.width)
            if scale < 1:
                shrunk = max(1, round(image.width * scale)), max(1, round(image.height * scale))
                image = image.resize(shrunk, Image.Resampling.LANCZOS)
            pixels = np.asarray(image)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except Exception as error:  # Pillow and its codecs can raise anything for a damaged file
        raise DataError(f"{path}: it cannot be read as an image: {error}") from None
    if invert is None:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        invert = channels == 1 and border.mean() > 127
    return (255 - pixels if invert else pixels).reshape(*pixels.shape[:2], channels), bool(invert)
