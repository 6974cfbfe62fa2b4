"""From pixels to the input of a network."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checks import is_number
from ..errors import DataError, brief
from .mean_image import PER_CHANNEL, PER_PIXEL, MeanImage, mean_of
from .pixels import Decode, check_size

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Preprocess:
    """uint8 `(N, h, w, c)` -> float32 `(N, *size, channels)`: pad with black, then normalize.

    y = (pixel / 255 - mean) / std.

    size: (H, W) of the network's input; smaller images are centered in black.
    channels: those of the input; gray images are repeated to fill 3.
    image_size: (H, W) to which an image file is resized before padding (MNIST: 28, padded to 32);
        None for `size`.
    crop: take the center of larger images; without it they raise DataError.
    mean, std: in units of full brightness, one number or one per channel. The mean can also be a
        `MeanImage`, of which images that are smaller get the center, or "per channel" or
        "per pixel": then `for_data`, and `fit`, compute it from the training images.
    fit, orient, light_on_dark: how image files become pixels, see `Decode`.
    Float images are assumed to be normalized: only their shape is checked.
    Raises DataError for images larger than `size` or with the wrong number of channels.
    """

    size: tuple[int, int]
    channels: int = 1
    mean: float | tuple[float, ...] | str | MeanImage = 0.0
    std: float | tuple[float, ...] = 1.0
    image_size: tuple[int, int] | None = None
    crop: bool = False
    fit: str = "cover"
    orient: bool = True
    light_on_dark: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.mean, str) and self.mean not in (PER_CHANNEL, PER_PIXEL):
            raise ValueError(
                f"mean={brief(self.mean)}: expected numbers, {PER_CHANNEL} or {PER_PIXEL}"
            )
        check_size("size", self.size)
        if self.image_size is not None:
            check_size("image_size", self.image_size)
        mean = self.mean.channel_means if isinstance(self.mean, MeanImage) else self.mean
        for name, value in (("mean", mean), ("std", self.std)):
            if not isinstance(value, str) and np.size(value) not in (1, self.channels):
                raise ValueError(
                    f"{name}={value}: {np.size(value)} numbers; expected 1, or one for each of the "
                    f"{self.channels} channels"
                )
        if not isinstance(mean, str) and not all(map(is_number, np.ravel(mean))):
            raise ValueError(f"mean={mean}: expected finite numbers")
        if not all(is_number(std, 0) and std for std in np.ravel(self.std)):
            raise ValueError(f"std={self.std}: expected numbers larger than 0")

    @property
    def decode(self) -> Decode:
        """How an image file becomes the pixels that this takes."""
        size = self.image_size or self.size
        return Decode(size, self.channels, self.fit, self.orient, self.light_on_dark)

    def decoding_like(self, decode: Decode) -> "Preprocess":
        """The same for image files that `decode` reads, as those of a data set were read."""
        return replace(
            self,
            image_size=decode.size,
            fit=decode.fit,
            orient=decode.orient,
            light_on_dark=decode.light_on_dark,
        )

    def for_input(self, shape: tuple[int, ...]) -> "Preprocess":
        """The same for a network that reads `(H, W, C)`; image files are scaled accordingly."""
        size, channels = (shape[0], shape[1]), shape[2]
        if (size, channels) == (self.size, self.channels):
            return self
        image_size = self.image_size and (
            max(size[0], round(self.image_size[0] * size[0] / self.size[0])),
            max(size[1], round(self.image_size[1] * size[1] / self.size[1])),
        )
        if image_size and not self.crop:
            image_size = min(image_size[0], size[0]), min(image_size[1], size[1])
        mean, std = self.mean, self.std
        if isinstance(mean, MeanImage):  # that of another size is not known
            mean = mean.channel_means
        per_channel = isinstance(mean, tuple) or isinstance(std, tuple)
        if channels == 1 and per_channel:  # those of gray are about the mean of the three
            mean = mean if isinstance(mean, str) else float(np.mean(mean))
            std = float(np.mean(std))
        return replace(
            self, size=size, channels=channels, image_size=image_size, mean=mean, std=std
        )

    def for_data(self, images: Any) -> "Preprocess":
        """The same with the mean of these uint8 training images `(N, h, w, c)`, if it needs it."""
        if not isinstance(self.mean, str):
            return self
        found = mean_of(images)
        return replace(self, mean=found if self.mean == PER_PIXEL else found.channel_means)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise DataError(
                f"the images are {images.dtype}; expected uint8, gray levels from 0 to 255, or "
                "normalized float32"
            )
        images = self.cropped(images)
        if images.dtype == np.uint8:
            return self.normalized(images)
        (height, width), (h, w, c) = self.size, images.shape[1:]
        self._check_channels(c)
        if (h, w, c) != (height, width, self.channels):
            raise DataError(
                f"normalized images must be {height}x{width}x{self.channels}; these are {h}x{w}x{c}"
            )
        self._warn_of_gray_levels(images[:1])
        return images

    def _warn_of_gray_levels(self, images: np.ndarray) -> None:
        """Warn of floats that cannot have been normalized: that gives values up to 1 / std."""
        low, high = float(images.min(initial=0)), float(images.max(initial=0))
        if low >= 0 and high > 2 / np.min(self.std):
            warnings.warn(
                f"images of {images.dtype} are taken as normalized, and these have values up to "
                f"{high:g}: gray levels from 0 to 255 are images.astype(np.uint8)",
                stacklevel=3,
            )

    def cropped(self, images: np.ndarray) -> np.ndarray:
        """The center of images that are larger than `size`. Raises DataError without `crop`."""
        (height, width), (h, w) = self.size, images.shape[1:3]
        if h <= height and w <= width:
            return images
        if not self.crop:
            raise DataError(
                f"the images are {h}x{w} pixels; the network reads at most {height}x{width}: "
                "resize them first"
            )
        top, left = max(0, h - height) // 2, max(0, w - width) // 2
        return images[:, top : top + height, left : left + width]

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """uint8 images cropped to `size`, but neither padded nor normalized. Raises DataError."""
        images = self.cropped(images)
        self._check_channels(images.shape[3])
        return images

    def normalized(self, images: np.ndarray) -> np.ndarray:
        """Gray levels 0 to 255 of any type, padded to `size` but not cropped, and normalized."""
        n, h, w, c = images.shape
        self._check_channels(c)
        height, width = max(h, self.size[0]), max(w, self.size[1])
        top, left = (height - h) // 2, (width - w) // 2
        mean, std = self._mean_of(h, w), np.asarray(self.std, np.float32)
        is_whole = images.dtype == np.uint8 and (h, w, c) == (height, width, self.channels)
        if is_whole and mean.ndim < 2:
            from ..kernels.cpu.data import normalize  # `import minicnn` compiles no kernels

            ones = np.ones(c, np.float32)
            return normalize(images, ones * (1 / (255 * std)), ones * (mean / std))
        if mean.ndim == 3:  # the frame is black, also where there is no mean
            mean = np.pad(mean, ((top, height - h - top), (left, width - w - left), (0, 0)))
        framed = np.zeros((n, height, width, self.channels), np.float32)
        framed[:, top : top + h, left : left + w] = images
        framed *= 1 / (255 * std)
        framed -= mean / std
        return framed

    def _mean_of(self, h: int, w: int) -> np.ndarray:
        """The mean of images of that size, before they are padded."""
        if isinstance(self.mean, MeanImage):
            return self.mean.center(h, w)
        if isinstance(self.mean, str):
            raise DataError(
                f"mean={brief(self.mean)} is not computed yet: "
                "call preprocess.for_data(images) with the training images"
            )
        return np.asarray(self.mean, np.float32)

    def _check_channels(self, channels: int) -> None:
        if channels not in (1, self.channels):
            raise DataError(
                f"the images have {channels} channels; the network reads {self.channels}"
            )
