"""Losses and their gradients. Labels are class indices `(N,)`; a loss is a mean over the batch."""

from ..types import Array
from .arrays import array_module


def softmax(logits: Array) -> Array:
    """`exp(z_i) / sum_j exp(z_j)` along the last axis.

    The largest logit is subtracted first, so that exp cannot overflow.
    """
    xp = array_module(logits)
    exponentials = xp.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """The mean of `-log softmax(logits)[label]`, and its gradient.

        dlogits = (softmax(logits) - onehot(labels)) / N

    Shapes: logits `(N, classes)`, labels `(N,)` integers. Returns the loss, a scalar array, and
    dlogits `(N, classes)`.
    """
    xp = array_module(logits)
    rows = xp.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    loss = (log_sum[:, 0] - shifted[rows, labels]).mean()
    dlogits = xp.exp(shifted - log_sum)
    dlogits[rows, labels] -= 1
    dlogits /= len(labels)
    return loss, dlogits


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
