"""Augmentations that mix the images of a batch and their labels, after normalization.

They are called as `mixing(x, targets, generator)` with x float32 `(n, H, W, C)` and targets float32
`(n, classes)`, whose rows sum to 1, and return both. Each draws one weight for the whole batch, as
the papers' code does, and then the image with which each one is mixed.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...checks import is_number
from ...errors import brief, wrong
from .step import Step, check_probability

Mixed = tuple[np.ndarray, np.ndarray]  # images and targets


class Mixture(NamedTuple):
    """What is drawn for a batch.

    step: what mixes it. weight: of each image. others: with which one it is mixed. center: a place
    in 0..1, `(2,)`.
    """

    step: "Mixing"
    weight: float
    others: np.ndarray
    center: np.ndarray


class Mixing(Step, ABC):
    """An augmentation that changes labels too: it needs a loss that takes soft targets."""

    @abstractmethod
    def sample(self, n: int, generator: np.random.Generator) -> Mixture | None:
        """The numbers for a batch of n images; None if nothing is mixed."""

    @abstractmethod
    def mixed(self, ours: Mixed, others: Mixed, mixture: Mixture) -> Mixed:
        """Images and targets that are mixed with the others, row by row."""

    def __call__(self, x: np.ndarray, targets: np.ndarray, generator: np.random.Generator) -> Mixed:
        mixture = self.sample(len(x), generator)
        if mixture is None:
            return x, targets
        others = x[mixture.others], targets[mixture.others]
        return mixture.step.mixed((x, targets), others, mixture)


@dataclass(frozen=True, repr=False)
class Mixup(Mixing):
    """x = w x_i + (1 - w) x_j, and likewise the targets, w ~ Beta(alpha, alpha).

    j is a random permutation of the batch. Zhang et al. 2018, equation 1: alpha is 0.2 for
    ImageNet, 1.0 for CIFAR-10 (sections 3.1 and 3.2).
    """

    alpha: float

    def __post_init__(self) -> None:
        _check_alpha(self, self.alpha)

    def sample(self, n: int, generator: np.random.Generator) -> Mixture:
        weight = generator.beta(self.alpha, self.alpha)
        return Mixture(self, weight, generator.permutation(n), np.zeros(2))

    def mixed(self, ours: Mixed, others: Mixed, mixture: Mixture) -> Mixed:
        x, targets = (_blend(*two, mixture.weight) for two in zip(ours, others, strict=True))
        return x, targets


@dataclass(frozen=True, repr=False)
class CutMix(Mixing):
    """With probability `p`, replace a rectangle of each image by that of another image.

    w ~ Beta(alpha, alpha); the rectangle has sqrt(1 - w) of the height and of the width, its center
    is uniform over the image, and it is cut off at the borders. The targets are mixed by the shares
    of the pixels. Yun et al. 2019, section 3.1 and algorithm A1: alpha is 1; their code has p = 1
    for ImageNet and 0.5 for CIFAR.
    """

    alpha: float
    p: float = 1.0

    def __post_init__(self) -> None:
        _check_alpha(self, self.alpha)
        check_probability(self, self.p)

    def sample(self, n: int, generator: np.random.Generator) -> Mixture | None:
        if generator.random() >= self.p:
            return None
        weight = generator.beta(self.alpha, self.alpha)
        return Mixture(self, weight, generator.permutation(n), generator.random(2))

    def mixed(self, ours: Mixed, others: Mixed, mixture: Mixture) -> Mixed:
        (x, targets), (x_others, targets_others) = ours, others
        h, w = x.shape[1:3]
        side = np.sqrt(1 - mixture.weight)
        rows, height = _span(h, int(h * side), mixture.center[0])
        columns, width = _span(w, int(w * side), mixture.center[1])
        x = x.copy()
        x[:, rows, columns] = x_others[:, rows, columns]
        return x, _blend(targets, targets_others, 1 - height * width / (h * w))


def all_places(mixtures: Sequence[Mixture | None], places: np.ndarray) -> list[np.ndarray]:
    """The places in a batch whose images are needed before each mixing, and at the end: `places`.

    Both are in rising order.
    """
    found = [places]
    for mixture in reversed(mixtures):
        others = places[:0] if mixture is None else mixture.others[found[0]]
        found.insert(0, np.union1d(found[0], others))
    return found


def mix(mixtures: Sequence[Mixture | None], every: Sequence[np.ndarray], batch: Mixed) -> Mixed:
    """The mixed images and targets. every: what `all_places` found; the batch has the first."""
    for mixture, before, after in zip(mixtures, every[:-1], every[1:], strict=True):
        if mixture is not None:
            here, there = np.searchsorted(before, (after, mixture.others[after]))
            ours, others = (tuple(array[at] for array in batch) for at in (here, there))
            batch = mixture.step.mixed(ours, others, mixture)
    return batch


@dataclass(frozen=True, init=False, repr=False)
class RandomChoice(Mixing):
    """One of several steps that mix images, drawn for each batch: `RandomChoice(Mixup(0.2), ...)`.

    p: their probabilities; without them all are equally probable. Mixup and CutMix in turn are part
    of the recipes of torchvision's references and of timm.
    Raises ValueError for a step that mixes no images, or probabilities that are none.
    """

    steps: tuple[Mixing, ...]
    p: tuple[float, ...]

    def __init__(self, *steps: Mixing, p: Sequence[float] | None = None) -> None:
        shares = (1 / len(steps),) * len(steps) if steps and p is None else tuple(p or ())
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "p", shares)
        for step in steps:
            if not isinstance(step, Mixing):
                raise ValueError(
                    f"{brief(self)}: {brief(step)} mixes no images; expected Mixup, CutMix, ..."
                )
        if len(shares) != len(steps) or not steps:
            raise ValueError(f"{brief(self)}: {len(steps)} steps and {len(shares)} probabilities")
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(
                f"RandomChoice: p={brief(shares)}: expected numbers >= 0 whose sum is 1"
            )

    def __repr__(self) -> str:
        shown = [repr(step) for step in self.steps]
        is_even = len(set(self.p)) <= 1
        return f"RandomChoice({', '.join(shown if is_even else [*shown, f'p={self.p}'])})"

    def sample(self, n: int, generator: np.random.Generator) -> Mixture | None:
        chosen = int(np.searchsorted(np.cumsum(self.p)[:-1], generator.random(), side="right"))
        return self.steps[chosen].sample(n, generator)

    def mixed(self, ours: Mixed, others: Mixed, mixture: Mixture) -> Mixed:
        return mixture.step.mixed(ours, others, mixture)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 `(n, classes)`, 1 at each label."""
    targets = np.zeros((len(labels), classes), np.float32)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def _blend(values: np.ndarray, others: np.ndarray, weight: float) -> np.ndarray:
    return np.float32(weight) * values + (1 - np.float32(weight)) * others


def _span(length: int, size: int, place: float) -> tuple[slice, int]:
    """`size` positions around a center at `place` in 0..1, without those outside of 0..length."""
    center = int(length * place)
    first, last = max(0, center - size // 2), min(length, center + size // 2)
    return slice(first, last), last - first


def _check_alpha(step: Step, alpha: float) -> None:
    if not is_number(alpha, 0) or alpha == 0:
        raise wrong(step, "alpha", alpha, "a number above 0")
