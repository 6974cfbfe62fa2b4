"""From pixels to a network's input: what a recipe does to every image, and what it does at random while training."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Preprocess:
    """`(N, h, w, c)` uint8 -> `(N, *size, channels)` float32: embed in a black frame, then `(pixel / 255 - mean) / std`.

    size: (H, W) that the network reads; smaller images are centred in black. channels: grey images are repeated to fill 3.
    image_size: (H, W) to which an image file of any size is brought before that (MNIST: 28 within 32); None for `size`.
    mean, std: in units of full brightness, one number or one per channel.
    Float images are taken as normalised: only their shape is checked.
    Raises DataError for images that are larger than `size` or have the wrong channels.
    """

    size: tuple[int, int]
    channels: int = 1
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    image_size: tuple[int, int] | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        (height, width), (h, w, c) = self.size, images.shape[1:]
        if h > height or w > width:
            raise DataError(f"the images are {h}x{w} pixels; the network reads at most {height}x{width}: resize them first")
        if c not in (1, self.channels):
            raise DataError(f"the images have {c} channels; the network reads {self.channels}")
        if images.dtype != np.uint8:
            if (h, w, c) != (height, width, self.channels):
                raise DataError(f"normalised images must be {height}x{width}x{self.channels}, these are {h}x{w}x{c}")
            return images
        top, left = (height - h) // 2, (width - w) // 2
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        framed = np.zeros((len(images), height, width, self.channels), np.float32)
        framed[:, top : top + h, left : left + w] = images
        framed *= 1 / (255 * std)
        framed -= mean / std
        return framed


@dataclass(frozen=True)
class RandomShift:
    """Move each image by up to `pixels` in both directions, drawn anew every time; what moves in is black."""

    pixels: int

    def __call__(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        p = self.pixels
        n, h, w, _ = images.shape
        framed = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
        views = np.lib.stride_tricks.sliding_window_view(framed, (h, w), axis=(1, 2))
        offsets = generator.integers(0, 2 * p + 1, (2, n))
        return np.ascontiguousarray(views[np.arange(n), offsets[0], offsets[1]].transpose(0, 2, 3, 1))
