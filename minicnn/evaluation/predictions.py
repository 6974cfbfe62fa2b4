"""The predictions of one or several networks for a data set, and their errors."""

import csv
import io
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from ..files import replacing
from ..training.metrics import Evaluation, rank

TOP = 5
SMALLEST = 1e-12  # probabilities below it count as this in the loss


@dataclass(frozen=True)
class Predictions:
    """The probabilities of the classes for each image.

    probabilities: `(N, classes)`. labels: `(N,)`, the true classes.
    classes: the names of the classes. images: the names of the N images, such as their files.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    images: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ranks(self) -> np.ndarray:
        """For each image, the number of classes more probable than the true one, `(N,)`."""
        return rank(self.probabilities, self.labels)

    @property
    def top1_error(self) -> float:
        """The fraction of the images whose most probable class is wrong."""
        return float((self.ranks > 0).mean())

    @property
    def top5_error(self) -> float | None:
        """The fraction whose class is not among the five most probable; None below 6 classes."""
        return float((self.ranks >= TOP).mean()) if len(self.classes) > TOP else None

    @property
    def evaluation(self) -> Evaluation:
        """Accuracies, the confusion matrix, and the mean of -log p(true class) as the loss."""
        own = self.probabilities[np.arange(len(self)), self.labels].astype(np.float64)
        confusion = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(confusion, (self.labels, self.probabilities.argmax(axis=1)), 1)
        top5 = self.top5_error
        return Evaluation(
            loss=float(-np.log(np.maximum(own, SMALLEST)).mean()),
            accuracy=1 - self.top1_error,
            top5=None if top5 is None else 1 - top5,
            confusion=confusion,
            classes=self.classes,
        )

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write one row per image: its name, label, prediction, probability, and the top five."""
        ranked = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :TOP]
        heading = ["image", "label", "prediction", "probability"]
        for place in range(2, ranked.shape[1] + 1):
            heading += [f"prediction_{place}", f"probability_{place}"]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(heading)
        for i, best in enumerate(ranked):
            row: list[Any] = [self.images[i], self.classes[self.labels[i]]]
            for label in best:
                row += [self.classes[label], f"{self.probabilities[i, label]:.6f}"]
            writer.writerow(row)
        with replacing(path) as file:
            file.write(text.getvalue().encode("utf-8", "surrogateescape"))
