"""Augmentations that mix the images of a batch and their labels, after normalization.

They are called as `mixing(x, targets, generator)` with x float32 `(n, H, W, C)` and targets float32
`(n, classes)`, whose rows sum to 1, and return both. Each draws one weight for the whole batch, as
the papers' code does.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .step import Step, check_probability


class Mixing(Step, ABC):
    """An augmentation that changes labels too: it needs a loss that takes soft targets."""

    @abstractmethod
    def __call__(
        self, x: np.ndarray, targets: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mixed images and targets."""


@dataclass(frozen=True, repr=False)
class Mixup(Mixing):
    """x = w x_i + (1 - w) x_j, and likewise the targets, w ~ Beta(alpha, alpha).

    j is a random permutation of the batch. Zhang et al. 2018, equation 1: alpha is 0.2 for
    ImageNet, 1.0 for CIFAR-10 (sections 3.1 and 3.2).
    """

    alpha: float

    def __post_init__(self) -> None:
        _check_alpha(self, self.alpha)

    def __call__(
        self, x: np.ndarray, targets: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        weight = np.float32(generator.beta(self.alpha, self.alpha))
        others = generator.permutation(len(x))
        return _blend(x, weight, others), _blend(targets, weight, others)


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

    def __call__(
        self, x: np.ndarray, targets: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        if generator.random() >= self.p:
            return x, targets
        h, w = x.shape[1:3]
        side = np.sqrt(1 - generator.beta(self.alpha, self.alpha))
        others = generator.permutation(len(x))
        rows, height = _span(h, int(h * side), generator)
        columns, width = _span(w, int(w * side), generator)
        mixed = x.copy()
        mixed[:, rows, columns] = x[others, rows, columns]
        return mixed, _blend(targets, np.float32(1 - height * width / (h * w)), others)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 `(n, classes)`, 1 at each label."""
    targets = np.zeros((len(labels), classes), np.float32)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def _blend(values: np.ndarray, weight: np.float32, others: np.ndarray) -> np.ndarray:
    return weight * values + (1 - weight) * values[others]


def _span(length: int, size: int, generator: np.random.Generator) -> tuple[slice, int]:
    """`size` positions around a random center, without those outside of 0..length."""
    center = int(generator.integers(0, length))
    first, last = max(0, center - size // 2), min(length, center + size // 2)
    return slice(first, last), last - first


def _check_alpha(step: Step, alpha: float) -> None:
    if not 0 < alpha < np.inf:
        raise ValueError(f"{step}: alpha must be finite and larger than 0")
