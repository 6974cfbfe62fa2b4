"""Augmentations that hide a part of each image.

`fill` is what the part is filled with: 0 is black before normalization, and the mean after it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DataError, wrong
from .step import ImageStep, Numbers, Step, check_integer, check_probability, check_range

ATTEMPTS = 10  # draws of a rectangle, until one is smaller than the image


@dataclass(frozen=True, repr=False)
class Cutout(ImageStep):
    """Fill a square of `size` pixels, which may reach beyond the image (DeVries & Taylor 2017).

    Its center is uniform over the image (section 3.2). 16 for CIFAR-10 and 8 for CIFAR-100, after
    normalization (section 4).
    """

    size: int
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_integer(self, "size", self.size, 1)

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        return tuple(generator.integers(0, side, n) for side in shape[:2])

    def apply(self, images: np.ndarray, numbers: Numbers) -> np.ndarray:
        _check_fill(self, self.fill, images)
        out = images.copy()
        tops, lefts = (centers - self.size // 2 for centers in numbers)
        bottoms, rights = tops + self.size, lefts + self.size
        tops, lefts = np.maximum(tops, 0), np.maximum(lefts, 0)
        for i in range(len(images)):
            out[i, tops[i] : bottoms[i], lefts[i] : rights[i]] = self.fill
        return out


@dataclass(frozen=True, repr=False)
class RandomErasing(ImageStep):
    """With probability `p`, fill a rectangle inside the image (Zhong et al. 2017, algorithm 1).

    area: smallest and largest share of the image's pixels. aspect: smallest and largest height /
    width. log_aspect: draw its logarithm uniformly, as torchvision does; the paper draws the
    aspect, which favors tall rectangles.
    fill: a number, or "noise": each value uniform from 0 to 255, which is for pixels only.
    Up to 10 rectangles are drawn until one is smaller than the image; without one it stays whole.
    """

    p: float
    area: tuple[float, float] = (0.02, 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)
    log_aspect: bool = False
    fill: float | str = "noise"

    def __post_init__(self) -> None:
        check_probability(self, self.p)
        check_range(self, "area", self.area, 1)
        check_range(self, "aspect", self.aspect)
        if isinstance(self.fill, str) and self.fill != "noise":
            raise wrong(self, "fill", self.fill, "a number or 'noise'")

    @property
    def is_for_pixels(self) -> bool:
        """True if this can only be done before normalization."""
        return self.fill == "noise"

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        h, w = shape[:2]
        chosen = generator.random(n) < self.p
        heights, widths = self._sizes(n, h, w, generator)
        tops = np.floor(generator.random(n) * (h - heights + 1)).astype(int)
        lefts = np.floor(generator.random(n) * (w - widths + 1)).astype(int)
        seeds = generator.integers(1 << 63, size=n)  # of each image's noise
        return chosen & (heights > 0), heights, widths, tops, lefts, seeds

    def apply(self, images: np.ndarray, numbers: Numbers) -> np.ndarray:
        if not isinstance(self.fill, str):
            _check_fill(self, self.fill, images)
        out = images.copy()
        for image, (chosen, height, width, top, left, seed) in zip(
            out, zip(*numbers, strict=True), strict=True
        ):
            if chosen:
                part = image[top : top + height, left : left + width]
                part[...] = self._value(part.shape, seed)
        return out

    def _value(self, shape: tuple[int, ...], seed: int) -> Any:
        """What a rectangle is filled with."""
        return (
            np.random.default_rng(seed).integers(0, 256, shape)
            if self.fill == "noise"
            else self.fill
        )

    def _sizes(
        self, n: int, h: int, w: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first rectangle of `n` images that is smaller than the image; 0x0 without one."""
        areas = generator.uniform(*self.area, (ATTEMPTS, n)) * h * w
        low, high = np.log(self.aspect) if self.log_aspect else self.aspect
        aspects = generator.uniform(low, high, (ATTEMPTS, n))
        aspects = np.exp(aspects) if self.log_aspect else aspects
        heights = np.rint(np.sqrt(areas * aspects)).astype(int)
        widths = np.rint(np.sqrt(areas / aspects)).astype(int)
        fits = (heights < h) & (widths < w) & (heights > 0) & (widths > 0)
        first, columns = fits.argmax(axis=0), np.arange(n)
        found = fits.any(axis=0)
        return heights[first, columns] * found, widths[first, columns] * found


def _check_fill(step: Step, fill: float, images: np.ndarray) -> None:
    """Raise DataError for a number that bytes cannot hold."""
    if images.dtype == np.uint8 and fill not in range(256):
        raise DataError(f"{step}: pixels are filled with an integer from 0 to 255, not {fill}")
