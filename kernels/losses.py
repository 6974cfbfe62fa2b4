"""The losses among the operations of `functional`: a mean over the batch, and its gradient."""

from . import reference
from .dispatch import select
from .types import Array


def softmax(logits: Array) -> Array:
    """`exp(z_i) / sum_j exp(z_j)` along the last axis."""
    return select(reference.softmax, logits)(logits)


def softmax_grad(dy: Array, y: Array) -> Array:
    """The gradient of `softmax` with respect to the logits, from its output y."""
    return select(reference.softmax_grad, dy)(dy, y)


def softmax_cross_entropy(
    logits: Array,
    targets: Array,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Array, Array]:
    """The mean of `-sum_c w_c q_c log softmax(logits)_c`, q the smoothed targets, and its gradient.

    logits are `(N, classes)`. targets are labels, integers `(N,)`, or distributions
    `(N, classes)`. class_weights w: `(classes,)`, or None for ones.
    Returns the loss, a scalar array, and dlogits `(N, classes)`.
    """
    operation = select(reference.softmax_cross_entropy, logits)
    return operation(logits, targets, class_weights, label_smoothing)


def binary_cross_entropy(logits: Array, targets: Array) -> tuple[Array, Array]:
    """The mean of `-t log p - (1 - t) log(1 - p)`, p = sigmoid(logits), and its gradient.

    logits and targets, in 0..1, are `(N, classes)`; labels `(N,)` are taken as one-hot.
    Returns the loss, a scalar array, and dlogits.
    """
    return select(reference.binary_cross_entropy, logits)(logits, targets)


def mean_squared_error(y: Array, targets: Array) -> tuple[Array, Array]:
    """The mean of `(y - targets)^2` over all elements, a scalar array, and its gradient dy.

    y and targets are `(N, K)`; labels `(N,)` are taken as one-hot.
    """
    return select(reference.mean_squared_error, y)(y, targets)


def map_loss(y: Array, labels: Array, j: float = 0.1) -> tuple[Array, Array]:
    """LeNet-5's maximum a posteriori criterion (LeCun et al. 1998, equation 9), and its gradient.

    y `(N, classes)` are RBF distances, labels `(N,)` integers; j > 0 is the distance of the rubbish
    class.
    Returns the loss, a scalar array, and dy `(N, classes)`.
    """
    return select(reference.map_loss, y)(y, labels, j)
