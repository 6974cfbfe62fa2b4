"""Layer normalization, pixel by pixel: the channels of one stay in the nearest cache."""

import math

import numpy as np
from numba import float32

from ...types import Array
from ..engine.arrays import (
    address,
    contiguous,
    expect_shape,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from ..engine.launch import kernel, task_range
from ..engine.memory import empty, non_temporal
from ..engine.records import Output, Rows
from ..engine.rows import fill_zeros
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    fence,
    load_part,
    load_part_or,
    load_scalar,
    reduce_sum,
    splat,
    store_nt_part,
    store_part,
    store_scalar,
)
from ..engine.simd.functions import constant
from ..engine.threads import threads_for
from .group import expect_channels


@kernel
def _layer_norm(
    task: int,
    tasks: int,
    x: Rows,
    gamma: Address,
    beta: Address,
    eps: float,
    mean: Address,
    inv_std: Address,
    y: Output,
) -> None:
    """y = (x - mean) / sqrt(var + eps) * gamma + beta, and mean and 1 / sqrt(var + eps), per row.

    The mean is a sum of differences to the first channel, so that that of equal channels is exact.
    """
    first, last = task_range(x.rows, task, tasks)
    share = float32(1.0) / float32(x.columns)
    for r in range(first, last):
        at = r * x.step
        start, total = splat(load_scalar(x.data, at)), constant(0.0)
        for i in range(0, x.columns, LANES):
            total = total + (load_part_or(x.data, at + i, x.columns - i, start) - start)
        center = load_scalar(x.data, at) + reduce_sum(total) * share
        total = constant(0.0)
        for i in range(0, x.columns, LANES):
            v = load_part_or(x.data, at + i, x.columns - i, splat(center)) - splat(center)
            total = total + v * v
        scale = float32(1.0) / float32(math.sqrt(reduce_sum(total) * share + eps))
        store_scalar(mean, r, center)
        store_scalar(inv_std, r, scale)
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            v = (load_part(x.data, at + i, n) - splat(center)) * splat(scale)
            v = v * load_part(gamma, i, n) + load_part(beta, i, n)
            store_nt_part(y.data, r * y.step + i, v, n, y.non_temporal)
    fence()


@kernel
def _layer_norm_grad(
    task: int,
    tasks: int,
    dy: Rows,
    x: Rows,
    gamma: Address,
    mean: Address,
    inv_std: Address,
    sums: Address,
    dx: Output,
) -> None:
    """dx = (g - mean(g) - x^ mean(g x^)) * inv_std per row, g = gamma dy.

    Each task's sums of dy x^ and of dy, to sums[task] `(2, C)`.
    """
    first, last = task_range(x.rows, task, tasks)
    share = float32(1.0) / float32(x.columns)
    dgamma = sums + FLOAT * task * 2 * x.columns
    dbeta = dgamma + FLOAT * x.columns
    fill_zeros(dgamma, 2 * x.columns)
    for r in range(first, last):
        center, scale = splat(load_scalar(mean, r)), splat(load_scalar(inv_std, r))
        direct, crossed = constant(0.0), constant(0.0)
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            d = load_part(dy.data, r * dy.step + i, n)
            v = (load_part(x.data, r * x.step + i, n) - center) * scale
            g = d * load_part(gamma, i, n)
            direct, crossed = direct + g, crossed + g * v
            store_part(dgamma, i, load_part(dgamma, i, n) + d * v, n)
            store_part(dbeta, i, load_part(dbeta, i, n) + d, n)
        own, other = splat(reduce_sum(direct) * share), splat(reduce_sum(crossed) * share)
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            v = (load_part(x.data, r * x.step + i, n) - center) * scale
            g = load_part(dy.data, r * dy.step + i, n) * load_part(gamma, i, n)
            store_nt_part(
                dx.data, r * dx.step + i, (g - own - v * other) * scale, n, dx.non_temporal
            )
    fence()


def layer_norm(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """See `functional.layer_norm`."""
    expect_channels("layer_norm", x, gamma, beta)
    y = output_array(out, x.shape, channel_slice=True)
    (x, step), y_step = pixels(x), pixel_step(y)
    gamma, beta = contiguous(gamma), contiguous(beta)
    mean, inv_std = empty(x.shape[:-1]), empty(x.shape[:-1])
    statistics = eps, address(mean), address(inv_std)
    target = Output(address(y), y_step, non_temporal(y, y_step))
    parameters = address(gamma), address(beta)
    _layer_norm(_tasks(x), _rows(x, step), *parameters, *statistics, target)
    return write_to(out, y), mean, inv_std


def layer_norm_grad(
    dy: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """See `functional.layer_norm_grad`."""
    expect_channels("layer_norm_grad", x, gamma)
    expect_shape("layer_norm_grad: dy", dy, x.shape)
    expect_shape("layer_norm_grad: mean", mean, x.shape[:-1])
    expect_shape("layer_norm_grad: inv_std", inv_std, x.shape[:-1])
    (dy, dy_step), (x, step), tasks = pixels(dy), pixels(x), _tasks(x)
    gamma, mean, inv_std = contiguous(gamma), contiguous(mean), contiguous(inv_std)
    dx, sums = empty(x.shape), np.empty((tasks, 2, x.shape[-1]), np.float32)
    target = Output(address(dx), x.shape[-1], non_temporal(dx, x.shape[-1]))
    parameters = address(gamma), address(mean), address(inv_std), address(sums)
    _layer_norm_grad(tasks, _rows(dy, dy_step), _rows(x, step), *parameters, target)
    dgamma, dbeta = sums.sum(axis=0)
    return dx, dgamma, dbeta


def _rows(x: Array, step: int) -> Rows:
    return Rows(address(x), step, x.size // x.shape[-1], x.shape[-1])


def _tasks(x: Array) -> int:
    return threads_for(bytes=x.nbytes)
