"""The images that a network gets wrong."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.dataset import Dataset, as_dataset
from ...evaluation import evaluate
from ...layers import Layer


@dataclass(frozen=True)
class Mistake:
    """One image that was classified wrongly.

    image: its position in the data set. name: its file, or the position as text.
    true, predicted: the names of the classes; probability, true_probability: what the network gives
    the predicted and the true class.
    """

    image: int
    name: str
    true: str
    predicted: str
    probability: float
    true_probability: float


@dataclass(frozen=True)
class Mistakes:
    """What a network got wrong of a data set.

    images, wrong: how many images there are, and how many are wrong.
    examples: those of the wrong ones that were asked for, the most certain mistake first.
    """

    images: int
    wrong: int
    examples: tuple[Mistake, ...]


def mistakes(model: Layer, data: Dataset | tuple[Any, Any], count: int = 30) -> Mistakes:
    """The `count` most certain mistakes: the largest probability of a wrong class comes first.

    data: a Dataset, or `(images, labels)`. Classes are matched by name, as in `evaluate`.
    """
    if count < 0:
        raise ValueError(f"count={count}: expected at least 0")
    found = evaluate(model, as_dataset(data))
    guesses = found.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(guesses != found.labels)
    certain = found.probabilities[wrong, guesses[wrong]]
    chosen = wrong[np.argsort(-certain, kind="stable")][:count]
    examples = tuple(
        Mistake(
            int(i),
            found.images[i],
            found.classes[found.labels[i]],
            found.classes[guesses[i]],
            float(found.probabilities[i, guesses[i]]),
            float(found.probabilities[i, found.labels[i]]),
        )
        for i in chosen
    )
    return Mistakes(len(found), len(wrong), examples)
