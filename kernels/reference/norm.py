"""Local response, batch, group and layer normalization, forward and backward."""

from ..types import Array, Shape
from .activation import FROM_INPUT, activate, activation_grad
from .arrays import array_module, write_to


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
    """Local response normalization across channels (Krizhevsky et al. 2012, section 3.3).

        s_i = k + c * sum_{j in N(i)} x_j^2          y_i = x_i * s_i^(-beta)

    N(i) holds `size` neighboring channels at the same pixel, centered on i and clipped at the ends.
    With `within_channel` it holds the `size` x `size` pixels around i of the same map (Caffe's
    WITHIN_CHANNEL, where k is always 1; cuda-convnet's rnorm).
    c = alpha as the paper prints it; with `alpha_div_n`, c = alpha / n (Caffe, cuDNN, torch), where
    n = size across channels and size^2 within one, also at the edges: Caffe's mean counts padding.
    Shapes: x, y and `scale` (= s, which the backward pass needs) are `(..., C)`, and within a
    channel `(N, H, W, C)`.
    """
    c, axes = _factor(size, alpha, alpha_div_n, within_channel)
    scale = k + c * _sum_over_neighbors(x * x, size // 2, (size - 1) // 2, axes)
    return write_to(out, x * scale**-beta), scale


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
    """x_i is a factor of its own output, and a term in the scale of each neighbor:

    dx_i = dy_i * s_i^(-beta)  -  2 c beta x_i * sum_{j: i in N(j)} dy_j y_j / s_j
    """
    c, axes = _factor(size, alpha, alpha_div_n, within_channel)
    # The windows that contain i are N(i) mirrored; the two differ only when `size` is even.
    crossed = _sum_over_neighbors(dy * y / scale, (size - 1) // 2, size // 2, axes)
    return dy * scale**-beta - 2 * c * beta * x * crossed


def _factor(
    size: int, alpha: float, alpha_div_n: bool, within_channel: bool
) -> tuple[float, Shape]:
    """The factor c of the sum, and the axes along which the neighbors are."""
    axes = (1, 2) if within_channel else (-1,)
    return alpha / size ** len(axes) if alpha_div_n else alpha, axes


def _sum_over_neighbors(a: Array, before: int, after: int, axes: Shape = (-1,)) -> Array:
    """`sum_{j = i - before}^{i + after} a_j` along each of the axes, clipped at the ends."""
    xp = array_module(a)
    for axis in axes:
        values = xp.moveaxis(a, axis, 0)
        total, count = xp.zeros_like(values), len(values)
        for offset in range(-min(before, count - 1), min(after, count - 1) + 1):
            low, high = max(0, -offset), min(count, count - offset)
            total[low:high] += values[low + offset : high + offset]
        a = xp.moveaxis(total, 0, axis)
    return a


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

        y = f(gamma * (x - mean) / sqrt(var + eps) + beta)

    In training, mean and (biased) var are those of the batch, and the running statistics change in
    place: `running = (1 - momentum) * running + momentum * batch`, with the unbiased variance.
    Otherwise mean and var are the running statistics. Returns y, mean and 1 / sqrt(var + eps).
    """
    if training:
        axes = tuple(range(x.ndim - 1))
        count = x.size // x.shape[-1]
        if count < 2:
            raise ValueError(
                "batch_norm needs more than one value per channel in training; "
                f"the input is {x.shape}"
            )
        # Sums over millions of pixels, or of a channel whose mean is large, need float64.
        wide = x.mean(axis=axes, dtype="float64")
        mean = wide.astype(gamma.dtype)
        var = ((x - wide) ** 2).mean(axis=axes).astype(gamma.dtype)
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * (count / (count - 1)) - running_var)
    else:
        mean, var = running_mean.copy(), running_var
    inv_std = 1 / array_module(x).sqrt(var + eps)
    y = (x - mean) * (inv_std * gamma) + beta
    return write_to(out, activate(y, activation)), mean, inv_std


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
    """The gradients of `batch_norm`, with x^ = (x - mean) * inv_std and means over the batch:

        dgamma = sum dy x^        dbeta = sum dy
        dx = gamma * inv_std * (dy - mean(dy) - x^ * mean(dy x^))   in training
        dx = gamma * inv_std * dy                                   otherwise

    In training the statistics depend on x, too: hence the second and third term. With `activation`
    (and beta) dy is the gradient after the activation, and the output is computed again from x.
    Returns dx, dgamma, dbeta.
    """
    axes = tuple(range(x.ndim - 1))
    normalized = (x - mean) * inv_std
    if activation is not None:
        y = (x - mean) * (inv_std * gamma) + beta
        if activation not in FROM_INPUT:
            y = activate(y, activation)
        dy = activation_grad(dy, y, activation)
    dgamma = (dy * normalized).sum(axis=axes, dtype="float64").astype(gamma.dtype)
    dbeta = dy.sum(axis=axes, dtype="float64").astype(gamma.dtype)
    if not training:
        return dy * (gamma * inv_std), dgamma, dbeta
    count = x.size // x.shape[-1]
    dx = (gamma * inv_std) * (dy - dbeta / count - normalized * (dgamma / count))
    return dx, dgamma, dbeta


def group_norm(
    x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """Group normalization (Wu & He 2018, section 3.1).

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    mean and (biased) var are of one image and one of `groups` groups of neighboring channels, over
    all of its pixels: the other images do not matter. Shapes: x, y `(N, ..., C)`; gamma, beta
    `(C,)`; mean and inv_std = 1 / sqrt(var + eps), which are returned with y, `(N, groups)`.
    """
    parts = _in_groups(x, groups)
    wide = parts.mean(axis=(1, 3), dtype="float64", keepdims=True)
    var = ((parts - wide) ** 2).mean(axis=(1, 3)).astype(gamma.dtype)
    mean = wide[:, 0, :, 0].astype(gamma.dtype)
    inv_std = 1 / array_module(x).sqrt(var + eps)
    normalized = (parts - mean[:, None, :, None]) * inv_std[:, None, :, None]
    return write_to(out, normalized.reshape(x.shape) * gamma + beta), mean, inv_std


def group_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """The gradients of `group_norm`, with x^ = (x - mean) * inv_std and means over each group:

        dgamma = sum dy x^        dbeta = sum dy
        dx = inv_std * (g - mean(g) - x^ * mean(g x^)),  g = gamma * dy

    mean and inv_std `(N, groups)` are those that `group_norm` returned. Returns dx, dgamma, dbeta.
    """
    groups = mean.shape[1]
    normalized = (_in_groups(x, groups) - mean[:, None, :, None]) * inv_std[:, None, :, None]
    g = _in_groups(dy * gamma, groups)
    direct = g.mean(axis=(1, 3), keepdims=True)
    crossed = (g * normalized).mean(axis=(1, 3), keepdims=True)
    dx = inv_std[:, None, :, None] * (g - direct - normalized * crossed)
    axes = tuple(range(x.ndim - 1))
    dgamma = (dy * normalized.reshape(x.shape)).sum(axis=axes, dtype="float64")
    dbeta = dy.sum(axis=axes, dtype="float64")
    return dx.reshape(x.shape), dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)


def _in_groups(a: Array, groups: int) -> Array:
    """`(N, ..., C)` as `(N, pixels, groups, C / groups)`."""
    return a.reshape(len(a), -1, groups, a.shape[-1] // groups)


def layer_norm(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """Layer normalization over the last axis (Ba et al. 2016, section 3, equation 4).

    Each pixel is an image of its own, with one group: `y = gamma * (x - mean) / sqrt(var + eps)
    + beta`, with the mean and the (biased) variance of its C channels. Shapes: x, y `(..., C)`;
    gamma, beta `(C,)`; mean and inv_std, which are returned with y, `(...,)`.
    """
    y, mean, inv_std = group_norm(x.reshape(-1, x.shape[-1]), gamma, beta, 1, eps)
    shape = x.shape[:-1]
    return write_to(out, y.reshape(x.shape)), mean.reshape(shape), inv_std.reshape(shape)


def layer_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """The gradients dx, dgamma and dbeta of `layer_norm`: those of `group_norm` per pixel."""
    rows, one = (-1, x.shape[-1]), (-1, 1)
    dx, dgamma, dbeta = group_norm_grad(
        dy.reshape(rows), x.reshape(rows), gamma, mean.reshape(one), inv_std.reshape(one)
    )
    return dx.reshape(x.shape), dgamma, dbeta
