"""Normalisation on the GPU."""

import numpy as np

from ..types import Array
from .activation import NUMBERS, deliver
from .arrays import contiguous, destination, empty, number_type, optional, parameter, pixel_step, spaced, vector_width
from .device import THREADS, blocks, divisors, launch
from .sums import partial_sums

LRN_VALUES = 4096  # numbers whose squares a block keeps in shared memory: 16 KB


def _lrn_blocks(x) -> tuple[int, int]:
    """How many blocks there are, and how many numbers, whole pixels, each takes. Raises ValueError for too many channels."""
    channels = x.shape[-1]
    if channels * 4 > 48 << 10:
        raise ValueError(f"local_response_norm: {channels} channels are more than the cuda backend keeps in shared memory (12,288)")
    values = max(1, LRN_VALUES // channels) * channels
    return -(-x.size // values), values


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_div_n=False, out=None):
    """See `reference.local_response_norm`."""
    x = contiguous(x)
    y, scale = empty(x, x.shape), empty(x, x.shape, np.float32)
    grid, values = _lrn_blocks(x)
    factor = alpha / size if alpha_div_n else alpha
    arguments = x, y, scale, x.size, values, *divisors(x.shape[-1]), size // 2, (size - 1) // 2, float(k), float(factor), float(beta)
    v = vector_width(x.shape[-1], x, y, scale)
    launch("norm.cu", "lrn", grid, THREADS, *arguments, shared=values * 4, REAL=number_type(x), V=v)
    return deliver(y, out), scale


def local_response_norm_grad(dy, x, y, scale, size=5, alpha=1e-4, beta=0.75, alpha_div_n=False):
    """See `reference.local_response_norm_grad`."""
    dy, x, y, scale = (contiguous(a) for a in (dy, x, y, scale))
    dx = empty(x, x.shape)
    grid, values = _lrn_blocks(x)
    factor = alpha / size if alpha_div_n else alpha
    arguments = dy, x, y, scale, dx, x.size, values, *divisors(x.shape[-1]), (size - 1) // 2, size // 2, float(factor), float(beta)
    v = vector_width(x.shape[-1], dy, x, y, scale, dx)
    launch("norm.cu", "lrn_grad", grid, THREADS, *arguments, shared=values * 4, REAL=number_type(x), V=v)
    return dx


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
    statistics = running_mean, running_var, training, momentum, eps
    return normalize_batch(x, gamma, beta, *statistics, activation, None, out)


def normalize_batch(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    training: bool,
    momentum: float,
    eps: float,
    activation: str | None,
    residual: Array | None,
    out: Array | None,
) -> tuple[Array, Array, Array]:
    """`f(batch_norm(x) + residual)`, after one look at x for the statistics."""
    x, channels = spaced(x), x.shape[-1]
    count = x.size // channels
    mean, inv_std = empty(x, (channels,), np.float32), empty(x, (channels,), np.float32)
    real, each = number_type(x), blocks(channels)
    if training:
        if count < 2:
            raise ValueError(f"batch_norm needs more than one value per channel in training; the input is {x.shape}")
        moments = partial_sums("norm.cu", "moments", 2, [x], REAL=real)
        running = running_mean, running_var, float(momentum), float(eps)
        launch("norm.cu", "statistics", each, THREADS, x, *moments, count, channels, *running, mean, inv_std, REAL=real)
    else:
        running = parameter(running_mean), parameter(running_var)
        launch("norm.cu", "fixed_statistics", each, THREADS, *running, channels, float(eps), mean, inv_std, REAL=real)
    y = destination(out, x, x.shape)
    residual, residual_step = optional(residual)
    parameters = mean, inv_std, parameter(gamma), parameter(beta)
    v = vector_width(channels, x, y, *([] if residual is None else [residual]), parameters=parameters)
    vectors = x.size // v
    arguments = x, pixel_step(x), *parameters, residual, residual_step, y, pixel_step(y), *divisors(channels // v), vectors
    launch("norm.cu", "normalise", blocks(vectors), THREADS, *arguments, NUMBERS[activation], REAL=real, V=v)
    return deliver(y, out), mean, inv_std


def batch_norm_grad(dy, x, gamma, mean, inv_std, training=True, beta=None, activation=None):
    """See `reference.batch_norm_grad`."""
    dy, x, channels = spaced(dy), spaced(x), x.shape[-1]
    real, count = number_type(x), x.size // channels
    parameters = contiguous(mean), contiguous(inv_std), parameter(gamma), parameter(beta)
    sums = partial_sums("norm.cu", "gradient_sums", 2, [dy, x], *parameters, NUMBERS[activation], REAL=real)
    dgamma, dbeta = empty(x, (channels,), np.float32), empty(x, (channels,), np.float32)
    launch("norm.cu", "gradient_totals", blocks(channels), THREADS, sums.values, sums.chunks, channels, dgamma, dbeta, REAL=real)
    dx = empty(x, x.shape)
    v = vector_width(channels, dy, x, dx, parameters=[a for a in parameters if a is not None])
    vectors = x.size // v
    arguments = dy, pixel_step(dy), x, pixel_step(x), *parameters, dgamma, dbeta, dx, *divisors(channels // v), vectors
    share = 1.0 / count if training else 0.0
    launch("norm.cu", "normalise_grad", blocks(vectors), THREADS, *arguments, NUMBERS[activation], share, REAL=real, V=v)
    return dx, dgamma, dbeta
