"""Augmentations that move or mirror pixels, for images of any type.

`padding_mode` is what lies outside of an image: "zeros", which is black before normalization and
the mean after it, or "reflect", the image mirrored at its outermost pixels.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...checks import is_one_of
from ...errors import DataError, wrong
from .step import ImageStep, Numbers, Step, check_integer, check_probability

PADDING_MODES = ("zeros", "reflect")


@dataclass(frozen=True, repr=False)
class RandomShift(ImageStep):
    """Shift each image by a random offset of up to `pixels` in both directions.

    airbench94 shifts CIFAR by 2 with padding_mode="reflect".
    """

    pixels: int
    padding_mode: str = "zeros"

    def __post_init__(self) -> None:
        check_integer(self, "pixels", self.pixels, 0)
        _check_mode(self)

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        return tuple(generator.integers(0, 2 * self.pixels + 1, (2, n)))

    def apply(self, images: np.ndarray, numbers: Numbers) -> np.ndarray:
        n, h, w, _ = images.shape
        framed = padded(images, self.pixels, self.padding_mode, self)
        views = np.lib.stride_tricks.sliding_window_view(framed, (h, w), axis=(1, 2))
        down, right = numbers
        return np.ascontiguousarray(views[np.arange(n), down, right].transpose(0, 2, 3, 1))


@dataclass(frozen=True, repr=False)
class RandomCropFlip(ImageStep):
    """A window of `size` at a random position, mirrored left to right half of the time.

    size: in pixels, a number or (H, W). Images smaller than that are not cropped.
    padding: pixels added on every side first (4 for CIFAR: He et al. 2015b, section 4.2).
    shared_by: how many successive images of a batch have the same window and direction; 32 in the
        code of Krizhevsky et al. 2012, each on its own in their paper (section 4.1).
    """

    size: int | tuple[int, int]
    padding: int = 0
    padding_mode: str = "zeros"
    shared_by: int = 1

    def __post_init__(self) -> None:
        for side in self.size if isinstance(self.size, tuple) else (self.size,):
            check_integer(self, "size", side, 1)
        check_integer(self, "shared_by", self.shared_by, 1)
        check_integer(self, "padding", self.padding, 0)
        _check_mode(self)

    def for_input(self, shape: tuple[int, ...]) -> "RandomCropFlip":
        """The same for a network that reads `(H, W, C)`."""
        if shape[0] == shape[1]:
            return self if self.size == shape[0] else replace(self, size=shape[0])
        return replace(self, size=(shape[0], shape[1]))

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        h, w = (side + 2 * self.padding for side in shape[:2])
        height, width = self._window(h, w)
        groups = -(-n // self.shared_by)
        drawn = (generator.integers(0, most, groups) for most in (h - height + 1, w - width + 1, 2))
        return tuple(np.repeat(numbers, self.shared_by)[:n] for numbers in drawn)

    def apply(self, images: np.ndarray, numbers: Numbers) -> np.ndarray:
        images = padded(images, self.padding, self.padding_mode, self)
        n, h, w, c = images.shape
        height, width = self._window(h, w)
        out = np.empty((n, height, width, c), images.dtype)
        for i, (top, left, mirrored) in enumerate(zip(*numbers, strict=True)):
            window = images[i, top : top + height, left : left + width]
            out[i] = window[:, ::-1] if mirrored else window
        return out

    def _window(self, h: int, w: int) -> tuple[int, int]:
        """(height, width) of what is cut from h x w pixels."""
        size = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        return min(size[0], h), min(size[1], w)


@dataclass(frozen=True, repr=False)
class RandomFlip(ImageStep):
    """Mirror each image left to right with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability(self, self.p)

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        return (generator.random(n) < self.p,)

    def apply(self, images: np.ndarray, numbers: Numbers) -> np.ndarray:
        return flipped(images, numbers[0])


@dataclass(frozen=True, repr=False)
class AlternatingFlip(Step):
    """Mirror each image left to right in every other epoch; which of two epochs is random.

    In the first epoch half of the images are mirrored, at random; in each further epoch those that
    were not in the one before. Two epochs show both forms of every image, where random flips
    show one of them twice for half of the images (Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on
    a Single GPU", section 3.6; airbench94).
    Called without an epoch, it is the first one.
    """

    def for_batch(self, seed: int, epoch: int, rows: np.ndarray) -> "FlipSelected":
        """The same for the images `rows` of the data set in that epoch, counted from 0."""
        return FlipSelected(random_bits(seed, rows) ^ (epoch % 2 == 1))

    def __call__(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return RandomFlip()(images, generator)


class FlipSelected:
    """Mirror the images of a batch that `selected` `(n,)` marks."""

    def __init__(self, selected: np.ndarray) -> None:
        self.selected = selected

    def __call__(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return flipped(images, self.selected)


def flipped(images: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """A copy of the images in which those that `selected` `(n,)` marks are mirrored."""
    out = images.copy()
    out[selected] = images[selected, :, ::-1]
    return out


def random_bits(seed: int, rows: np.ndarray) -> np.ndarray:
    """A random bool for each of `rows`, a function of (seed, row): the hash function SplitMix64.

    Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    z = np.asarray(rows).astype(np.uint64)
    start = np.random.SeedSequence([seed, 0xF11B]).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):
        z = start + (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z >> np.uint64(63)).astype(bool)


def padded(images: np.ndarray, pixels: int, mode: str, step: Step) -> np.ndarray:
    """The images with `pixels` more on every side. Raises DataError if there is nothing to reflect.

    step: the augmentation, for the message.
    """
    if not pixels:
        return images
    h, w = images.shape[1:3]
    if mode == "reflect" and pixels >= min(h, w):
        raise DataError(f"{step}: images of {h}x{w} have no {pixels} pixels to reflect at a border")
    sides = ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0))
    return np.pad(images, sides) if mode == "zeros" else np.pad(images, sides, mode="reflect")


def _check_mode(step: "RandomShift | RandomCropFlip") -> None:
    if not is_one_of(step.padding_mode, PADDING_MODES):
        known = f"one of {', '.join(PADDING_MODES)}"
        raise wrong(step, "padding_mode", step.padding_mode, known)
