"""A sequence of augmentations, and the batch that it makes of pixels and labels."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...checks import is_function
from ...errors import DataError, brief
from ..transforms import Augment, Preprocess
from ..windows import WindowRule
from .color import ColorStep
from .mix import Mixing, Mixture, all_places, mix, one_hot
from .step import Draws


class _Normalize:
    """Marks in a `Pipeline` where the preprocess of the recipe comes."""

    def __repr__(self) -> str:
        return "NORMALIZE"


NORMALIZE = _Normalize()


class Pipeline:
    """Augmentations in order: `Pipeline(RandomCropFlip(32, padding=4), Cutout(16))`.

    Steps are called as `step(images, generator)`. They get the pixels; those behind `NORMALIZE` get
    the network's normalized input. Without `NORMALIZE`, normalization follows the last step, or
    comes before the first one that mixes images (`Mixup`, `CutMix`), which stand at the end.

    Before normalization, padding is black; after it, padding is the mean. Colors are changed
    before it, in float32: nothing is rounded or clipped on the way to the network.

    A step may have two further methods: `for_input(shape)` returns the same for a network that
    reads `(H, W, C)`, and `for_batch(seed, epoch, rows)` the same for these images of the data set
    in that epoch.

    Raises ValueError for steps in an order that means nothing.
    """

    def __init__(self, *steps: Any) -> None:
        self.steps = _in_order(steps)

    @classmethod
    def of(cls, augment: Augment | None) -> "Pipeline":
        """The augmentation as a pipeline."""
        if isinstance(augment, Pipeline):
            return augment
        return cls() if augment is None else cls(augment)

    def __repr__(self) -> str:
        return f"Pipeline({', '.join(map(repr, self.steps))})"

    def __str__(self) -> str:
        shown = self.steps if NORMALIZE in self.steps else (*self.steps, NORMALIZE)
        return ", ".join("normalize" if step is NORMALIZE else repr(step) for step in shown)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.steps == other.steps

    def __hash__(self) -> int:
        return hash(self.steps)

    def for_input(self, shape: tuple[int, ...]) -> "Pipeline":
        """The same for a network that reads `(H, W, C)`."""
        return self._each("for_input", shape)

    def for_batch(self, seed: int, epoch: int, rows: np.ndarray) -> "Pipeline":
        """The same for the images `rows` of the data set in that epoch, counted from 0."""
        return self._each("for_batch", seed, epoch, rows)

    @property
    def cuts_windows(self) -> bool:
        """True if the first step cuts windows, which the loader takes from the original files."""
        return bool(self.steps) and isinstance(self.steps[0], WindowRule)

    @property
    def mixes(self) -> bool:
        """True if its targets are distributions over the classes."""
        return any(isinstance(step, Mixing) for step in self.steps)

    @property
    def keeps_bytes(self) -> bool:
        """True if bytes stay bytes up to the normalization, and nothing follows it."""
        before, after, mixing = self._parts()
        return not (after or mixing or any(isinstance(step, ColorStep) for step in before))

    def __call__(self, images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The changed pixels. Raises ValueError if steps work on the normalized input."""
        before, after, mixing = self._parts()
        if after or mixing:
            raise ValueError(f"{self} needs a preprocess: call its method batch")
        draws = Draws.of_all(generator, len(images))
        for step in before:
            images = draws.apply(step, images)
        return images

    def mixtures(self, n: int, generator: np.random.Generator) -> list[Mixture | None]:
        """What is drawn for the steps that mix, for a whole batch of n images."""
        return [step.sample(n, generator) for step in self.steps if isinstance(step, Mixing)]

    def batch(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        preprocess: Callable[[np.ndarray], np.ndarray] | None,
        generator: np.random.Generator,
        classes: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The network's input and the labels, or targets `(n, classes)` if images are mixed.

        images: uint8 pixels, or float32 that is normalized already. labels: int64 `(n,)`, or
            targets.
        Raises DataError for steps that these images do not allow.
        """
        mixtures = self.mixtures(len(images), generator)
        draws = Draws.of_all(generator, len(images))
        batch = self.unmixed(images, labels, preprocess, draws, classes)
        return mix(mixtures, all_places(mixtures, draws.places), batch)

    def unmixed(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        preprocess: Callable[[np.ndarray], np.ndarray] | None,
        draws: Draws,
        classes: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same before images are mixed, with the random numbers of `draws`."""
        before, after, mixing = self._parts()
        own, is_float = isinstance(preprocess, Preprocess), False
        for step in before:
            if _is_for_pixels(step):
                _check_levels(step, images, is_float)
            if isinstance(step, ColorStep):
                is_float = own
                images = images.astype(np.float32, copy=False) if own else images
            images = _checked(step, images, draws.apply(step, images))
        if isinstance(preprocess, Preprocess) and (is_float or images.dtype == np.uint8):
            images = preprocess.normalized(images if after else preprocess.cropped(images))
        elif preprocess is not None:
            images = _preprocessed(preprocess, images)
        for step in after:
            images = _checked(step, images, draws.apply(step, images))
        if after and isinstance(preprocess, Preprocess):
            images = preprocess(images)  # the center of what is still larger than the input
        if not mixing:
            return images, labels
        return images, labels if labels.ndim == 2 else one_hot(labels, classes)

    def _parts(self) -> tuple[list[Any], list[Any], list[Any]]:
        """The steps for pixels, for the normalized input, and for a whole batch."""
        at = self.steps.index(NORMALIZE) if NORMALIZE in self.steps else len(self.steps)
        behind = self.steps[at + 1 :]
        mixing = [step for step in behind if isinstance(step, Mixing)]
        return list(self.steps[:at]), [step for step in behind if step not in mixing], mixing

    def _each(self, method: str, *arguments: Any) -> "Pipeline":
        steps = (
            getattr(step, method)(*arguments) if hasattr(step, method) else step
            for step in self.steps
        )
        return Pipeline(*steps)


def _in_order(steps: tuple[Any, ...]) -> tuple[Any, ...]:
    """The steps with `NORMALIZE` before those that mix. Raises ValueError."""
    what = f"Pipeline({', '.join(map(brief, steps))})"
    for step in steps:
        is_own = step is NORMALIZE or isinstance(step, Mixing)
        if not is_own and not is_function(step, 2):
            raise ValueError(f"{what}: {brief(step)} cannot be called as step(images, generator)")
    for step in steps[1:]:
        if isinstance(step, WindowRule):
            raise ValueError(f"{what}: {step} cuts windows of the original images; place it first")
    first = next((i for i, step in enumerate(steps) if isinstance(step, Mixing)), len(steps))
    if not all(isinstance(step, Mixing) for step in steps[first:]):
        raise ValueError(f"{what}: {steps[first]} mixes images; only others that do may follow it")
    if steps.count(NORMALIZE) > 1:
        raise ValueError(f"{what}: NORMALIZE stands there {steps.count(NORMALIZE)} times")
    if first < len(steps) and NORMALIZE not in steps:
        return (*steps[:first], NORMALIZE, *steps[first:])
    behind = steps[steps.index(NORMALIZE) + 1 :] if NORMALIZE in steps else ()
    for step in behind:
        if _is_for_pixels(step):
            raise ValueError(f"{what}: {step} is for gray levels; place it before NORMALIZE")
    return steps


def _checked(step: Any, images: np.ndarray, changed: Any) -> np.ndarray:
    """What a step made of the images. Raises DataError unless it is as many images of that type.

    Floats that were bytes would count as normalized.
    """
    found = getattr(changed, "dtype", type(changed).__name__), getattr(changed, "shape", ())
    if found[0] != images.dtype or len(found[1]) != 4 or len(changed) != len(images):
        raise DataError(
            f"{step}: it made {found[0]} {found[1]} of {images.dtype} {images.shape}; expected "
            f"{images.dtype} ({len(images)}, H, W, C)"
        )
    return changed


def _preprocessed(preprocess: Callable[[np.ndarray], Any], images: np.ndarray) -> np.ndarray:
    """Raises DataError unless the result is an array of as many images."""
    found = preprocess(images)
    shape = getattr(found, "shape", ())
    if not hasattr(found, "dtype") or shape[:1] != (len(images),):
        raise DataError(
            f"preprocess={brief(preprocess)}: it made {type(found).__name__} {shape} of "
            f"{images.dtype} {images.shape}; expected an array of {len(images)} images"
        )
    return found


def _is_for_pixels(step: Any) -> bool:
    """True for a step that takes gray levels, and not the normalized input."""
    return isinstance(step, ColorStep) or getattr(step, "is_for_pixels", False)


def _check_levels(step: Any, images: np.ndarray, is_float: bool) -> None:
    """Raise DataError unless the images are gray levels. is_float: they are, in float32."""
    if images.dtype != np.uint8 and not is_float:
        raise DataError(
            f"{step}: the images are {images.dtype}, which counts as normalized; "
            "expected uint8 pixels, whose gray levels it changes"
        )
