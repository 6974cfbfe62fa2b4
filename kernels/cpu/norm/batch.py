"""Batch normalization with its activation: one pass for the statistics, one for the result."""

import math
from typing import NamedTuple

import numpy as np

from ...reference.activation import FROM_INPUT
from ...types import Array
from ..activation import activate, activation_grad
from ..engine.arrays import (
    address,
    contiguous,
    expect_shape,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from ..engine.launch import inline, kernel, task_range
from ..engine.memory import empty, non_temporal
from ..engine.records import Output, Rows
from ..engine.rows import fill_zeros
from ..engine.simd import (
    FLOAT,
    LANES,
    Address,
    Vector,
    fence,
    load_part,
    select_greater,
    splat,
    store_nt_part,
    store_part,
)
from ..engine.simd.functions import clamp, constant, gelu, gelu_slope
from ..engine.threads import threads_for
from .moments import batch_moments

# Activations that _normalize and _normalize_grad contain.
IN_THE_PASS = None, "relu", "relu6", "gelu"
BELOW_6 = float(np.nextafter(np.float32(6), np.float32(0)))  # at 6 the slope of ReLU6 is 0


class Affine(NamedTuple):
    """(x - mean) * factor + beta: the vectors, `(C,)` each; factor is gamma / sqrt(var + eps)."""

    mean: Address
    factor: Address
    beta: Address


@inline
def normalized(x: Vector, mean: Vector, factor: Vector, beta: Vector) -> Vector:
    """(x - mean) * factor + beta."""
    return (x - mean) * factor + beta


@kernel
def _normalize(
    task: int,
    tasks: int,
    x: Rows,
    norm: Affine,
    other: Rows,
    least: float,
    most: float,
    is_gelu: bool,
    y: Output,
) -> None:
    """y = f((x - mean) * factor + beta + other), `(pixels, C)`; other.data 0: no other.

    f is GELU, or limits its argument to `least` ... `most`.
    """
    first, last = task_range(x.rows, task, tasks)
    for m in range(first, last):
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            v = normalized(
                load_part(x.data, m * x.step + i, n),
                load_part(norm.mean, i, n),
                load_part(norm.factor, i, n),
                load_part(norm.beta, i, n),
            )
            if other.data:
                v = v + load_part(other.data, m * other.step + i, n)
            v = gelu(v) if is_gelu else clamp(v, least, most)
            store_nt_part(y.data, m * y.step + i, v, n, y.non_temporal)
    fence()


@inline
def before_activation(d: Vector, z: Vector, least: float, most: float, is_gelu: bool) -> Vector:
    """dz from dy and z, the input of the activation: dy f'(z), dy where least < z <= most."""
    if is_gelu:
        return d * gelu_slope(z)
    below = select_greater(z, splat(most), constant(0.0), d)
    return select_greater(z, splat(least), below, constant(0.0))


@kernel
def _normalize_sums(
    task: int,
    tasks: int,
    dy: Rows,
    x: Rows,
    norm: Affine,
    least: float,
    most: float,
    is_gelu: bool,
    sums: Address,
) -> None:
    """Each task's sums of dz and dz (x - mean), to sums[task] `(2, C)`.

    Four rows are added in registers before the sums are stored.
    """
    first, last = task_range(x.rows, task, tasks)
    channels = x.columns
    sum_dz = sums + FLOAT * task * 2 * channels
    sum_dzx = sum_dz + FLOAT * channels
    fill_zeros(sum_dz, 2 * channels)
    for m in range(first, last, 4):
        rows = min(4, last - m)
        for i in range(0, channels, LANES):
            n = channels - i
            center, f = load_part(norm.mean, i, n), load_part(norm.factor, i, n)
            b = load_part(norm.beta, i, n)
            a, c = load_part(sum_dz, i, n), load_part(sum_dzx, i, n)
            for r in range(m, m + rows):
                v, d = load_part(x.data, r * x.step + i, n), load_part(dy.data, r * dy.step + i, n)
                z = normalized(v, center, f, b)
                dz = before_activation(d, z, least, most, is_gelu)
                a = a + dz
                c = c + dz * (v - center)
            store_part(sum_dz, i, a, n)
            store_part(sum_dzx, i, c, n)


@kernel
def _normalize_grad(
    task: int,
    tasks: int,
    dy: Rows,
    x: Rows,
    norm: Affine,
    least: float,
    most: float,
    is_gelu: bool,
    mean_dz: Address,
    slope: Address,
    dx: Output,
) -> None:
    """dx = factor * (dz - mean_dz - (x - mean) * slope), `(pixels, C)`.

    slope is mean(dz x^) / std. mean_dz and slope 0: the statistics are constants, dx = factor * dz.
    dz is computed again, which is faster than reading it from memory.
    """
    first, last = task_range(x.rows, task, tasks)
    for m in range(first, last):
        for i in range(0, x.columns, LANES):
            n = x.columns - i
            v, d = load_part(x.data, m * x.step + i, n), load_part(dy.data, m * dy.step + i, n)
            center, f = load_part(norm.mean, i, n), load_part(norm.factor, i, n)
            z = normalized(v, center, f, load_part(norm.beta, i, n))
            dz = before_activation(d, z, least, most, is_gelu)
            if mean_dz:
                dz = dz - load_part(mean_dz, i, n) - (v - center) * load_part(slope, i, n)
            store_nt_part(dx.data, m * dx.step + i, f * dz, n, dx.non_temporal)
    fence()


def _expect_channels(name: str, x: Array, *vectors: Array | None) -> None:
    """Raise ValueError unless every vector has one number per channel of x."""
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name}: x has shape {x.shape}: expected (..., C), not empty")
    for vector in vectors:
        if vector is not None:
            expect_shape(f"{name}: a vector of channels", vector, x.shape[-1:])


