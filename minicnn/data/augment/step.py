"""What the augmentations of this package have in common."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ...checks import checked_whole, is_number
from ...errors import DataError, wrong

Numbers = tuple[np.ndarray, ...]


class Step:
    """Base of the augmentations, which are dataclasses: how they are written in messages.

    `RandomCropFlip(size=32, padding=4)`: arguments that have their default value are left out.
    """

    def __repr__(self) -> str:
        parts: Any = self
        shown = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(parts)
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class ImageStep(Step, ABC):
    """An augmentation that draws numbers for each image before it changes any."""

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        """The numbers for n images of `shape` (h, w, c): arrays with n rows; by default none."""
        return ()

    @abstractmethod
    def apply(self, images: np.ndarray, numbers: Numbers) -> np.ndarray:
        """The changed images; they have the same rows as the numbers."""

    def __call__(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return self.apply(images, self.sample(len(images), images.shape[1:], generator))


@dataclass(frozen=True)
class Draws:
    """The random numbers of some images of an update: those that they have in the whole of it.

    generator: draws for all images of the update. size: their number. places: of the images at
    hand, among them. own: draws for functions, which do not say for which image a number is.
    """

    generator: np.random.Generator
    size: int
    places: np.ndarray
    own: np.random.Generator

    @classmethod
    def of_all(cls, generator: np.random.Generator, size: int) -> "Draws":
        """Those of all images of an update."""
        return cls(generator, size, np.arange(size), generator)

    def sample(self, step: Any, shape: tuple[int, ...]) -> Numbers:
        """The numbers of a step for the images at hand, of `shape` (h, w, c).

        Raises DataError unless the step draws for each image.
        """
        every = step.sample(self.size, shape, self.generator)
        rows = [len(numbers) for numbers in every]
        if any(n != self.size for n in rows):
            raise DataError(
                f"{step}: sample returned arrays of {', '.join(map(str, rows))} rows for "
                f"{self.size} images; expected a row for each image"
            )
        return tuple(numbers[self.places] for numbers in every)

    def apply(self, step: Any, images: np.ndarray) -> np.ndarray:
        """What a step makes of the images at hand."""
        if not hasattr(step, "sample"):
            return step(images, self.own)
        return step.apply(images, self.sample(step, images.shape[1:]))


def check_probability(step: Step, p: float) -> None:
    """Raise ValueError unless 0 <= p <= 1."""
    if not is_number(p, 0, 1):
        raise wrong(step, "p", p, "0 to 1")


def check_range(step: Step, name: str, value: Any, most: float = math.inf) -> None:
    """Raise ValueError unless the argument is two numbers above 0, rising, up to `most`."""
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2
    if not is_pair or not all(is_number(n, 0, most) and n for n in value) or value[0] > value[1]:
        limit = "" if most == math.inf else f" and up to {most:g}"
        raise wrong(step, name, value, f"two rising numbers above 0{limit}")


def check_integer(step: Step, name: str, value: Any, least: int) -> None:
    """Raise ValueError unless the argument is an integer of at least `least`."""
    checked_whole(f"{type(step).__name__}: {name}", value, least)
