"""Group and layer normalization on the GPU: one block per image and group, or per pixel."""

from typing import NamedTuple

import numpy as np

from ..reference.arrays import write_to
from ..types import Array, Shape
from .arrays import (
    contiguous,
    empty,
    number_type,
    options,
    output_array,
    parameter,
    pixel_step,
    spaced,
    vector_width,
)
from .device import THREADS, blocks, divisors, launch
from .sums import partial_sums


class Parts(NamedTuple):
    """`images` images of `area` pixels with `groups` groups of `width` channels."""

    images: int
    area: int
    groups: int
    width: int


def group_norm(
    x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """See `functional.group_norm`."""
    return _normalize(x, gamma, beta, eps, out, _images(x, groups), (len(x), groups))


def layer_norm(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """See `functional.layer_norm`."""
    return _normalize(x, gamma, beta, eps, out, _pixels(x), x.shape[:-1])


def group_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """See `functional.group_norm_grad`."""
    return _gradients(dy, x, gamma, mean, inv_std, _images(x, mean.shape[1]))


def layer_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """See `functional.layer_norm_grad`."""
    return _gradients(dy, x, gamma, mean, inv_std, _pixels(x))


def _images(x: Array, groups: int) -> Parts:
    channels = x.shape[-1]
    return Parts(len(x), x.size // (len(x) * channels), groups, channels // groups)


def _pixels(x: Array) -> Parts:
    """Each pixel is an image of its own, with one group."""
    return Parts(x.size // x.shape[-1], 1, 1, x.shape[-1])


def _normalize(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    out: Array | None,
    parts: Parts,
    statistics: Shape,
) -> tuple[Array, Array, Array]:
    """y, and the mean and 1 / sqrt(var + eps), of the shape `statistics`."""
    x, y = spaced(x), output_array(out, x, x.shape)
    mean, inv_std = empty(x, statistics, np.float32), empty(x, statistics, np.float32)
    given = [a for a in (parameter(gamma), parameter(beta)) if a is not None]
    v = vector_width(parts.width, x, y, parameters=given)
    geometry = parts.area, parts.groups, parts.width, *divisors(parts.width // v)
    arguments = x, pixel_step(x), *geometry, *given, float(eps), mean, inv_std, y, pixel_step(y)
    _launch("group_norm", parts, v, x, arguments)
    return write_to(out, y), mean, inv_std


def _gradients(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array, parts: Parts
) -> tuple[Array, Array, Array]:
    """dx, dgamma and dbeta."""
    dy, x, channels = spaced(dy), spaced(x), x.shape[-1]
    dx, of = empty(x, x.shape), (contiguous(mean), contiguous(inv_std))
    factor = parameter(gamma)
    v = vector_width(parts.width, dy, x, dx, parameters=[a for a in (factor,) if a is not None])
    geometry = parts.area, parts.groups, parts.width, *divisors(parts.width // v)
    arguments = dy, pixel_step(dy), x, pixel_step(x), *geometry, factor, *of, dx
    _launch("group_norm_grad", parts, v, x, arguments)
    real, sizes = number_type(x), (parts.area, parts.width)
    sums = partial_sums("group_norm.cu", "group_sums", 2, [dy, x], *of, *sizes, REAL=real)
    dgamma, dbeta = empty(x, (channels,), np.float32), empty(x, (channels,), np.float32)
    totals = sums.values, sums.chunks, channels, dgamma, dbeta
    launch("norm.cu", "gradient_totals", blocks(channels), THREADS, *totals, REAL=real)
    return dx, dgamma, dbeta


def _launch(kernel: str, parts: Parts, v: int, x: Array, arguments: tuple) -> None:
    """One block per image and group, with no more warps than vectors need. A warp has two sums."""
    warps = min(THREADS // 32, blocks(parts.area * parts.width // v, 32))
    grid = parts.images * parts.groups
    launch("group_norm.cu", kernel, grid, 32 * warps, *arguments, shared=8 * warps, **options(x, v))
