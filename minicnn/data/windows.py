"""Windows: which box of an image a network is trained with, and to what size it is scaled.

A rule draws one window per image. On images in memory it is an augmentation like any other. Of an
image file the loader decodes the original, at the smallest scale that suffices, and resizes only
the box.
"""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from ..checks import is_number, is_one_of
from ..errors import DataError, brief
from ..kernels.geometry import pair
from .resize import INTERPOLATIONS, resized

Size = tuple[int, int]  # (H, W)

REDUCTIONS = (8, 4, 2)  # a JPEG can be decoded at 1/8, 1/4 or 1/2 of its size


@dataclass(frozen=True)
class Window:
    """A box of an image, scaled to `size`.

    box: (left, top, right, bottom) in pixels of the original, possibly with fractions.
    size: (H, W) of the result. interpolation: one of `INTERPOLATIONS`, with antialiasing.
    mirrored: exchange left and right.
    """

    box: tuple[float, float, float, float]
    size: Size
    interpolation: str = "bilinear"
    mirrored: bool = False

    @property
    def reduction(self) -> int:
        """The original may be reduced by this factor without the need to enlarge the box."""
        left, top, right, bottom = self.box
        factor = min((bottom - top) / self.size[0], (right - left) / self.size[1])
        return next((r for r in REDUCTIONS if r <= factor), 1)

    def cut(self, image: Image.Image, original: Size) -> np.ndarray:
        """The window as uint8 `(H, W, channels)`.

        image: in mode L or RGB, the whole original or the whole of it reduced.
        original: the (H, W) that the box refers to.
        """
        x, y = image.width / original[1], image.height / original[0]
        left, top, right, bottom = self.box
        box = left * x, top * y, min(right * x, image.width), min(bottom * y, image.height)
        return resized(image, self.size, self.interpolation, box, self.mirrored)


Rule = TypeVar("Rule", bound="WindowRule")


