"""Local response normalization and batch normalization on the GPU."""

import numpy as np

from ..reference.arrays import write_to
from ..types import Array, Pair
from .activation import IN_THE_PASS, NUMBERS, activate, activation_grad
from .arrays import (
    contiguous,
    empty,
    number_type,
    optional,
    options,
    output_array,
    parameter,
    pixel_step,
    spaced,
    vector_width,
)
from .device import DIVISOR, THREADS, blocks, divisor, divisors, launch
from .sums import partial_sums

_DIVISORS = [(name, DIVISOR) for name in ("by_vectors", "by_width", "by_height")]
MAPS = np.dtype([("height", np.int32), ("width", np.int32), *_DIVISORS])
LRN_VALUES = 4096  # numbers per block, whose squares are in 16 KB of shared memory
LRN_CHANNELS = 12_288  # of one pixel: 48 KB


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
    """See `functional.local_response_norm`."""
    x = contiguous(x)
    y, scale = empty(x, x.shape), empty(x, x.shape, np.float32)
    if within_channel:
        factor = alpha / size**2 if alpha_div_n else alpha
        reach = size // 2, (size - 1) // 2
        _within("lrn_within", (x, y, scale), reach, float(k), float(factor), float(beta))
        return write_to(out, y), scale
    grid, values = _lrn_blocks(x)
    factor = alpha / size if alpha_div_n else alpha
    numbers = size // 2, (size - 1) // 2, float(k), float(factor), float(beta)
    arguments = x, y, scale, x.size, values, *divisors(x.shape[-1]), *numbers
    v = vector_width(x.shape[-1], x, y, scale)
    launch("norm.cu", "lrn", grid, THREADS, *arguments, shared=values * 4, **options(x, v))
    return write_to(out, y), scale


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
    """See `functional.local_response_norm_grad`."""
    dy, x, y, scale = (contiguous(a) for a in (dy, x, y, scale))
    dx = empty(x, x.shape)
    if within_channel:
        factor = alpha / size**2 if alpha_div_n else alpha
        reach = (size - 1) // 2, size // 2  # mirrored, as below
        images = dy, x, y, scale, dx
        _within("lrn_within_grad", images, reach, float(factor), float(beta))
        return dx
    grid, values = _lrn_blocks(x)
    factor = alpha / size if alpha_div_n else alpha
    # The windows that contain a channel are mirrored: the halves of an even size change places.
    numbers = (size - 1) // 2, size // 2, float(factor), float(beta)
    arguments = dy, x, y, scale, dx, x.size, values, *divisors(x.shape[-1]), *numbers
    v = vector_width(x.shape[-1], dy, x, y, scale, dx)
    launch("norm.cu", "lrn_grad", grid, THREADS, *arguments, shared=values * 4, **options(x, v))
    return dx