def _shape_of(activation: str | None) -> tuple[float, float, bool]:
    """least, most and is_gelu of `_normalize`; no limits for an activation that is not in it."""
    least = 0.0 if activation in ("relu", "relu6") else -math.inf
    return least, 6.0 if activation == "relu6" else math.inf, activation == "gelu"


def _rows(x: Array, step: int) -> Rows:
    return Rows(address(x), step, x.size // x.shape[-1], x.shape[-1])


def _tasks(x: Rows) -> int:
    return min(threads_for(bytes=FLOAT * x.rows * x.columns), x.rows)


def _batch_statistics(
    x: Array, running_mean: Array, running_var: Array, training: bool, momentum: float
) -> tuple[Array, Array]:
    """The mean and variance to normalize with; in training the running ones are updated."""
    if not training:
        return running_mean.copy(), running_var
    x, step = pixels(x)
    rows = _rows(x, step)
    if rows.rows < 2:
        raise ValueError(
            f"batch_norm needs more than one value per channel in training; the input is {x.shape}"
        )
    mean, var = batch_moments(rows, _tasks(rows))
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * (rows.rows / (rows.rows - 1)) - running_var)
    return mean, var


def _normalize_into(
    x: Array,
    mean: Array,
    inv_std: Array,
    gamma: Array,
    beta: Array,
    activation: str | None,
    other: Array | None,
    y: Array,
) -> None:
    """y = f((x - mean) * inv_std * gamma + beta + other), in one pass; y has a pixel step."""
    (x, x_step), y_step = pixels(x), pixel_step(y)
    factor, mean, beta = contiguous(inv_std * gamma), contiguous(mean), contiguous(beta)
    rows, added = _rows(x, x_step), Rows(0, 0, 0, 0)
    if other is not None:
        other, other_step = pixels(other)
        added = _rows(other, other_step)
    _normalize(
        _tasks(rows),
        rows,
        Affine(address(mean), address(factor), address(beta)),
        added,
        *_shape_of(activation),
        Output(address(y), y_step, non_temporal(y, y_step)),
    )
    if activation not in IN_THE_PASS:
        activate(y, activation, out=y)


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
    return batch_norm_add(x, None, gamma, beta, *statistics, activation, out)


def batch_norm_add(
    x: Array,
    other: Array | None,
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
    """See `functional.batch_norm_add`: the addition, if any, is part of the pass that writes y."""
    _expect_channels("batch_norm", x, gamma, beta, running_mean, running_var)
    if other is not None:
        expect_shape("batch_norm_add: other", other, x.shape)
    y = output_array(out, x.shape, channel_slice=True)
    mean, var = _batch_statistics(x, running_mean, running_var, training, momentum)
    inv_std = 1 / np.sqrt(var + np.float32(eps))
    _normalize_into(x, mean, inv_std, gamma, beta, activation, other, y)
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
    _expect_channels("batch_norm_grad", x, gamma, mean, inv_std, beta)
    expect_shape("batch_norm_grad: dy", dy, x.shape)
    if activation not in IN_THE_PASS:
        y = (x - mean) * (inv_std * gamma) + beta
        y = y if activation in FROM_INPUT else activate(y, activation)
        dy = activation_grad(dy, y, activation)
    (dy, dy_step), (x, x_step) = pixels(dy), pixels(x)
    dy_rows, rows = _rows(dy, dy_step), _rows(x, x_step)
    tasks, channels = _tasks(rows), rows.columns
    least, most, is_gelu = _shape_of(activation)
    shape_of_f = least, BELOW_6 if activation == "relu6" else most, is_gelu
    factor, mean = contiguous(inv_std * gamma), contiguous(mean)
    beta = contiguous(mean if beta is None else beta)
    norm = Affine(address(mean), address(factor), address(beta))
    sums = np.empty((tasks, 2, channels), np.float32)
    _normalize_sums(tasks, dy_rows, rows, norm, *shape_of_f, address(sums))
    dbeta, dgamma = sums.sum(axis=0)
    dgamma = dgamma * inv_std
    share = np.float32(1 / rows.rows)
    mean_dz, slope = dbeta * share, dgamma * inv_std * share
    dx = empty(x.shape)
    target = Output(address(dx), channels, non_temporal(dx, channels))
    means = (address(mean_dz), address(slope)) if training else (0, 0)
    _normalize_grad(tasks, dy_rows, rows, norm, *shape_of_f, *means, target)
    return dx, dgamma, np.ascontiguousarray(dbeta)