@dataclass(frozen=True)
class WindowRule:
    """What all rules share: they draw a window for each image, and cut it.

    size: of the result in pixels, a number or (H, W).
    interpolation: one of `INTERPOLATIONS`, or several, one of which is drawn per image.
    flip: the probability that a window is mirrored left to right.
    """

    size: int | Size
    _: KW_ONLY
    interpolation: str | tuple[str, ...] = "bilinear"
    flip: float = 0.0

    is_for_pixels = True  # not for normalized input

    def __post_init__(self) -> None:
        pair(self.size, "size")
        for name in self._interpolations or ("",):
            if not is_one_of(name, INTERPOLATIONS):
                known = ", ".join(INTERPOLATIONS)
                raise ValueError(f"interpolation={brief(name)}: expected one of {known}")
        if not is_number(self.flip, 0, 1):
            raise ValueError(f"flip={brief(self.flip)}: expected a probability, 0 to 1")

    @property
    def output_size(self) -> Size:
        """(H, W) of the result."""
        return pair(self.size, "size")

    @property
    def _interpolations(self) -> tuple[str, ...]:
        return (self.interpolation,) if isinstance(self.interpolation, str) else self.interpolation

    def draw_box(
        self, size: Size, generator: np.random.Generator
    ) -> tuple[float, float, float, float]:
        """A box (left, top, right, bottom) of an image of `size` (H, W)."""
        raise NotImplementedError

    def draw(self, size: Size, generator: np.random.Generator) -> Window:
        """A window of an image of `size` (H, W)."""
        box = self.draw_box(size, generator)
        names = self._interpolations
        name = names[generator.integers(len(names))] if len(names) > 1 else names[0]
        mirrored = self.flip > 0 and generator.random() < self.flip
        return Window(box, self.output_size, name, bool(mirrored))

    def for_input(self: Rule, shape: tuple[int, ...]) -> Rule:
        """The same for a network that reads `(H, W, C)`; lengths in pixels are scaled with it."""
        size = (shape[0], shape[1])
        if self.output_size == size:
            return self
        return replace(self, size=size[0] if size[0] == size[1] else size, **self._scaled_to(size))

    def _scaled_to(self, size: Size) -> dict[str, Any]:
        """The other arguments that change with `size`."""
        return {}

    def _scaled_length(self, length: int, size: Size) -> int:
        return max(*size, round(length * max(size) / max(self.output_size)))

    def sample(
        self, n: int, shape: tuple[int, ...], generator: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        """A seed for each of n images, so that what is drawn for one depends on no other."""
        return (generator.integers(1 << 63, size=n),)

    def __call__(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """uint8 images `(n, h, w, c)` -> their windows `(n, H, W, c)`."""
        return self.apply(images, self.sample(len(images), images.shape[1:], generator))

    def apply(self, images: np.ndarray, numbers: tuple[np.ndarray, ...]) -> np.ndarray:
        """The windows of uint8 images by the numbers of `sample`."""
        if images.dtype != np.uint8:
            raise DataError(
                f"{type(self).__name__}: the images are {images.dtype}; expected uint8 pixels"
            )
        n, h, w, c = images.shape
        if c not in (1, 3):  # Pillow takes the last of 2 or 4 channels for transparency
            raise DataError(
                f"{type(self).__name__}: the images have {c} channels; expected 1 (gray) or 3 (RGB)"
            )
        out = np.empty((n, *self.output_size, c), np.uint8)
        for image, seed, window in zip(images, numbers[0], out, strict=True):
            opened = Image.fromarray(image[..., 0] if c == 1 else image)
            window[:] = self.draw((h, w), np.random.default_rng(seed)).cut(opened, (h, w))
        return out


@dataclass(frozen=True)
class RandomResizedCrop(WindowRule):
    """A box of random area and aspect ratio, scaled to `size`.

    area ~ U(0.08, 1) of the image's; width / height between 3/4 and 4/3; a uniform position; up to
    10 tries until the box lies inside.

    source: whose rule.
        "fb.resnet.torch": width / height ~ U(3/4, 4/3), then width and height are exchanged with
        probability 1/2; bicubic. If no try succeeds, the shorter side is scaled to `size` and the
        center is cut (datasets/transforms.lua, RandomSizedCrop).
        "torchvision": log(width / height) is uniform; bilinear. If no try succeeds, the largest
        central box with an allowed aspect ratio (transforms.RandomResizedCrop).
        "googlenet": width / height ~ U(3/4, 4/3); bilinear; otherwise as torchvision's (Szegedy et
        al. 2015, section 6). Late in training the authors drew the interpolation:
        `interpolation=("bilinear", "area", "nearest", "bicubic")`.
    interpolation: by default the source's.
    """

    source: str = "torchvision"
    _: KW_ONLY
    interpolation: str | tuple[str, ...] = ""

    def __post_init__(self) -> None:
        if not is_one_of(self.source, SOURCES):
            raise ValueError(f"source={brief(self.source)}: expected one of {', '.join(SOURCES)}")
        if not self.interpolation:
            bicubic = self.source == "fb.resnet.torch"
            object.__setattr__(self, "interpolation", "bicubic" if bicubic else "bilinear")
        super().__post_init__()

    def draw_box(
        self, size: Size, generator: np.random.Generator
    ) -> tuple[float, float, float, float]:
        height, width = size
        for _ in range(TRIES):
            area = generator.uniform(*AREA) * height * width
            aspect = self._draw_aspect(generator)
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if self.source == "fb.resnet.torch" and generator.random() < 0.5:
                w, h = h, w
            if 0 < w <= width and 0 < h <= height:
                top = int(generator.integers(height - h + 1))
                left = int(generator.integers(width - w + 1))
                return left, top, left + w, top + h
        if self.source == "fb.resnet.torch":
            return _center_box(size, max(self.output_size), self.output_size, math.ceil)
        w = min(width, round(height * ASPECT[1]))
        h = min(height, round(width / ASPECT[0]))
        top, left = (height - h) // 2, (width - w) // 2
        return left, top, left + w, top + h

    def _draw_aspect(self, generator: np.random.Generator) -> float:
        if self.source == "torchvision":
            return math.exp(generator.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        return generator.uniform(*ASPECT)


SOURCES = ("fb.resnet.torch", "torchvision", "googlenet")
AREA, ASPECT, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10


@dataclass(frozen=True)
class ScaleJitter(WindowRule):
    """The shorter side is scaled to a random length; then a random crop of `size`.

    shorter: (least, most) of that length, an integer drawn per image. VGG: (256, 512) (Simonyan and
    Zisserman 2015, section 3.1); ResNet: (256, 480) (He et al. 2015b, section 3.4). With least =
    most it is fixed.
    """

    shorter: Size = (256, 480)

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = pair(self.shorter, "shorter")
        if not max(self.output_size) <= least <= most:
            raise ValueError(
                f"shorter={brief(self.shorter)}: expected (least, most) pixels that "
                f"cover {self.size}"
            )

    def draw_box(
        self, size: Size, generator: np.random.Generator
    ) -> tuple[float, float, float, float]:
        least, most = pair(self.shorter, "shorter")
        length = int(generator.integers(least, most + 1))
        (h, w), short = self.output_size, min(size)
        height, width = (max(length, round(side * length / short)) for side in size)
        top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)
        return _box_before_scaling(size, (height, width), (int(top), int(left)), (h, w))

    def _scaled_to(self, size: Size) -> dict[str, Any]:
        lengths = pair(self.shorter)
        return {"shorter": tuple(self._scaled_length(length, size) for length in lengths)}


@dataclass(frozen=True)
class CenterCrop(WindowRule):
    """The shorter side is scaled to `shorter`; then its center, cut as torchvision cuts it."""

    shorter: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(self.shorter, "__index__") or max(self.output_size) > self.shorter:
            raise ValueError(
                f"shorter={brief(self.shorter)}: expected pixels that cover {self.size}"
            )

    def draw_box(
        self, size: Size, generator: np.random.Generator
    ) -> tuple[float, float, float, float]:
        return _center_box(size, self.shorter, self.output_size, round)

    def _scaled_to(self, size: Size) -> dict[str, Any]:
        return {"shorter": self._scaled_length(self.shorter, size)}


def _center_box(
    size: Size, shorter: int, crop: Size, rounded: Callable[[float], int]
) -> tuple[float, float, float, float]:
    """The box in the center that becomes `crop` when the shorter side is scaled to `shorter`.

    rounded: makes the offset of the crop an integer.
    """
    height, width = (side * shorter // min(size) for side in size)
    corner = rounded((height - crop[0]) / 2), rounded((width - crop[1]) / 2)
    return _box_before_scaling(size, (height, width), corner, crop)


def _box_before_scaling(
    size: Size, scaled: Size, corner: Size, crop: Size
) -> tuple[float, float, float, float]:
    """The box of an image of `size` that becomes `crop` at `corner` when it is scaled to `scaled`.

    All are (H, W) or (top, left).
    """
    y, x = size[0] / scaled[0], size[1] / scaled[1]
    top, left = corner
    return left * x, top * y, (left + crop[1]) * x, (top + crop[0]) * y
