"""Measures of a network: loss, top-1 and top-5 accuracy, confusion matrix, accuracy per class."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import synsets
from ..data.dataset import Dataset, as_dataset
from ..data.loader import Loader
from ..data.transforms import Preprocess
from ..device import model_device, to_device, to_host, to_input
from ..layers import Layer, fuse, metadata, no_grad
from .losses import Loss, SoftmaxCrossEntropy, check_label_range, labels_checked, probabilities_of


def rank(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each row, the number of classes more probable than the true one: 0 is a top-1 hit.

    Ties count as more probable, unless argmax is the true class.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    ties = (probabilities == own).sum(axis=1) - 1
    return (probabilities > own).sum(axis=1) + ties * (probabilities.argmax(axis=1) != labels)


class RunningMetrics:
    """Loss and accuracy of the current epoch so far.

    loss: the sum over the images; correct: the number that were classified correctly;
    images: their number; seconds: the time spent on them. last_loss, last_accuracy: those
    of the latest step, or on a GPU, where they are read rarely, of the latest steps that were read.
    """

    def __init__(self, loss: Loss):
        self._loss = loss
        self._started: float | None = None
        self.last_loss, self.last_accuracy = math.nan, 0.0
        self.reset()

    def reset(self) -> None:
        """Start a new epoch."""
        self.load_state_dict({"loss": 0.0, "correct": 0, "images": 0, "seconds": 0.0})

    def start_clock(self) -> None:
        """Count the seconds from here on, up to `stop_clock`."""
        self._started = time.perf_counter() - self._seconds

    def stop_clock(self) -> None:
        """Stop counting the seconds."""
        self._seconds, self._started = self.seconds, None

    def add(self, loss: Any, outputs: Any, labels: np.ndarray) -> None:
        """Add the mean `loss` of a batch, and the hits in its outputs, to the sums."""
        n = len(labels)
        hits = int((rank(probabilities_of(self._loss, outputs), labels) == 0).sum())
        self.last_loss, self.last_accuracy = float(loss), hits / n
        self.loss += self.last_loss * n
        self.correct += hits

    def count(self, images: int) -> bool:
        """Count the images of a batch that was added. Returns True if `last_loss` is new."""
        self.images += images
        return True

    def read(self) -> None:
        """Bring all numbers up to date. (On a GPU they are summed there and read rarely.)"""

    @property
    def seconds(self) -> float:
        """The time spent on the epoch, in seconds."""
        return self._seconds if self._started is None else time.perf_counter() - self._started

    @property
    def mean_loss(self) -> float:
        """The mean loss over the images of the epoch."""
        return self.loss / self.images

    @property
    def accuracy(self) -> float:
        """The fraction of the epoch's images that were classified correctly."""
        return self.correct / self.images

    @property
    def images_per_second(self) -> float:
        """The speed of training in this epoch."""
        return self.images / self.seconds

    def state_dict(self) -> dict[str, float]:
        """The sums, for a checkpoint."""
        names = ("loss", "correct", "images", "seconds")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state given by `state_dict`."""
        self.loss, self.correct = float(state["loss"]), int(state["correct"])
        self.images, self._seconds = int(state["images"]), float(state["seconds"])
        self._started = None


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    loss: mean over the images. accuracy, top5: fractions in 0..1 (top5 is None below 6 classes).
    confusion: `(classes, classes)` counts, row = true class, column = prediction.
    """

    loss: float
    accuracy: float
    top5: float | None
    confusion: np.ndarray
    classes: tuple[str, ...]

    @property
    def per_class(self) -> np.ndarray:
        """The accuracy on each class's images, `(classes,)`; NaN for a class without images."""
        totals = self.confusion.sum(axis=1)
        return np.divide(
            self.confusion.diagonal(), totals, out=np.full(len(totals), np.nan), where=totals > 0
        )


def loss_of(model: Layer) -> Loss:
    """The loss of the model; softmax cross-entropy if it has none."""
    return metadata(model).loss or SoftmaxCrossEntropy()


def classes_of(model: Layer) -> tuple[str, ...]:
    """The names of the model's classes, in the order of its outputs; () if they are not known.

    A network that was not trained here has no names. If it is one of ImageNet's, with 1000 outputs,
    it has the names of ImageNet's classes.
    """
    about = metadata(model)
    if about.classes:
        return synsets.readable(about.classes)
    is_imagenets = getattr(about.recipe, "data", None) == "imagenet"
    if not is_imagenets or about.trained_on not in ("", "imagenet") or not about.input_shape:
        return ()
    _, *outputs = model.output_shape((1, *about.input_shape))
    return synsets.names() if outputs == [synsets.COUNT] else ()


def preprocess_of(model: Layer) -> Any:
    """From pixels to the input of that model: what its weights were trained with, or its recipe's.

    None for a model without either.
    """
    about = metadata(model)
    return about.preprocess or (recipe_preprocess(about.recipe, model) if about.recipe else None)


def recipe_preprocess(recipe: Any, model: Layer) -> Preprocess | None:
    """The preprocessing of a recipe, for the size and channels that the model reads."""
    shape = metadata(model).input_shape
    return recipe.preprocess.for_input(shape) if shape and recipe.preprocess else recipe.preprocess


def evaluate(
    model: Layer,
    dataset: Dataset | tuple[Any, Any],
    *,
    batch_size: int = 256,
    loss: Loss | None = None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    on_batch: Callable[[int], Any] | None = None,
) -> Evaluation:
    """Run the model over a data set in evaluation mode; its mode is restored afterwards.

    dataset: a Dataset or `(images, labels)`. loss, preprocess: the model's own if None.
    on_batch: called after each batch with its number of images.
    Labels of a Dataset with class names are matched with the network's by name.
    Raises ShapeError for images or labels that do not fit the network, DataError for images of a
    class that it does not know.
    """
    dataset = as_dataset(dataset).with_classes(classes_of(model))
    loss = loss or loss_of(model)
    loader = Loader(dataset, batch_size, preprocess or preprocess_of(model))
    total, top1, top5 = 0.0, 0, 0
    confusion = np.zeros((len(dataset.classes), len(dataset.classes)), np.int64)
    was_training, place = model.training, model_device(model)
    model.eval()
    network = fuse(model)
    try:
        with no_grad(), labels_checked():
            for x, labels in loader:
                outputs = network(to_input(x, place))
                probabilities = to_host(probabilities_of(loss, outputs)).astype(np.float32)
                check_label_range(labels, probabilities.shape[1])
                value, _ = loss(outputs, to_device(labels, place))
                total += float(value) * len(labels)
                ranks = rank(probabilities, labels)
                top1 += int((ranks == 0).sum())
                top5 += int((ranks < 5).sum())
                if probabilities.shape[1] > len(confusion):
                    confusion = np.pad(confusion, (0, probabilities.shape[1] - len(confusion)))
                np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
                if on_batch:
                    on_batch(len(labels))
    finally:
        model.train(was_training)
    n = len(dataset)
    classes = dataset.classes + tuple(map(str, range(len(dataset.classes), len(confusion))))
    return Evaluation(
        total / n, top1 / n, top5 / n if len(confusion) > 5 else None, confusion, classes
    )
