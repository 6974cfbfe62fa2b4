"""Several operations in one pass over memory; `reference.fused` defines each as the composition."""

import numpy as np

from ..geometry import window
from ..types import Array, IntOrPair, Padding
from .arrays import empty, options, parameter, spaced
from .conv import finished_grad_input, scaled_conv2d
from .device import THREADS, blocks, launch
from .norm import batch_statistics, normalize_batch
from .product import Epilogue


def fold_batch_norm(
    b: Array | None, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
) -> tuple[Array, Array]:
    """See `functional.fold_batch_norm`."""
    scale, shift = (empty(gamma, gamma.shape, np.float32) for _ in range(2))
    inputs = [parameter(a) for a in (b, gamma, beta, mean, var)]
    arguments = *inputs, gamma.size, float(eps), scale, shift
    launch("norm.cu", "fold", blocks(gamma.size), THREADS, *arguments, **options(gamma))
    return scale, shift


def conv2d_affine(
    x: Array,
    w: Array,
    scale: Array,
    shift: Array,
    residual: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """See `functional.conv2d_affine`."""
    g = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    return scaled_conv2d(x, w, Epilogue(scale, shift, residual), g, groups, activation, out)


def conv2d_grad_input_relu(
    dy: Array,
    w: Array,
    x: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """See `functional.conv2d_grad_input_relu`: the mask is applied while dx is written."""
    g = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    return finished_grad_input(dy, w, x.shape, Epilogue(relu_output=x), g, groups)


def conv2d_grad_input_add(
    dy: Array,
    w: Array,
    other: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """See `functional.conv2d_grad_input_add`: `other` is added while dx is written."""
    g = window(other.shape[1:3], w.shape[:2], stride, padding, dilation)
    return finished_grad_input(dy, w, other.shape, Epilogue(residual=other), g, groups)


def batch_norm_add(
    x: Array,
    other: Array,
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
    """See `functional.batch_norm_add`: the addition is part of the pass that writes y."""
    x = spaced(x)
    statistics = batch_statistics(x, running_mean, running_var, training, momentum, eps)
    return normalize_batch(x, gamma, beta, statistics, activation, other, out)
