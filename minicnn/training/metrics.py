"""Measures of a network: loss, top-1 and top-5 accuracy, confusion matrix, accuracy per class."""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..captured import captured
from ..checks import is_function
from ..data import synsets
from ..data.dataset import Dataset, as_dataset
from ..data.loader import Loader
from ..data.resident import UploadingLoader
from ..data.shards import EveryOther
from ..data.transforms import Preprocess
from ..device import model_device, to_host, to_input
from ..distributed.team import Team
from ..errors import DivergedError, brief
from ..kernels.types import Array
from ..layers import Layer, fuse, inference_mode, metadata
from ..text import aligned, html_table
from .losses import (
    Loss,
    SoftmaxCrossEntropy,
    checked_result,
    is_multi_label,
    plain,
    probabilities_of,
)
from .targets import check_label_range, labels_checked, most_probable

SMALL = 20  # classes whose confusion matrix is printed


def rank(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each row, the number of classes more probable than the true one: 0 is a top-1 hit.

    Ties, and NaN, count as more probable; ties do not if argmax is the true class.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    ties = np.maximum((probabilities == own).sum(axis=1) - 1, 0)  # NaN does not equal itself
    first = probabilities.argmax(axis=1) == labels
    return (~(probabilities < own)).sum(axis=1) - 1 - ties * first


def right_answers(loss: Loss, outputs: Any, labels: np.ndarray) -> float:
    """The number of images whose label, or most probable class, is the most probable output.

    With a multi-label loss, the sum over the images of the share of their classes that are right.
    """
    probabilities = probabilities_of(loss, outputs)
    if is_multi_label(loss, labels):
        return float(((probabilities > 0.5) == (labels > 0.5)).mean(axis=1).sum())
    return float((rank(probabilities, most_probable(labels)) == 0).sum())


class RunningMetrics:
    """Loss and accuracy of the current epoch so far.

    loss: the sum over the images; correct: the sum of `right_answers`;
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
        self.load_state_dict({"loss": 0.0, "correct": 0.0, "images": 0, "seconds": 0.0})

    def start_clock(self) -> None:
        """Count the seconds from here on, up to `stop_clock`."""
        self._started = time.perf_counter() - self._seconds

    def stop_clock(self) -> None:
        """Stop counting the seconds."""
        self._seconds, self._started = self.seconds, None

    def add(self, loss: Any, outputs: Any, labels: np.ndarray) -> None:
        """Add the mean `loss` of a batch, and the hits in its outputs, to the sums."""
        self.sum_up(float(loss), self.hits(outputs, labels), len(labels))

    def hits(self, outputs: Any, labels: np.ndarray) -> float:
        """The number of right answers."""
        return right_answers(self._loss, outputs, labels)

    def sum_up(self, loss: float, hits: float, images: int) -> None:
        """Add the mean loss and the hits of a batch of so many images to the sums."""
        self.last_loss, self.last_accuracy = loss, hits / images
        self.loss += loss * images
        self.correct += hits

    @property
    def own_loss(self) -> float:
        """The last loss that this process computed, where several train together."""
        return self.last_loss

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
        self.loss, self.correct = float(state["loss"]), float(state["correct"])
        self.images, self._seconds = int(state["images"]), float(state["seconds"])
        self._started = None


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    loss: mean over the images. accuracy, top5: fractions in 0..1 (top5 is None below 6 classes).
    confusion: `(classes, classes)` counts, row = true class, column = prediction.

    If every class is a question of its own (multi-label), the accuracy is the share of right
    answers, top5 is None, and confusion is `(classes, 2, 2)`: per class, row = whether the image
    has it, column = the answer.

    `print(evaluation)` and a notebook show the accuracies, and the confusion matrix of up to 20
    classes.
    """

    loss: float
    accuracy: float
    top5: float | None
    confusion: np.ndarray
    classes: tuple[str, ...]

    @property
    def per_class(self) -> np.ndarray:
        """The accuracy on each class's images, `(classes,)`; NaN for a class without images.

        Multi-label: the share of right answers about each class.
        """
        if self.confusion.ndim == 3:
            return self.confusion.trace(axis1=1, axis2=2) / self.confusion.sum(axis=(1, 2))
        totals = self.confusion.sum(axis=1)
        return np.divide(
            self.confusion.diagonal(), totals, out=np.full(len(totals), np.nan), where=totals > 0
        )

    def table(self) -> list[list[str]]:
        """The confusion matrix as text, with headings; a point stands for 0."""
        rows = [["", *self.classes, "accuracy"]]
        for name, counts, share in zip(self.classes, self.confusion, self.per_class, strict=True):
            cells = [str(count) if count else "·" for count in counts]
            rows.append([name, *cells, "" if np.isnan(share) else f"{share:.2%}"])
        return rows

    @property
    def headline(self) -> str:
        """The loss and the accuracies in one line."""
        top5 = f", top-5 {self.top5:.2%}" if self.top5 is not None else ""
        return f"test loss {self.loss:.4f}, top-1 {self.accuracy:.2%}{top5}"

    @property
    def is_small(self) -> bool:
        """True for a confusion matrix that fits on a screen."""
        return self.confusion.ndim == 2 and len(self.classes) <= SMALL

    def __str__(self) -> str:
        table = aligned(self.table(), left={0}) if self.is_small else []
        return "\n".join([*table, self.headline])

    def _repr_html_(self) -> str:
        caption = "rows: true class, columns: prediction"
        table = html_table(self.table(), {0}, caption) if self.is_small else ""
        return f"{table}<p>{self.headline}</p>"


class _Answers:
    """The answers to all images so far.

    batches: per batch, the sum of the losses, the hits, and the hits among five.
    confusion: the confusion matrix.
    """

    def __init__(self, classes: int, multi_label: bool):
        self.batches: list[tuple[float, float, int]] = []
        shape = (classes, 2, 2) if multi_label else (classes, classes)
        self.confusion = np.zeros(shape, np.int64)

    def add(self, loss: float, probabilities: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch with its mean loss; labels are `(N,)`, or `(N, classes)`."""
        self.batches.append((loss * len(labels), *self._count(probabilities, labels)))

    def _count(self, probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        """The hits and the hits among five of a batch, which is added to the confusion matrix."""
        if self.confusion.ndim == 3:
            found, truth = probabilities > 0.5, labels > 0.5
            classes = np.broadcast_to(np.arange(found.shape[1]), found.shape)
            np.add.at(self.confusion, (classes, truth.astype(int), found.astype(int)), 1)
            return float((found == truth).mean(axis=1).sum()), 0
        labels = most_probable(labels)
        check_label_range(labels, probabilities.shape[1])
        ranks = rank(probabilities, labels)
        missing = probabilities.shape[1] - len(self.confusion)
        if missing > 0:
            self.confusion = np.pad(self.confusion, (0, missing))
        np.add.at(self.confusion, (labels, probabilities.argmax(axis=1)), 1)
        return int((ranks == 0).sum()), int((ranks < 5).sum())

    def shared(self, team: Team) -> "_Answers":
        """Those of all processes, of which the i-th has every i-th batch."""
        parts = team.gather((self.batches, self.confusion))
        rows = itertools.zip_longest(*(batches for batches, _ in parts))
        self.batches = [batch for row in rows for batch in row if batch is not None]
        widest = max((confusion for _, confusion in parts), key=len)
        self.confusion = np.zeros_like(widest)
        for _, confusion in parts:
            self.confusion[tuple(map(slice, confusion.shape))] += confusion
        return self


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


@contextmanager
def evaluating(model: Layer) -> Iterator[Layer]:
    """A block with the model in evaluation mode, without gradients: gives the fused network.

    The mode is restored afterwards.
    """
    with model.mode_kept(), inference_mode():
        yield fuse(model.eval())


def check_model(model: Any) -> None:
    """Raise ValueError unless this is a network."""
    if not isinstance(model, Layer):
        raise ValueError(
            f"model={brief(model)}: expected a network, such as models.create('lenet5')"
        )


def check_loss(loss: Any) -> None:
    """Raise ValueError unless this can be called as a loss."""
    if not is_function(loss, 2):
        raise ValueError(
            f"loss={brief(loss)}: expected a function of outputs and labels, such as "
            "training.SoftmaxCrossEntropy()"
        )


def check_preprocess(preprocess: Any) -> None:
    """Raise ValueError unless this is a function or None."""
    if preprocess is not None and not is_function(preprocess, 1):
        raise ValueError(
            f"preprocess={brief(preprocess)}: expected a function, such as data.Preprocess(...)"
        )


def _finite(probabilities: np.ndarray) -> np.ndarray:
    if not np.isfinite(probabilities).all():
        raise DivergedError(
            "the network's outputs are not finite; expected finite pixels, and weights for these"
        )
    return probabilities


def evaluate(
    model: Layer,
    dataset: Dataset | tuple[Any, Any],
    *,
    batch_size: int = 256,
    loss: Loss | None = None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    on_batch: Callable[[int], Any] | None = None,
    team: Team | None = None,
) -> Evaluation:
    """Run the model over a data set in evaluation mode; its mode is restored afterwards.

    dataset: a Dataset or `(images, labels)`. preprocess: the model's own if None. loss: by default
    the model's own, without label smoothing and class weights.
    on_batch: called after each batch with its number of images.
    team: processes that share the work; all of them get the result.
    Labels of a Dataset with class names are matched with the network's by name.
    Raises ShapeError for images or labels that do not fit the network, DataError for images of a
    class that it does not know, DivergedError for outputs that are not finite.
    """
    check_model(model)
    check_preprocess(preprocess)
    dataset = as_dataset(dataset).with_classes(classes_of(model))
    loss = plain(loss_of(model)) if loss is None else loss
    check_loss(loss)
    if on_batch is not None and not is_function(on_batch, 1):
        raise ValueError(f"on_batch={brief(on_batch)}: expected a function of the number of images")
    if team is not None and not isinstance(team, Team):
        raise ValueError(f"team={brief(team)}: expected a Team, or None for this process")
    device, team = model_device(model), team or Team()
    kind = Loader if device == "cpu" else UploadingLoader
    loader = kind(dataset, batch_size, preprocess or preprocess_of(model))
    loader.shards = EveryOther(batch_size, 1, team.rank, team.size)
    answers = _Answers(len(dataset.classes), is_multi_label(loss, dataset.labels))
    with evaluating(model) as network, labels_checked():

        def answer(x: Array, labels: Array) -> tuple[Array, Array]:
            outputs = network(to_input(x, device))
            value, _ = checked_result(loss(outputs, labels), outputs, loss)
            return probabilities_of(loss, outputs), value

        run = captured(answer, device)
        for x, labels in loader:
            probabilities, value = run(x, labels)
            answers.add(float(value), _finite(to_host(probabilities).astype(np.float32)), labels)
            if on_batch:
                on_batch(len(labels))
    n, counts = len(dataset), answers.shared(team).confusion
    total, hits, hits5 = (sum(column) for column in zip(*answers.batches, strict=True))
    classes = dataset.classes + tuple(map(str, range(len(dataset.classes), len(counts))))
    top5 = hits5 / n if counts.ndim == 2 and len(counts) > 5 else None
    return Evaluation(total / n, hits / n, top5, counts, classes)
