"""Losses: from a network's outputs and the labels to a number and the gradient of the outputs.

A loss is any callable with `value, gradient = loss(outputs, labels)`; such as a plain function.
If it also has a method `probabilities(outputs)`, with result `(N, classes)` and rows that sum to 1,
accuracies and predictions use it; otherwise the outputs are taken as logits.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from ..device import array_device, to_host
from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.thread_state import ThreadState


class LossState(ThreadState):
    """labels_checked: labels on the GPU are not checked again."""

    labels_checked: bool = False


_state = LossState()


class Loss(Protocol):
    """A loss for `fit` and `evaluate`.

    Called with the network's outputs, `(N, classes)`, and the labels, `(N,)`, it returns the mean
    loss of the batch, a scalar, and its gradient with respect to the outputs.
    """

    def __call__(self, outputs: Any, labels: np.ndarray, /) -> tuple[Any, Any]:
        """The loss and the gradient of the outputs."""


def probabilities_of(loss: Loss, outputs: Any) -> np.ndarray:
    """The probabilities `(N, classes)`: `loss.probabilities(outputs)`, or softmax(outputs)."""
    own = getattr(loss, "probabilities", None)
    if own is not None:
        return own(outputs)
    return F.softmax(outputs[0] if isinstance(outputs, tuple) else outputs)


def labels_checked() -> AbstractContextManager[None]:
    """Within this block, labels on a GPU are not checked again: each check makes the host wait."""
    return _state.changed(labels_checked=True)


def check_label_range(labels: np.ndarray, classes: int, what: str = "labels") -> None:
    """Raise ShapeError unless all labels, on the host, are in 0..classes-1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ShapeError(
            f"{what} run from {low} to {high}; the network has classes 0 to {classes - 1}"
        )


def check_labels(outputs: np.ndarray, labels: Any) -> np.ndarray:
    """The labels as an array. Raises ShapeError unless they fit the outputs `(N, classes)`.

    They must be `(N,)` integers in 0..classes-1.
    """
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    if outputs.ndim != 2:
        raise ShapeError(
            f"the network's output has shape {outputs.shape}; a loss expects (N, classes)"
        )
    if labels.shape != outputs.shape[:1] or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"labels are {labels.dtype} {labels.shape}; "
            f"expected integers of shape ({len(outputs)},)"
        )
    if array_device(labels) == "cpu" or not _state.labels_checked:
        check_label_range(to_host(labels), outputs.shape[1])
    return labels


def softmax_cross_entropy(logits: np.ndarray, labels: Any) -> tuple[Any, np.ndarray]:
    """The mean of `-log softmax(logits)[label]` over the batch, and its gradient.

    logits `(N, classes)`, labels `(N,)` integers. Returns the loss (a scalar) and dlogits
    `(N, classes)`. Raises ShapeError for labels that do not fit.
    See `minicnn.kernels.reference.loss`.
    """
    return F.softmax_cross_entropy(logits, check_labels(logits, labels))


class SoftmaxCrossEntropy:
    """Softmax cross-entropy on logits: the loss of every network here except LeNet-5 of 1998."""

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        return softmax_cross_entropy(outputs, labels)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """softmax(logits)."""
        return F.softmax(outputs)

    def __repr__(self) -> str:
        return "SoftmaxCrossEntropy()"


class AuxiliaryLoss:
    """GoogLeNet's loss in training: `L = L_main + weight * (L_aux1 + L_aux2 + ...)`.

    Each term is softmax cross-entropy. Outputs that are not a tuple (in evaluation) have the main
    loss only. Source: Szegedy et al. 2014, section 5: weight 0.3.
    """

    def __init__(self, weight: float = 0.3):
        self.weight = weight

    def __call__(self, outputs: Any, labels: np.ndarray) -> tuple[Any, Any]:
        if not isinstance(outputs, tuple):
            return softmax_cross_entropy(outputs, labels)
        main, *auxiliary = (softmax_cross_entropy(logits, labels) for logits in outputs)
        loss = main[0] + self.weight * sum(value for value, _ in auxiliary)
        return loss, (
            main[1],
            *(gradient * gradient.dtype.type(self.weight) for _, gradient in auxiliary),
        )

    def probabilities(self, outputs: Any) -> np.ndarray:
        """softmax of the main logits."""
        return F.softmax(outputs[0] if isinstance(outputs, tuple) else outputs)

    def __repr__(self) -> str:
        return f"AuxiliaryLoss({self.weight:g})"


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