def _within(kernel: str, images: tuple[Array, ...], reach: Pair, *numbers: float) -> None:
    """Launch a kernel over images without gaps, whose windows reach so far before and behind."""
    x = images[0]
    if x.ndim != 4:
        raise ValueError(f"local_response_norm: x has shape {x.shape}: expected (N, H, W, C)")
    height, width, channels = x.shape[1:]
    v = vector_width(channels, *images)
    by = map(divisor, (channels // v, width, height))
    maps, vectors = np.array([(height, width, *by)], MAPS), x.size // v
    arguments = *images, vectors, maps, *reach, *numbers
    launch("norm.cu", kernel, blocks(vectors), THREADS, *arguments, **options(x, v))


def _lrn_blocks(x: Array) -> tuple[int, int]:
    """The number of blocks, and how many numbers, of whole pixels, each takes.

    Raises ValueError if a pixel does not fit into shared memory.
    """
    channels = x.shape[-1]
    if channels > LRN_CHANNELS:
        raise ValueError(
            f"local_response_norm: {channels} channels; the cuda backend keeps at most 12,288 in "
            "shared memory"
        )
    values = max(1, LRN_VALUES // channels) * channels
    return -(-x.size // values), values


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
    """See `functional.batch_norm`."""
    x = spaced(x)
    statistics = batch_statistics(x, running_mean, running_var, training, momentum, eps)
    return normalize_batch(x, gamma, beta, statistics, activation, None, out)


def batch_statistics(
    x: Array,
    running_mean: Array,
    running_var: Array,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Array, Array]:
    """The mean and `1 / sqrt(var + eps)` `(C,)` that batch norm uses.

    In training they are the batch's, from one pass over x, and the running statistics move.
    """
    x, channels = spaced(x), x.shape[-1]
    mean, inv_std = empty(x, (channels,), np.float32), empty(x, (channels,), np.float32)
    count, grid, real = x.size // channels, blocks(channels), number_type(x)
    if not training:
        fixed = parameter(running_mean), parameter(running_var), channels, float(eps), mean, inv_std
        launch("norm.cu", "fixed_statistics", grid, THREADS, *fixed, REAL=real)
        return mean, inv_std
    if count < 2:
        raise ValueError(
            f"batch_norm needs more than one value per channel in training; the input is {x.shape}"
        )
    moments = partial_sums("norm.cu", "moments", 2, [x], REAL=real)
    running = running_mean, running_var, float(momentum), float(eps)
    arguments = x, *moments, count, channels, *running, mean, inv_std
    launch("norm.cu", "statistics", grid, THREADS, *arguments, REAL=real)
    return mean, inv_std


def normalize_batch(
    x: Array,
    gamma: Array,
    beta: Array,
    statistics: tuple[Array, Array],
    activation: str | None,
    residual: Array | None,
    out: Array | None,
) -> tuple[Array, Array, Array]:
    """`f(gamma * (x - mean) * inv_std + beta + residual)`; returns it, mean and inv_std."""
    x, channels, (mean, inv_std) = spaced(x), x.shape[-1], statistics
    y, (residual, residual_step) = output_array(out, x, x.shape), optional(residual)
    parameters = [mean, inv_std, *_given(parameter(gamma), parameter(beta))]
    v = vector_width(channels, x, y, *_given(residual), parameters=parameters)
    vectors = x.size // v
    images = residual, residual_step, y, pixel_step(y)
    f = activation if activation in IN_THE_PASS else None
    sizes = *divisors(channels // v), vectors, NUMBERS[f]
    arguments = x, pixel_step(x), *parameters, *images, *sizes
    launch("norm.cu", "normalize", blocks(vectors), THREADS, *arguments, **options(x, v))
    if f != activation:
        activate(y, activation, out=y)
    return write_to(out, y), mean, inv_std


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
    """See `functional.batch_norm_grad`."""
    dy, x, parameters, f = before_sums(dy, x, (mean, inv_std, gamma, beta), activation)
    dgamma, dbeta = gradient_sums(dy, x, parameters, f)
    share = x.shape[-1] / x.size if training else 0.0
    return normalize_grad(dy, x, parameters, f, dgamma, dbeta, share), dgamma, dbeta


def before_sums(
    dy: Array,
    x: Array,
    parameters: tuple[Array, Array, Array, Array | None],
    activation: str | None,
) -> tuple[Array, Array, tuple[Array | None, ...], str | None]:
    """The arguments of the two functions below, which compute some activations in their passes.

    parameters: mean, inv_std, gamma, beta.
    """
    mean, inv_std, gamma, beta = parameters
    if activation not in IN_THE_PASS:  # all of these have their gradient from the input
        assert beta is not None
        z, *_ = normalize_batch(x, gamma, beta, (mean, inv_std), None, None, None)
        dy, activation = activation_grad(dy, z, activation), None
    given = contiguous(mean), contiguous(inv_std), parameter(gamma), parameter(beta)
    return spaced(dy), spaced(x), given, activation


def gradient_sums(
    dy: Array, x: Array, parameters: tuple[Array | None, ...], activation: str | None
) -> tuple[Array, Array]:
    """dgamma and dbeta `(C,)`, in a fixed order. parameters: mean, inv_std, gamma, beta."""
    real, channels, f = number_type(x), x.shape[-1], NUMBERS[activation]
    sums = partial_sums("norm.cu", "gradient_sums", 2, [dy, x], *parameters, f, REAL=real)
    dgamma, dbeta = empty(x, (channels,), np.float32), empty(x, (channels,), np.float32)
    totals = sums.values, sums.chunks, channels, dgamma, dbeta
    launch("norm.cu", "gradient_totals", blocks(channels), THREADS, *totals, REAL=real)
    return dgamma, dbeta


def normalize_grad(
    dy: Array,
    x: Array,
    parameters: tuple[Array | None, ...],
    activation: str | None,
    dgamma: Array,
    dbeta: Array,
    share: float,
) -> Array:
    """dx = gamma * inv_std * (dz - share * (dbeta + x^ dgamma)), dz before the activation."""
    real, channels, dx = number_type(x), x.shape[-1], empty(x, x.shape)
    v = vector_width(channels, dy, x, dx, parameters=_given(*parameters))
    vectors = x.size // v
    images = dy, pixel_step(dy), x, pixel_step(x)
    sizes = *divisors(channels // v), vectors, NUMBERS[activation], share
    arguments = *images, *parameters, dgamma, dbeta, dx, *sizes
    launch("norm.cu", "normalize_grad", blocks(vectors), THREADS, *arguments, REAL=real, V=v)
    return dx


def _given(*arrays: Array | None) -> list[Array]:
    """Those that are not None."""
    return [a for a in arrays if a is not None]
