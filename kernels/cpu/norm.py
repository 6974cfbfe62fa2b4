"""Normalisation in as few passes over memory as there are: local response normalisation, and batch normalisation with its activation."""

import numpy as np

from .activation import KINDS, apply, deliver, slope
from .arrays import address, contiguous, pixel_step, pixels
from .functions import constant, negative_power
from .gemm import FLOAT
from .launch import inline, kernel, share, threads
from .memory import empty
from .simd import LANES, load, load_part, splat, store_part

# -- local response normalisation ----------------------------------------------------------------------------------------------


@inline
def window_sum(row, c, before, size):
    """Sum of the `size` numbers from row[c - before] on, for LANES values of c; the row has margins of zeros."""
    sum = load(row, c - before)
    for j in range(1, size):
        sum = sum + load(row, c - before + j)
    return sum


@kernel
def _lrn(task, tasks, x, ld, y, y_ld, scale, pixels, channels, size, c: float, beta: float, k: float, scratch, margin):
    """s = k + c * the sum of the neighbours' squares; y = x s^-beta. The squares lie in a row with zeros at both ends."""
    first, last = share(pixels, task, tasks)
    squares = scratch + FLOAT * (task * (channels + 2 * margin) + margin)
    for i in range(-margin, channels + margin, LANES):
        store_part(squares, i, constant(0.0), channels + margin - i)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            v = load_part(x, m * ld + i, channels - i)
            store_part(squares, i, v * v, channels - i)
        for i in range(0, channels, LANES):
            s = splat(k) + splat(c) * window_sum(squares, i, size // 2, size)
            store_part(scale, m * channels + i, s, channels - i)
            store_part(y, m * y_ld + i, load_part(x, m * ld + i, channels - i) * negative_power(s, beta), channels - i)


@kernel
def _lrn_grad(task, tasks, dy, ld, x, x_ld, scale, dx, pixels, channels, size, c: float, beta: float, scratch, margin):
    """dx = dy s^-beta - 2 c beta x * the sum of the neighbours' dy y / s, with y = x s^-beta."""
    first, last = share(pixels, task, tasks)
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
            v = load_part(direct, i, channels - i) + v * window_sum(crossed, i, (size - 1) // 2, size)
            store_part(dx, m * channels + i, v, channels - i)


def _margin(size: int) -> int:
    """Zeros on each side of a row: the window's reach, and the lanes that the last vector reads too many."""
    return size + LANES


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_div_n=False, out=None):
    """See `reference.local_response_norm`."""
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
        *(size, c, beta, k, address(scratch), margin),
    )
    return deliver(y, out), scale


