"""Losses: from a network's outputs and the labels to a number and the gradient of the outputs.

A loss is any callable with `value, gradient = loss(outputs, labels)`; such as a plain function.
If it also has a method `probabilities(outputs)`, with result `(N, classes)` and rows that sum to 1,
accuracies and predictions use it; otherwise the outputs are taken as logits. If it has an attribute
`plain`, that is the loss of validation and test images: without smoothing and weights, so that the
losses of runs can be compared.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np

from ..checks import is_number
from ..data.dataset import Dataset
from ..device import array_device, to_device
from ..errors import ShapeError, brief
from ..kernels import functional as F
from .targets import check_labels, check_targets


class Loss(Protocol):
    """A loss for `fit` and `evaluate`.

    Called with the network's outputs, `(N, classes)`, and the labels, `(N,)` integers or
    `(N, classes)` floats, it returns the mean loss of the batch, a scalar, and its gradient with
    respect to the outputs.
    """

    def __call__(self, outputs: Any, labels: np.ndarray, /) -> tuple[Any, Any]:
        """The loss and the gradient of the outputs."""


def checked_result(found: Any, outputs: Any, loss: Loss) -> tuple[Any, Any]:
    """What the loss, which may be anyone's function, has returned for the outputs.

    Raises ShapeError unless it is a number and a gradient in the shape of the outputs.
    """
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        kind = type(found).__name__
        given = f"a {kind} of {len(found)}" if isinstance(found, (tuple, list)) else kind
        raise ShapeError(
            f"loss={brief(loss)}: it returned {given}; expected a pair: value, gradient"
        )
    value, gradient = found
    if not isinstance(value, Real) and getattr(value, "shape", None) != ():
        given = f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
        raise ShapeError(f"loss={brief(loss)}: its value is {given}; expected the mean, a number")
    if _shape(gradient) != _shape(outputs):
        raise ShapeError(
            f"loss={brief(loss)}: its gradient has shape {_shape(gradient)}; expected that of the "
            f"outputs, {_shape(outputs)}"
        )
    return value, gradient


def _shape(arrays: Any) -> Any:
    """The shape of an array, those of a tuple of them, or None."""
    if isinstance(arrays, tuple):
        return tuple(map(_shape, arrays))
    return getattr(arrays, "shape", None)


def probabilities_of(loss: Loss, outputs: Any) -> np.ndarray:
    """The probabilities `(N, classes)`: `loss.probabilities(outputs)`, or softmax(outputs)."""
    own = getattr(loss, "probabilities", None)
    if own is not None:
        return own(outputs)
    return F.softmax(outputs[0] if isinstance(outputs, tuple) else outputs)


def plain(loss: Loss) -> Loss:
    """The loss of validation and test images: `loss.plain`, or the loss itself."""
    return getattr(loss, "plain", loss)


def is_multi_label(loss: Loss, labels: np.ndarray) -> bool:
    """True if every class is a question of its own, so that an image may have several."""
    return isinstance(loss, BinaryCrossEntropy) and labels.ndim == 2


def softmax_cross_entropy(logits: np.ndarray, labels: Any) -> tuple[Any, np.ndarray]:
    """The mean of `-log softmax(logits)[label]` over the batch, and its gradient.

    logits `(N, classes)`, labels `(N,)` integers, or `(N, classes)` the probabilities of the
    classes. Returns the loss (a scalar) and dlogits `(N, classes)`. Raises ShapeError for labels
    that do not fit.
    See `minicnn.kernels.reference.loss`.
    """
    return F.softmax_cross_entropy(logits, check_targets(logits, labels, total=1.0))


class SoftmaxCrossEntropy:
    """Softmax cross-entropy on logits: the loss of every network here except LeNet-5 of 1998.

    label_smoothing: the share of the target that is spread over all classes (Szegedy et al. 2016,
        section 7: 0.1).
    class_weights: one factor of the loss per class; see `balanced_weights`.
    Labels are `(N,)` integers, or probabilities `(N, classes)` with rows that sum to 1.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | np.ndarray | None = None,
    ):
        if not is_number(label_smoothing, 0, 1):
            raise ValueError(
                f"SoftmaxCrossEntropy: label_smoothing={brief(label_smoothing)}: expected 0 to 1"
            )
        if isinstance(class_weights, str):
            raise ValueError(
                f"SoftmaxCrossEntropy: class_weights={brief(class_weights)}: expected a number per "
                "class, such as training.balanced_weights(train)"
            )
        self.label_smoothing = float(label_smoothing)
        self.class_weights = None if class_weights is None else tuple(map(float, class_weights))
        weights = np.array(self.class_weights or [1.0])
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError(
                f"SoftmaxCrossEntropy: class_weights={self.class_weights}: expected numbers >= 0, "
                "one of them above 0"
            )

    @property
    def plain(self) -> "SoftmaxCrossEntropy":
        """Without smoothing and weights."""
        return SoftmaxCrossEntropy()

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        targets = check_targets(outputs, labels, total=1.0)
        if self.class_weights is None:
            return F.softmax_cross_entropy(outputs, targets, None, self.label_smoothing)
        if len(self.class_weights) != outputs.shape[1]:
            raise ShapeError(
                f"there are {len(self.class_weights)} class weights; "
                f"the network has {outputs.shape[1]} classes"
            )
        dtype = np.float64 if outputs.dtype == np.float64 else np.float32
        weights = to_device(np.array(self.class_weights, dtype), array_device(outputs))
        return F.softmax_cross_entropy(outputs, targets, weights, self.label_smoothing)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """softmax(logits)."""
        return F.softmax(outputs)

    def __repr__(self) -> str:
        given = [f"label_smoothing={self.label_smoothing:g}"] if self.label_smoothing else []
        given += [f"class_weights={self.class_weights}"] if self.class_weights else []
        return f"SoftmaxCrossEntropy({', '.join(given)})"


