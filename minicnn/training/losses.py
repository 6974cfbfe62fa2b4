"""Losses: from a network's outputs and the labels to one number and the gradient of the outputs.

A loss is called as `loss, gradient = loss(outputs, labels)`; `probabilities(outputs)` turns outputs into what the network believes,
`(N, classes)`, rows summing to 1, largest for the predicted class.
"""

import numpy as np

from ..device import array_device
from ..errors import ShapeError
from ..kernels import functional as F


def check_labels(outputs, labels) -> np.ndarray:
    """The labels as an array. Raises ShapeError unless they are `(N,)` integers in 0..classes-1 for outputs `(N, classes)`.

    Labels on a GPU are taken as they are: training looks at all of them before it begins.
    """
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    if outputs.ndim != 2:
        raise ShapeError(
            f"the network's output has shape {outputs.shape}; a loss expects (N, classes)"
        )
    if labels.shape != outputs.shape[:1] or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"labels are {labels.dtype} {labels.shape}; expected integers of shape ({len(outputs)},)"
        )
    if (
        array_device(outputs) != "cpu"
    ):  # reading them would make the host wait for the GPU in every step
        return labels
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= outputs.shape[1]:
        raise ShapeError(
            f"labels run from {low} to {high}; the network has classes 0 to {outputs.shape[1] - 1}"
        )
    return labels


def softmax_cross_entropy(logits, labels):
    """The mean of `-log softmax(logits)[label]` over the batch, and its gradient.

    logits `(N, classes)`, labels `(N,)` integers. Returns the loss (a scalar) and dlogits `(N, classes)`.
    Raises ShapeError for labels that do not fit. See `kernels/reference/loss.py`.
    """
    return F.softmax_cross_entropy(logits, check_labels(logits, labels))


class SoftmaxCrossEntropy:
    """Softmax cross-entropy on logits: the loss of every network here but LeNet-5 of 1998."""

    def __call__(self, outputs, labels):
        return softmax_cross_entropy(outputs, labels)

    def probabilities(self, outputs):
        """softmax(logits)."""
        return F.softmax(outputs)

    def __repr__(self):
        return "SoftmaxCrossEntropy()"


class AuxiliaryLoss:
    """GoogLeNet's loss in training: `L = L_main + weight * (L_aux1 + L_aux2 + ...)`, softmax cross-entropy each.

    Outputs that are no tuple (in evaluation) have the main loss alone. Source: Szegedy et al. 2014, section 5: weight 0.3.
    """

    def __init__(self, weight: float = 0.3):
        self.weight = weight

    def __call__(self, outputs, labels):
        if not isinstance(outputs, tuple):
            return softmax_cross_entropy(outputs, labels)
        main, *auxiliary = (softmax_cross_entropy(logits, labels) for logits in outputs)
        loss = main[0] + self.weight * sum(value for value, _ in auxiliary)
        return loss, (
            main[1],
            *(gradient * gradient.dtype.type(self.weight) for _, gradient in auxiliary),
        )

    def probabilities(self, outputs):
        """softmax of the main logits."""
        return F.softmax(outputs[0] if isinstance(outputs, tuple) else outputs)

    def __repr__(self):
        return f"AuxiliaryLoss({self.weight:g})"


class MAPLoss:
    """The maximum a posteriori criterion on RBF distances (LeCun et al. 1998, equation 9); j is the rubbish class's distance."""

    def __init__(self, j: float = 0.1):
        self.j = j

    def __call__(self, outputs, labels):
        return F.map_loss(outputs, check_labels(outputs, labels), self.j)

    def probabilities(self, outputs):
        """softmax(-distance): the nearest code is the most probable class."""
        return F.softmax(-outputs)

    def __repr__(self):
        return f"MAPLoss(j={self.j:g})"