def local_response_norm_grad(dy, x, y, scale, size=5, alpha=1e-4, beta=0.75, alpha_div_n=False):
    """See `reference.local_response_norm_grad`."""
    (dy, ld), (x, x_ld), scale, margin = pixels(dy), pixels(x), contiguous(scale), _margin(size)
    channels, dx = x.shape[-1], empty(x.shape)
    tasks = threads() if x.size > 1 << 12 else 1
    scratch = empty(tasks * 2 * (channels + 2 * margin) + LANES)
    c = alpha / size if alpha_div_n else alpha
    _lrn_grad(
        tasks,
        *(address(dy), ld, address(x), x_ld, address(scale), address(dx), x.size // channels, channels),
        *(size, c, beta, address(scratch), margin),
    )
    return dx


# -- batch normalisation -------------------------------------------------------------------------------------------------------

BLOCK = 1 << 13  # floats whose mean and variance are taken together: they stay in the nearest cache for the second look


@kernel
def _moments(task, tasks, x, ld, pixels, channels, block, sums):
    """Each task's mean and sum of squared deviations, to sums[task] (2, channels).

    A block's are exact sums over few numbers, and are merged into the running ones by Chan, Golub & LeVeque (1979): one look at memory,
    and none of the cancellation of E[x^2] - E[x]^2.
    """
    first, last = share(pixels, task, tasks)
    means = sums + FLOAT * task * 2 * channels
    squares = means + FLOAT * channels
    for i in range(0, channels, LANES):
        store_part(means, i, constant(0.0), channels - i)
        store_part(squares, i, constant(0.0), channels - i)
    for m in range(first, last, block):
        count, seen = min(block, last - m), m - first
        for i in range(0, channels, LANES):
            n = channels - i
            sum = constant(0.0)
            for r in range(m, m + count):
                sum = sum + load_part(x, r * ld + i, n)
            mean = sum * constant(1.0 / count)
            square = constant(0.0)
            for r in range(m, m + count):
                d = load_part(x, r * ld + i, n) - mean
                square = square + d * d
            old = load_part(means, i, n)
            shift = mean - old
            store_part(means, i, old + shift * constant(count / (seen + count)), n)
            square = square + shift * shift * constant(count * (seen / (seen + count)))
            store_part(squares, i, load_part(squares, i, n) + square, n)


@inline
def normalised(x, mean, factor, beta):
    """(x - mean) * factor + beta."""
    return (x - mean) * factor + beta


@kernel
def _normalise(task, tasks, x, ld, y, y_ld, pixels, channels, mean, factor, beta, kind):
    """y = f((x - mean) * factor + beta)."""
    first, last = share(pixels, task, tasks)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            n = channels - i
            v = normalised(load_part(x, m * ld + i, n), load_part(mean, i, n), load_part(factor, i, n), load_part(beta, i, n))
            store_part(y, m * y_ld + i, apply(v, kind), n)


@kernel
def _normalise_sums(task, tasks, dy, dy_ld, x, ld, pixels, channels, mean, factor, beta, kind, block, sums):
    """Each task's sums of dz and dz (x - mean), where dz = dy f'(z), to sums[task] (2, channels)."""
    first, last = share(pixels, task, tasks)
    sum_dz = sums + FLOAT * task * 2 * channels
    sum_dzx = sum_dz + FLOAT * channels
    for i in range(0, 2 * channels, LANES):
        store_part(sum_dz, i, constant(0.0), 2 * channels - i)
    for m in range(first, last, block):
        for i in range(0, channels, LANES):
            n = channels - i
            centre, f, b = load_part(mean, i, n), load_part(factor, i, n), load_part(beta, i, n)
            a, c = constant(0.0), constant(0.0)
            for r in range(m, min(m + block, last)):
                v = load_part(x, r * ld + i, n)
                dz = load_part(dy, r * dy_ld + i, n)
                if kind != 0:
                    dz = slope(dz, apply(normalised(v, centre, f, b), kind), kind)
                a = a + dz
                c = c + dz * (v - centre)
            store_part(sum_dz, i, load_part(sum_dz, i, n) + a, n)
            store_part(sum_dzx, i, load_part(sum_dzx, i, n) + c, n)


@kernel
def _normalise_grad(task, tasks, dy, dy_ld, x, ld, dx, pixels, channels, mean, factor, beta, kind, constant_part, linear_part):
    """dx = factor * (dz - constant_part - (x - mean) * linear_part)."""
    first, last = share(pixels, task, tasks)
    for m in range(first, last):
        for i in range(0, channels, LANES):
            n = channels - i
            v, dz = load_part(x, m * ld + i, n), load_part(dy, m * dy_ld + i, n)
            centre, f = load_part(mean, i, n), load_part(factor, i, n)
            if kind != 0:
                dz = slope(dz, apply(normalised(v, centre, f, load_part(beta, i, n)), kind), kind)
            dz = dz - load_part(constant_part, i, n) - (v - centre) * load_part(linear_part, i, n)
            store_part(dx, m * channels + i, f * dz, n)


def _block(channels: int) -> int:
    return max(1, BLOCK // channels)


def batch_norm(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5, activation=None, out=None):
    """See `reference.batch_norm`."""
    x, ld = pixels(x)
    channels, count = x.shape[-1], x.size // x.shape[-1]
    tasks = min(threads(), count) if x.size > 1 << 13 else 1
    if training:
        if count < 2:
            raise ValueError(f"batch_norm needs more than one value per channel in training; the input is {x.shape}")
        moments = np.empty((tasks, 2, channels), np.float32)
        _moments(tasks, address(x), ld, count, channels, _block(channels), address(moments))
        shares = np.diff([count * t // tasks for t in range(tasks + 1)])[:, None].astype(np.float32)
        mean = (moments[:, 0] * (shares / count)).sum(axis=0)
        var = (moments[:, 1] + shares * (moments[:, 0] - mean) ** 2).sum(axis=0) / np.float32(count)
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * (count / (count - 1)) - running_var)
    else:
        mean, var = running_mean.copy(), running_var
    inv_std = 1 / np.sqrt(var + np.float32(eps))
    factor, mean, beta = inv_std * gamma, contiguous(mean), contiguous(beta)
    y = out if out is not None and pixel_step(out) else empty(x.shape)
    _normalise(
        tasks,
        *(address(x), ld, address(y), pixel_step(y), count, channels),
        *(address(mean), address(factor), address(beta), KINDS[activation]),
    )
    return deliver(y, out), mean, inv_std


def batch_norm_grad(dy, x, gamma, mean, inv_std, training=True, beta=None, activation=None):
    """See `reference.batch_norm_grad`."""
    (dy, dy_ld), (x, ld) = pixels(dy), pixels(x)
    channels, count = x.shape[-1], x.size // x.shape[-1]
    tasks = min(threads(), count) if x.size > 1 << 13 else 1
    factor, mean = contiguous(inv_std * gamma), contiguous(mean)
    beta = contiguous(mean if beta is None else beta)
    sums = np.empty((tasks, 2, channels), np.float32)
    where = (address(mean), address(factor), address(beta), KINDS[activation])
    _normalise_sums(tasks, address(dy), dy_ld, address(x), ld, count, channels, *where, _block(channels), address(sums))
    dbeta, dgamma = sums.sum(axis=0)
    dgamma = dgamma * inv_std
    share_of_all = np.float32(training / count)
    constant_part, linear_part = dbeta * share_of_all, dgamma * inv_std * share_of_all
    dx = empty(x.shape)
    _normalise_grad(
        tasks,
        *(address(dy), dy_ld, address(x), ld, address(dx), count, channels),
        *(*where, address(constant_part), address(linear_part)),
    )
    return dx, dgamma, np.ascontiguousarray(dbeta)
