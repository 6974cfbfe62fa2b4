"""Losses and their gradients; a loss is a mean over the batch.

Labels are class indices `(N,)`; targets are numbers `(N, classes)`.
"""

import numpy as np

from ..types import Array
from .arrays import array_module


def softmax(logits: Array) -> Array:
    """`exp(z_i) / sum_j exp(z_j)` along the last axis.

    The largest logit is subtracted first, so that exp cannot overflow.
    """
    xp = array_module(logits)
    exponentials = xp.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def softmax_grad(dy: Array, y: Array) -> Array:
    """`dx_i = y_i (dy_i - sum_j dy_j y_j)` along the last axis, from the output y of `softmax`."""
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def as_targets(y: Array, targets: Array) -> Array:
    """Targets `(N, K)` as they are; labels `(N,)` one-hot, for outputs y `(N, K)`."""
    numbers = np.result_type(y.dtype, np.float32)  # not bfloat16
    if targets.ndim == 1:
        return array_module(y).eye(y.shape[1], dtype=numbers)[targets]
    return targets.astype(numbers, copy=False)


def smoothed_targets(
    logits: Array, targets: Array, class_weights: Array | None, label_smoothing: float
) -> Array:
    """`w_c ((1 - s) t_nc + s / classes)`, `(N, classes)`: see `softmax_cross_entropy`."""
    t = as_targets(logits, targets)
    q = (1 - label_smoothing) * t + label_smoothing / t.shape[1] if label_smoothing else t
    return q if class_weights is None else q * class_weights.astype(t.dtype)


def softmax_cross_entropy(
    logits: Array,
    targets: Array,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Array, Array]:
    """The mean of `-sum_c w_c q_c log softmax(logits)_c`, and its gradient.

        q = (1 - s) t + s / classes
        dlogits_nc = (softmax(logits)_nc sum_k w_k q_nk - w_c q_nc) / N

    Shapes: logits `(N, classes)`; targets are integers `(N,)`, for which t is one-hot, or t itself,
    `(N, classes)`; class_weights w `(classes,)`, by default ones. s is label_smoothing (Szegedy et
    al. 2016, section 7). Without smoothing and weights, labels give `-log softmax(logits)[label]`.
    The mean is over the N images; torch divides by the sum of the weights of the labels instead.
    Returns the loss, a scalar array, and dlogits `(N, classes)`.
    """
    xp = array_module(logits)
    wq = smoothed_targets(logits, targets, class_weights, label_smoothing)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    loss = -(wq * log_softmax).sum(axis=1).mean()
    dlogits = xp.exp(log_softmax) * wq.sum(axis=1, keepdims=True) - wq
    dlogits /= len(logits)
    return loss, dlogits


def binary_cross_entropy(logits: Array, targets: Array) -> tuple[Array, Array]:
    """The mean of `-t log p - (1 - t) log(1 - p)`, p = sigmoid(logits), and its gradient.

        loss = mean( max(z, 0) - z t + log(1 + exp(-|z|)) )        dz = (p - t) / (N classes)

    Every class is a question of its own: an image may have several. logits z and targets t are
    `(N, classes)`, targets in 0..1; labels `(N,)` are taken as one-hot.
    Returns the loss, a scalar array, and dlogits.
    """
    xp, targets = array_module(logits), as_targets(logits, targets)
    decay = xp.exp(-abs(logits))
    loss = (xp.maximum(logits, 0) - logits * targets + xp.log1p(decay)).mean()
    p = xp.where(logits >= 0, 1, decay) / (1 + decay)
    return loss, ((p - targets) / logits.size).astype(logits.dtype)


def mean_squared_error(y: Array, targets: Array) -> tuple[Array, Array]:
    """The mean of `(y - t)^2` over all N K elements, and `dy = 2 (y - t) / (N K)`.

    y and targets t are `(N, K)`; labels `(N,)` are taken as one-hot.
    """
    difference = y - as_targets(y, targets)
    return (difference**2).mean(), (difference * (2 / y.size)).astype(y.dtype)


def map_loss(y: Array, labels: Array, j: float = 0.1) -> tuple[Array, Array]:
    """LeNet-5's maximum a posteriori criterion (LeCun et al. 1998, equation 9):

        E = y_label + log( exp(-j) + sum_i exp(-y_i) )
        dE/dy_i = [i = label] - exp(-y_i) / ( exp(-j) + sum_k exp(-y_k) )

    y `(N, classes)` are the RBF distances. The first term decreases the distance to the code of the
    label, the second increases the other distances. The constant j > 0 is the distance of a
    "rubbish" class: a distance much larger than j has almost no gradient.
    Returns the loss and dy `(N, classes)`.
    """
    xp = array_module(y)
    rows = xp.arange(len(labels))
    nearest = xp.minimum(y.min(axis=1, keepdims=True), j)
    weights = xp.exp(nearest - y)
    total = xp.exp(nearest - j) + weights.sum(axis=1, keepdims=True)
    loss = (y[rows, labels] + xp.log(total[:, 0]) - nearest[:, 0]).mean()
    dy = -weights / total
    dy[rows, labels] += 1
    dy /= len(labels)
    return loss, dy
