"""Upsampling on the CPU: weighted sums of few pixels (see separable.py)."""

import functools

import numpy as np

from ..reference.upsample import source_weights
from ..types import Array, Pair, Shape
from .engine.arrays import expect_images, expect_shape
from .separable import Weights, weighted_sums, weights_of


@functools.lru_cache(maxsize=256)
def _weights(size: int, count: int, mode: str, scale: float | None, gradient: bool) -> Weights:
    """Of `count` outputs from `size` pixels; `gradient`: of the pixels from the outputs."""
    matrix = source_weights(np.empty(0, np.float32), size, count, mode, scale)
    return weights_of(matrix.T if gradient else matrix)


def _both_axes(
    x_shape: Shape,
    output: Shape,
    mode: str,
    scale: tuple[float, float] | None,
    gradient: bool = False,
) -> tuple[Weights, Weights]:
    down, across = scale or (None, None)
    return (
        _weights(x_shape[1], output[0], mode, down, gradient),
        _weights(x_shape[2], output[1], mode, across, gradient),
    )


def upsample2d(
    x: Array,
    output_size: Pair,
    mode: str = "nearest",
    scale: tuple[float, float] | None = None,
    out: Array | None = None,
) -> Array:
    """See `functional.upsample2d`."""
    expect_images("upsample2d: x", x)
    return weighted_sums(x, *_both_axes(x.shape, output_size, mode, scale), out)


def upsample2d_grad(
    dy: Array, x_shape: Shape, mode: str = "nearest", scale: tuple[float, float] | None = None
) -> Array:
    """See `functional.upsample2d_grad`."""
    expect_images("upsample2d_grad: dy", dy)
    expect_shape("upsample2d_grad: dy", dy, (x_shape[0], *dy.shape[1:3], x_shape[3]))
    return weighted_sums(dy, *_both_axes(x_shape, dy.shape[1:3], mode, scale, True))
