"""Windows of image files: the original is decoded as small as suffices, and kept if it fits."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from .pixels import Decode, contents_of, opened
from .windows import Size, WindowRule

MEMORY = 1 << 30  # bytes of decoded pixels that are kept, by default
REDUCIBLE = ("JPEG", "MPO")  # the formats that can be decoded at 1/2, 1/4 or 1/8


@dataclass
class Kept:
    """The pixels of one image, by the factor by which they are reduced."""

    size: Size
    is_reducible: bool
    pixels: dict[int, np.ndarray] = field(default_factory=dict)


class Originals:
    """Decoded originals, by the names of their files.

    decode: has their number of channels, and whether photographs are turned upright.
    limit: bytes of pixels that are kept, of the images that come first. What is kept saves time
        and changes no pixel: an image is decoded once for each scale that windows need.
    """

    def __init__(self, decode: Decode, limit: int = MEMORY):
        self.decode, self.limit, self.nbytes = decode, limit, 0
        self._kept: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple:
        """A copy for another process keeps pixels of its own."""
        return Originals, (self.decode, self.limit)

    def window(
        self,
        name: str,
        read: Callable[[], bytes],
        rule: WindowRule,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """A window of one image, uint8 `(H, W, C)`. Raises DataError that names the file."""
        window, kept = None, self._kept.get(name)
        if kept:
            window = rule.draw(kept.size, generator)
            pixels = kept.pixels.get(window.reduction if kept.is_reducible else 1)
            if pixels is not None:
                return window.cut(Image.fromarray(pixels), kept.size)
        with opened(name, contents_of(name, read)) as file:
            kept = Kept(self.decode.original_size(file), file.format in REDUCIBLE)
            window = window or rule.draw(kept.size, generator)
            reduction = window.reduction if kept.is_reducible else 1
            image = self.decode.original(file, reduction)
        self._keep(name, kept, reduction, image)
        return window.cut(image, kept.size)

    def _keep(self, name: str, kept: Kept, reduction: int, image: Image.Image) -> None:
        nbytes = image.width * image.height * self.decode.channels
        with self._lock:
            kept = self._kept.get(name, kept)
            # Another thread may have decoded the same image meanwhile: a batch can have it twice.
            if reduction in kept.pixels or self.nbytes + nbytes > self.limit:
                return
            self.nbytes += nbytes
            kept.pixels[reduction] = np.asarray(image)
            self._kept[name] = kept
