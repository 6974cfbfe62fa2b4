"""How good a network is on a data set: loss, top-1 and top-5 accuracy, the confusion matrix, accuracy per class."""

from dataclasses import dataclass, replace

import numpy as np

from ..data.dataset import as_dataset
from ..data.loader import Loader
from ..device import model_device, to_device, to_host, to_input
from ..layers import Layer, fuse, no_grad
from .losses import SoftmaxCrossEntropy
from .step import rank


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    loss: mean over the images. accuracy, top5: shares in 0..1 (top5 is None below 6 classes).
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


def loss_of(model: Layer):
    """The loss the model was made for; softmax cross-entropy if it does not say."""
    return getattr(model, "loss", None) or SoftmaxCrossEntropy()


def preprocess_of(model: Layer):
    """What the model's recipe does to images, for as many channels as the model reads; None for a model without a recipe."""
    recipe = getattr(model, "recipe", None)
    return replace(recipe.preprocess, channels=model.input_shape[2]) if recipe else None


def evaluate(
    model: Layer, dataset, *, batch_size: int = 256, loss=None, preprocess=None, on_batch=None
) -> Evaluation:
    """Run the model over a data set in evaluation mode; its mode is restored afterwards.

    dataset: a Dataset or `(images, labels)`. loss, preprocess: the model's own if None. `on_batch(images)` is told the progress.
    """
    dataset = as_dataset(dataset)
    loss = loss or loss_of(model)
    loader = Loader(dataset, batch_size, preprocess or preprocess_of(model))
    total, top1, top5 = 0.0, 0, 0
    confusion = np.zeros((len(dataset.classes), len(dataset.classes)), np.int64)
    was_training, place = model.training, model_device(model)
    fused = fuse(model.eval())
    try:
        with no_grad():
            for x, labels in loader:
                outputs = fused(to_input(x, place))
                value, _ = loss(outputs, to_device(labels, place))
                total += float(value) * len(labels)
                probabilities = to_host(loss.probabilities(outputs)).astype(np.float32)
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
