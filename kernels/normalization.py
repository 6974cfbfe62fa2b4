"""The normalizations among the operations of `functional`, and their gradients."""

from . import reference
from .dispatch import select
from .types import Array


def local_response_norm(
    x: Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    alpha_div_n: bool = False,
    within_channel: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """Local response normalization across `size` channels (Krizhevsky et al. 2012, section 3.3).

    x is `(..., C)`. `within_channel`: over size x size pixels of the same map instead, x being
    `(N, H, W, C)`. `alpha_div_n`: divide alpha by the number of neighbors, size or size^2, as
    Caffe, cuDNN and torch do.
    Returns y and `scale`, the denominator before its power, both of x's shape.
    """
    return select(reference.local_response_norm, x)(
        x, size, alpha, beta, k, alpha_div_n, within_channel, out
    )


def local_response_norm_grad(
    dy: Array,
    x: Array,
    y: Array,
    scale: Array,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    alpha_div_n: bool = False,
    within_channel: bool = False,
) -> Array:
    """The gradient of `local_response_norm`, of x's shape; y and scale are what it returned."""
    return select(reference.local_response_norm_grad, dy)(
        dy, x, y, scale, size, alpha, beta, alpha_div_n, within_channel
    )


def batch_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: str | None = None,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Batch normalization per channel, with its activation (Ioffe & Szegedy 2015, algorithm 1).

    x is `(..., C)`, the parameters and statistics are `(C,)`. In training y is computed with the
    statistics of the batch, and the running statistics move towards them by the fraction
    `momentum`, in place. Otherwise y is computed with the running statistics.
    Returns y, and the mean and 1 / sqrt(var + eps) that were used.
    Raises ValueError in training if there is only one value per channel.
    """
    return select(reference.batch_norm, x)(
        x, gamma, beta, running_mean, running_var, training, momentum, eps, activation, out
    )


def batch_norm_grad(
    dy: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    inv_std: Array,
    training: bool = True,
    beta: Array | None = None,
    activation: str | None = None,
) -> tuple[Array, Array, Array]:
    """The gradients dx `(..., C)`, dgamma `(C,)` and dbeta `(C,)` of `batch_norm`.

    mean and inv_std are what `batch_norm` returned. With `activation` (and beta), dy is the
    gradient after the activation, and the output is computed again from x.
    """
    return select(reference.batch_norm_grad, dy)(
        dy, x, gamma, mean, inv_std, training, beta, activation
    )


def group_norm(
    x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """Group normalization: each group of channels of each image (Wu & He 2018, section 3.1).

    x is `(N, ..., C)`, C a multiple of `groups`; gamma and beta are `(C,)`.
    Returns y, and the mean and 1 / sqrt(var + eps) of the groups, both `(N, groups)`.
    """
    return select(reference.group_norm, x)(x, gamma, beta, groups, eps, out)


def group_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """The gradients dx `(N, ..., C)`, dgamma `(C,)` and dbeta `(C,)` of `group_norm`.

    mean and inv_std `(N, groups)` are what `group_norm` returned.
    """
    return select(reference.group_norm_grad, dy)(dy, x, gamma, mean, inv_std)


def layer_norm(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """Layer normalization: the channels of each pixel (Ba et al. 2016, section 3).

    x is `(..., C)`; gamma and beta are `(C,)`.
    Returns y, and the mean and 1 / sqrt(var + eps) of the pixels, both `(...,)`.
    """
    return select(reference.layer_norm, x)(x, gamma, beta, eps, out)


def layer_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """The gradients dx `(..., C)`, dgamma `(C,)` and dbeta `(C,)` of `layer_norm`."""
    return select(reference.layer_norm_grad, dy)(dy, x, gamma, mean, inv_std)