class AuxiliaryLoss:
    """GoogLeNet's loss in training: `L = L_main + weight * (L_aux1 + L_aux2 + ...)`.

    loss: each term; by default softmax cross-entropy. Outputs that are not a tuple (in evaluation)
    have the main loss only. Source: Szegedy et al. 2014, section 5: weight 0.3.
    """

    def __init__(self, weight: float = 0.3, loss: Loss | None = None):
        self.weight, self.loss = weight, loss or SoftmaxCrossEntropy()

    @property
    def plain(self) -> "AuxiliaryLoss":
        """The same with the plain loss of each term."""
        return AuxiliaryLoss(self.weight, plain(self.loss))

    def __call__(self, outputs: Any, labels: np.ndarray) -> tuple[Any, Any]:
        if not isinstance(outputs, tuple):
            return checked_result(self.loss(outputs, labels), outputs, self.loss)
        main, *auxiliary = (
            checked_result(self.loss(logits, labels), logits, self.loss) for logits in outputs
        )
        loss = main[0] + self.weight * sum(value for value, _ in auxiliary)
        return loss, (
            main[1],
            *(gradient * gradient.dtype.type(self.weight) for _, gradient in auxiliary),
        )

    def probabilities(self, outputs: Any) -> np.ndarray:
        """Those of the main outputs."""
        return probabilities_of(self.loss, outputs[0] if isinstance(outputs, tuple) else outputs)

    def __repr__(self) -> str:
        own = "" if repr(self.loss) == "SoftmaxCrossEntropy()" else f", {self.loss!r}"
        return f"AuxiliaryLoss({self.weight:g}{own})"


class MAPLoss:
    """The maximum a posteriori criterion on RBF distances (LeCun et al. 1998, equation 9).

    j is the distance of the paper's rubbish class.
    """

    def __init__(self, j: float = 0.1):
        self.j = j

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        return F.map_loss(outputs, check_labels(outputs, labels), self.j)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """softmax(-distance): the nearest code is the most probable class."""
        return F.softmax(-outputs)

    def __repr__(self) -> str:
        return f"MAPLoss(j={self.j:g})"


class MeanSquaredError:
    """`mean((outputs - targets)^2)` over all elements: of one-hot labels, or targets `(N, K)`.

    The class with the largest output is the answer.
    """

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        return F.mean_squared_error(outputs, check_targets(outputs, labels, limit=None))

    def __repr__(self) -> str:
        return "MeanSquaredError()"


class BinaryCrossEntropy:
    """Sigmoid cross-entropy on logits: every class is a question of its own.

    Labels are `(N, classes)` floats, 1 for each class that the image has and 0 for the others
    (multi-label). Accuracy is then the share of right answers, those with a probability on the
    right side of 1/2. Labels `(N,)` are taken as one-hot, and accuracy is that of the most probable
    class.
    """

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        return F.binary_cross_entropy(outputs, check_targets(outputs, labels))

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """sigmoid(logits), one per class; a row does not sum to 1."""
        return F.sigmoid(outputs)

    def __repr__(self) -> str:
        return "BinaryCrossEntropy()"


def balanced_weights(dataset: Dataset) -> tuple[float, ...]:
    """Class weights that give every class the same say: `N / (classes * images of the class)`.

    Their mean over the N images is 1. A class without images has weight 0 and is not counted.
    """
    labels, n = dataset.labels, len(dataset.classes)
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=n)
    total, present = float(counts.sum()), int((counts > 0).sum())
    return tuple(total / (present * float(c)) if c > 0 else 0.0 for c in counts)


def adjusted(
    loss: Loss, label_smoothing: float | None, class_weights: Sequence[float] | None
) -> Loss:
    """A copy of the loss with that smoothing and those weights; None keeps its own.

    Raises ValueError for a loss that has neither.
    """
    if label_smoothing is None and class_weights is None:
        return loss
    if isinstance(loss, AuxiliaryLoss):
        return AuxiliaryLoss(loss.weight, adjusted(loss.loss, label_smoothing, class_weights))
    if not isinstance(loss, SoftmaxCrossEntropy):
        name = "label_smoothing" if label_smoothing is not None else "class_weights"
        raise ValueError(f"{name}: the loss {loss!r} has none; expected SoftmaxCrossEntropy")
    return SoftmaxCrossEntropy(
        loss.label_smoothing if label_smoothing is None else label_smoothing,
        loss.class_weights if class_weights is None else class_weights,
    )
