"""Local response normalization and batch normalization, in few passes over memory."""

import numpy as np

from ..types import Array
from .activation import CURVES, activate, activation_grad, at_least, least_of
from .engine.arrays import address, contiguous, expect_shape, pixel_step, pixels, write_to
from .engine.launch import inline, kernel, task_range, threads
from .engine.memory import empty, non_temporal
from .engine.simd import (
    FLOAT,
    LANES,
    fence,
    load,
    load_part,
    select_greater,
    splat,
    store_nt_part,
    store_part,
)
from .engine.simd.functions import constant, negative_power

# -- local response normalization -----------------------------------------------------------------


@inline
def window_sum(row, c, before, size):
    """The sums of `size` numbers from row[c - before] on, for LANES values of c.

    The row has margins of zeros.
    """
    sum = load(row, c - before)
    for j in range(1, size):
        sum = sum + load(row, c - before + j)
    return sum


@kernel
def _lrn(
    task,
    tasks,
    x,
    ld,
    y,
    y_ld,
    scale,
    pixels,
    channels,
    size,
    c: float,
    beta: float,
    k: float,
    scratch,
    margin,
    y_far,
    scale_far,
):
    """s = k + c * the sum of the neighbors' squares; y = x s^-beta.

    The squares lie in a row with zeros at both ends.
    """
    first, last = task_range(pixels, task, tasks)
    squares = scratch + FLOAT * (task * (channels + 2 * margin) + margin)
    for i in range(-margin, channels + margin, LANES):
        store_part(squares, i, constant(0.0), channels + margin - i)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            v = load_part(x, m * ld + i, channels - i)
            store_part(squares, i, v * v, channels - i)
        for i in range(0, channels, LANES):
            s = splat(k) + splat(c) * window_sum(squares, i, size // 2, size)
            store_nt_part(scale, m * channels + i, s, channels - i, scale_far)
            store_nt_part(
                y,
                m * y_ld + i,
                load_part(x, m * ld + i, channels - i) * negative_power(s, beta),
                channels - i,
                y_far,
            )
    fence()


@kernel
def _lrn_grad(
    task,
    tasks,
    dy,
    ld,
    x,
    x_ld,
    scale,
    dx,
    pixels,
    channels,
    size,
    c: float,
    beta: float,
    scratch,
    margin,
    far,
):
    """dx = dy s^-beta - 2 c beta x * the sum of the neighbors' dy y / s, with y = x s^-beta."""
    first, last = task_range(pixels, task, tasks)
    crossed = scratch + FLOAT * (task * 2 * (channels + 2 * margin) + margin)
    direct = crossed + FLOAT * (channels + 2 * margin)
    for i in range(-margin, channels + margin, LANES):
        store_part(crossed, i, constant(0.0), channels + margin - i)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            s = load_part(scale, m * channels + i, channels - i)
            d = load_part(dy, m * ld + i, channels - i) * negative_power(s, beta)
            store_part(direct, i, d, channels - i)
            store_part(crossed, i, d * load_part(x, m * x_ld + i, channels - i) / s, channels - i)
        for i in range(0, channels, LANES):
            v = load_part(x, m * x_ld + i, channels - i) * splat(-2 * c * beta)
            v = load_part(direct, i, channels - i) + v * window_sum(
                crossed, i, (size - 1) // 2, size
            )
            store_nt_part(dx, m * channels + i, v, channels - i, far)
    fence()


def _margin(size: int) -> int:
    """Zeros on each side of a row: the window, and what the last vector reads beyond the end."""
    return size + LANES


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_div_n=False, out=None):
    """See `reference.local_response_norm`."""
    if x.ndim < 2 or not x.size or size < 1:
        raise ValueError(
            f"local_response_norm: x {x.shape} and size={size}: expected (..., C) and size >= 1"
        )
    (x, ld), margin = pixels(x), _margin(size)
    channels = x.shape[-1]
    y = out if out is not None and pixel_step(out) else empty(x.shape)
    scale = empty(x.shape)
    tasks = threads() if x.size > 1 << 12 else 1
    scratch = empty(tasks * (channels + 2 * margin) + LANES)
    c = alpha / size if alpha_div_n else alpha
    _lrn(
        tasks,
        *(address(x), ld, address(y), pixel_step(y), address(scale), x.size // channels, channels),
        *(
            size,
            c,
            beta,
            k,
            address(scratch),
            margin,
            non_temporal(y, pixel_step(y)),
            non_temporal(scale, channels),
        ),
    )
    return write_to(out, y), scale


def local_response_norm_grad(dy, x, y, scale, size=5, alpha=1e-4, beta=0.75, alpha_div_n=False):
    """See `reference.local_response_norm_grad`."""
    for name, a in (("dy", dy), ("scale", scale)):
        expect_shape(f"local_response_norm_grad: {name}", a, x.shape)
    (dy, ld), (x, x_ld), scale, margin = pixels(dy), pixels(x), contiguous(scale), _margin(size)
    channels, dx = x.shape[-1], empty(x.shape)
    tasks = threads() if x.size > 1 << 12 else 1
    scratch = empty(tasks * 2 * (channels + 2 * margin) + LANES)
    c = alpha / size if alpha_div_n else alpha
    _lrn_grad(
        tasks,
        *(
            address(dy),
            ld,
            address(x),
            x_ld,
            address(scale),
            address(dx),
            x.size // channels,
            channels,
        ),
        *(size, c, beta, address(scratch), margin, non_temporal(dx, channels)),
    )
    return dx


# -- batch normalization --------------------------------------------------------------------------

# Floats whose mean and variance are computed together: they are read twice from the nearest cache.
BLOCK = 1 << 13


@inline
def add_differences(x, ld, first, last, channels, sums):
    """sums[:] += the sum of x - x[first] over rows first...last.

    Four rows at a time: each addition of a chain waits for the one before.
    """
    for r in range(first, last - 3, 4):
        for i in range(0, channels, LANES):
            n, at, start = channels - i, r * ld + i, load_part(x, first * ld + i, channels - i)
            two = load_part(x, at, n) + load_part(x, at + ld, n)
            four = two + (load_part(x, at + 2 * ld, n) + load_part(x, at + 3 * ld, n))
            difference = four - constant(4.0) * start  # 4 times a number is exact
            store_part(sums, i, load_part(sums, i, n) + difference, n)
    for r in range(last - (last - first) % 4, last):
        for i in range(0, channels, LANES):
            n = channels - i
            difference = load_part(x, r * ld + i, n) - load_part(x, first * ld + i, n)
            store_part(sums, i, load_part(sums, i, n) + difference, n)


@inline
def squared(v):
    """v^2."""
    return v * v


@inline
def add_squares(x, ld, first, last, channels, means, sums):
    """sums[:] += the sum of (x - means)^2 over rows first...last."""
    for r in range(first, last - 3, 4):
        for i in range(0, channels, LANES):
            n, at, mean = channels - i, r * ld + i, load_part(means, i, channels - i)
            two = squared(load_part(x, at, n) - mean) + squared(load_part(x, at + ld, n) - mean)
            four = two + (
                squared(load_part(x, at + 2 * ld, n) - mean)
                + squared(load_part(x, at + 3 * ld, n) - mean)
            )
            store_part(sums, i, load_part(sums, i, n) + four, n)
    for r in range(last - (last - first) % 4, last):
        for i in range(0, channels, LANES):
            n = channels - i
            square = squared(load_part(x, r * ld + i, n) - load_part(means, i, n))
            store_part(sums, i, load_part(sums, i, n) + square, n)


@inline
def fill_zeros(p, n):
    """p[:n] = 0."""
    for i in range(0, n, LANES):
        store_part(p, i, constant(0.0), n - i)


@kernel
def _moments(task, tasks, x, ld, pixels, channels, block, sums, scratch):
    """Each task's mean and sum of squared deviations, to sums[task] (2, channels).

    A block's mean is a sum of differences to its first row: a constant channel's mean is exact.
    Blocks are merged by the formula of Chan, Golub & LeVeque (1979): one pass over memory, without
    the cancellation of E[x^2] - E[x]^2.
    """
    first, last = task_range(pixels, task, tasks)
    means = sums + FLOAT * task * 2 * channels
    squares = means + FLOAT * channels
    mean = scratch + FLOAT * task * 2 * channels
    square = mean + FLOAT * channels
    fill_zeros(means, 2 * channels)
    for m in range(first, last, block):
        count, seen = min(block, last - m), m - first
        fill_zeros(mean, 2 * channels)
        add_differences(x, ld, m, m + count, channels, mean)
        for i in range(0, channels, LANES):
            n = channels - i
            shifted = load_part(mean, i, n) * constant(1.0 / count)
            store_part(mean, i, load_part(x, m * ld + i, n) + shifted, n)
        add_squares(x, ld, m, m + count, channels, mean, square)
        for i in range(0, channels, LANES):
            n = channels - i
            old = load_part(means, i, n)
            shift = load_part(mean, i, n) - old
            store_part(means, i, old + shift * constant(count / (seen + count)), n)
            more = load_part(square, i, n) + shift * shift * constant(
                count * (seen / (seen + count))
            )
            store_part(squares, i, load_part(squares, i, n) + more, n)


@inline
def normalized(x, mean, factor, beta):
    """(x - mean) * factor + beta."""
    return (x - mean) * factor + beta


@kernel
def _normalize(
    task,
    tasks,
    x,
    ld,
    other,
    other_ld,
    y,
    y_ld,
    pixels,
    channels,
    mean,
    factor,
    beta,
    least: float,
    far,
):
    """y = max((x - mean) * factor + beta + other, least); no `other` if its address is 0."""
    first, last = task_range(pixels, task, tasks)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            n = channels - i
            v = normalized(
                load_part(x, m * ld + i, n),
                load_part(mean, i, n),
                load_part(factor, i, n),
                load_part(beta, i, n),
            )
            if other:
                v = v + load_part(other, m * other_ld + i, n)
            store_nt_part(y, m * y_ld + i, at_least(v, splat(least)), n, far)
    fence()


@kernel
def _normalize_sums(
    task, tasks, dy, dy_ld, x, ld, pixels, channels, mean, factor, beta, least: float, sums
):
    """Each task's sums of dz and dz (x - mean), to sums[task] (2, channels).

    dz is dy where the output exceeds `least`, else 0.
    """
    first, last = task_range(pixels, task, tasks)
    sum_dz = sums + FLOAT * task * 2 * channels
    sum_dzx = sum_dz + FLOAT * channels
    fill_zeros(sum_dz, 2 * channels)
    for m in range(first, last, 4):
        rows = min(4, last - m)
        for i in range(0, channels, LANES):
            n = channels - i
            center, f, b = load_part(mean, i, n), load_part(factor, i, n), load_part(beta, i, n)
            a, c = load_part(sum_dz, i, n), load_part(sum_dzx, i, n)
            for r in range(m, m + rows):
                v = load_part(x, r * ld + i, n)
                dz = select_greater(
                    normalized(v, center, f, b),
                    splat(least),
                    load_part(dy, r * dy_ld + i, n),
                    constant(0.0),
                )
                a = a + dz
                c = c + dz * (v - center)
            store_part(sum_dz, i, a, n)
            store_part(sum_dzx, i, c, n)


@kernel
def _normalize_grad(
    task,
    tasks,
    dy,
    dy_ld,
    x,
    ld,
    dx,
    pixels,
    channels,
    mean,
    factor,
    beta,
    least: float,
    constant_part,
    linear_part,
    far,
):
    """dx = factor * (dz - constant_part - (x - mean) * linear_part)."""
    first, last = task_range(pixels, task, tasks)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            n = channels - i
            v, center, f = (
                load_part(x, m * ld + i, n),
                load_part(mean, i, n),
                load_part(factor, i, n),
            )
            z = normalized(v, center, f, load_part(beta, i, n))
            dz = select_greater(z, splat(least), load_part(dy, m * dy_ld + i, n), constant(0.0))
            dz = dz - load_part(constant_part, i, n) - (v - center) * load_part(linear_part, i, n)
            store_nt_part(dx, m * channels + i, f * dz, n, far)
    fence()


def _expect_channels(name: str, x: np.ndarray, *vectors: np.ndarray | None) -> None:
    """Raise ValueError unless every vector has one number per channel of x."""
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name}: x has shape {x.shape}: expected (..., C), not empty")
    for vector in vectors:
        if vector is not None:
            expect_shape(f"{name}: a vector of channels", vector, x.shape[-1:])


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
    """`f(batch_norm(x) + residual)` in one pass, after one look at x for the statistics."""
    _expect_channels("batch_norm", x, gamma, beta, running_mean, running_var)
    if residual is not None:
        expect_shape("batch_norm_add: other", residual, x.shape)
    x, ld = pixels(x)
    channels, count = x.shape[-1], x.size // x.shape[-1]
    tasks = min(threads(), count) if x.size > 1 << 13 else 1
    if training:
        if count < 2:
            raise ValueError(
                f"batch_norm needs more than one value per channel in training; the input is {x.shape}"
            )
        moments = np.empty((tasks, 2, channels), np.float32)
        scratch = empty((tasks, 2, channels))
        _moments(
            tasks,
            address(x),
            ld,
            count,
            channels,
            max(8, BLOCK // channels),
            address(moments),
            address(scratch),
        )
        shares = np.diff([count * t // tasks for t in range(tasks + 1)])[:, None].astype(np.float32)
        start = moments[0, 0]
        mean = start + ((moments[:, 0] - start) * (shares / count)).sum(axis=0)
        var = (moments[:, 1] + shares * (moments[:, 0] - mean) ** 2).sum(axis=0) / np.float32(count)
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * (count / (count - 1)) - running_var)
    else:
        mean, var = running_mean.copy(), running_var
    inv_std = 1 / np.sqrt(var + np.float32(eps))
    factor, mean, beta = inv_std * gamma, contiguous(mean), contiguous(beta)
    residual, residual_ld = (None, 0) if residual is None else pixels(residual)
    y = out if out is not None and pixel_step(out) else empty(x.shape)
    _normalize(
        tasks,
        *(
            address(x),
            ld,
            0 if residual is None else address(residual),
            residual_ld,
            address(y),
            pixel_step(y),
            count,
            channels,
        ),
        *(
            address(mean),
            address(factor),
            address(beta),
            least_of(activation),
            non_temporal(y, pixel_step(y)),
        ),
    )
    if activation in CURVES:
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
    _expect_channels("batch_norm_grad", x, gamma, mean, inv_std, beta)
    expect_shape("batch_norm_grad: dy", dy, x.shape)
    if activation in CURVES:
        dy = activation_grad(
            dy, activate((x - mean) * (inv_std * gamma) + beta, activation), activation
        )
    (dy, dy_ld), (x, ld) = pixels(dy), pixels(x)
    channels, count = x.shape[-1], x.size // x.shape[-1]
    tasks = min(threads(), count) if x.size > 1 << 13 else 1
    factor, mean = contiguous(inv_std * gamma), contiguous(mean)
    beta = contiguous(mean if beta is None else beta)
    sums = np.empty((tasks, 2, channels), np.float32)
    where = (address(mean), address(factor), address(beta), least_of(activation))
    _normalize_sums(
        tasks, address(dy), dy_ld, address(x), ld, count, channels, *where, address(sums)
    )
    dbeta, dgamma = sums.sum(axis=0)
    dgamma = dgamma * inv_std
    share_of_all = np.float32(training / count)
    constant_part, linear_part = dbeta * share_of_all, dgamma * inv_std * share_of_all
    dx = empty(x.shape)
    _normalize_grad(
        tasks,
        *(address(dy), dy_ld, address(x), ld, address(dx), count, channels),
        *(*where, address(constant_part), address(linear_part), non_temporal(dx, channels)),
    )
    return dx, dgamma, np.ascontiguousarray(dbeta)
