"""Right implementations in many forms: none may be called wrong.

    python -m tests.study.check.variants --count 1000

A variant is drawn from a seed: an operation, an implementation of each pass, the order of its
loops, the layout, the form of the cache, the choice among equal maxima.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minicnn.study.check.functions import Pair
from minicnn.study.check.operations import OPERATIONS
from minicnn.study.check.report import Check
from minicnn.study.check.run import check_subject

Generator = np.random.Generator

# -- convolution, NCHW -----------------------------------------------------------------------------


def shuffled(generator: Generator, *lengths: int) -> list[tuple[int, ...]]:
    """All places of a loop, in a random order of the loops or of the places."""
    places = list(np.ndindex(*lengths))
    how = generator.integers(3)
    return places[::-1] if how == 1 else list(generator.permutation(places)) if how == 2 else places


def padded(x, pad, generator):
    if generator.integers(2):
        return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    n, c, h, w = x.shape
    result = np.zeros((n, c, h + 2 * pad, w + 2 * pad))
    result[:, :, pad : pad + h, pad : pad + w] = x
    return result


def conv_loops(x, w, b, s, generator):
    n, _, h, v = x.shape
    k, _, kh, kw = w.shape
    y = np.zeros((n, k, (h - kh) // s + 1, (v - kw) // s + 1))
    for i, f, p, q in shuffled(generator, *y.shape):
        window = x[i, :, p * s : p * s + kh, q * s : q * s + kw]
        y[i, f, p, q] = b[f] + float(np.longdouble(window * w[f]).sum())
    return y


def conv_einsum(x, w, b, s, generator):
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    return np.einsum("ncpqij,kcij->nkpq", windows, w) + b[:, None, None]


def conv_im2col(x, w, b, s, generator):
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    n, _, h, v = windows.shape[:4]
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(w[0].size, -1)
    return (w.reshape(len(w), -1) @ columns + b[:, None]).reshape(-1, n, h, v).swapaxes(0, 1)


def conv_cells(x, w, b, s, generator):
    h, v = (x.shape[2] - w.shape[2]) // s + 1, (x.shape[3] - w.shape[3]) // s + 1
    y = np.zeros((len(x), len(w), h, v)) + b[:, None, None]
    for i, j in shuffled(generator, *w.shape[2:]):
        part = x[:, :, i : i + s * h : s, j : j + s * v : s][:, :, :h, :v]
        y += np.tensordot(part, w[:, :, i, j], (1, 1)).transpose(0, 3, 1, 2)
    return y


def conv_fft(x, w, b, s, generator):
    size = x.shape[2:]
    spectrum = np.einsum(
        "nchw,kchw->nkhw", np.fft.fft2(x), np.conj(np.fft.fft2(w, size)), optimize=True
    )
    full = np.fft.ifft2(spectrum).real
    h, v = size[0] - w.shape[2] + 1, size[1] - w.shape[3] + 1
    return full[:, :, :h:s, :v:s] + b[:, None, None]


def grads_loops(dy, x, w, s, generator):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    kh, kw = w.shape[2:]
    for n, f, p, q in shuffled(generator, *dy.shape):
        rows, columns = slice(p * s, p * s + kh), slice(q * s, q * s + kw)
        dx[n, :, rows, columns] += dy[n, f, p, q] * w[f]
        dw[f] = dw[f] + dy[n, f, p, q] * x[n, :, rows, columns]
    return dx, dw


def grads_cells(dy, x, w, s, generator):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    h, v = dy.shape[2:]
    for i, j in shuffled(generator, *w.shape[2:]):
        part = (slice(None), slice(None), slice(i, i + s * h, s), slice(j, j + s * v, s))
        dx[part][:, :, :h, :v] += np.einsum("nkpq,kc->ncpq", dy, w[:, :, i, j])
        dw[:, :, i, j] = np.einsum("nkpq,ncpq->kc", dy, x[part][:, :, :h, :v])
    return dx, dw


def grads_full(dy, x, w, s, generator):
    """dx as the full convolution of the dilated dy with the rotated kernel."""
    n, k, h, v = dy.shape
    kh, kw = w.shape[2:]
    wide = np.zeros((n, k, x.shape[2] + kh - 1, x.shape[3] + kw - 1))
    wide[:, :, kh - 1 : kh - 1 + s * h : s, kw - 1 : kw - 1 + s * v : s][:, :, :h, :v] = dy
    turned = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    dx = conv_einsum(wide, turned, np.zeros(len(turned)), 1, generator)
    windows = sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::s, ::s]
    return dx, np.tensordot(dy, windows, ((0, 2, 3), (0, 2, 3)))


FORWARDS = [conv_loops, conv_einsum, conv_im2col, conv_cells, conv_fft]
BACKWARDS = [grads_loops, grads_cells, grads_full]


class Kept(dict):
    """A cache with attributes."""

    __getattr__ = dict.__getitem__


def keep(generator: Generator, **values) -> Callable[[], list]:
    """The values in a tuple, a dict, an object or a closure; calling it gives them."""
    how = generator.integers(3)
    if how == 0:
        stored = tuple(values.values())
        return lambda: list(stored)
    cache = Kept(values) if how == 1 else dict(values)
    return lambda: [cache[name] for name in values]


def convolution(generator: Generator):
    forward = FORWARDS[generator.integers(len(FORWARDS))]
    backward = BACKWARDS[generator.integers(len(BACKWARDS))]
    cut = generator.integers(3)
    way = generator.integers(3)

    def conv_forward(x, w, b, conv_param):
        x_pad = padded(x, conv_param["pad"], generator)
        y = forward(x_pad, w, b, conv_param["stride"], generator)
        return y, keep(generator, x=x, w=w, x_pad=x_pad, conv_param=conv_param)

    def conv_backward(dout, cache):
        x, w, x_pad, conv_param = cache()
        pad, (h, v) = conv_param["pad"], x.shape[2:]
        dx, dw = backward(dout, x_pad, w, conv_param["stride"], generator)
        dx = (
            dx[:, :, pad : pad + h, pad : pad + v],
            dx[:, :, pad : dx.shape[2] - pad, pad : dx.shape[3] - pad],
            dx[:, :, pad : -pad or None, pad : -pad or None],
        )[cut]
        db = (dout.sum(axis=(0, 2, 3)), dout.sum(0).sum(1).sum(1), np.einsum("nkpq->k", dout))[way]
        return dx, dw, db

    return "conv2d", conv_forward, conv_backward


# -- pooling ---------------------------------------------------------------------------------------


def max_pooling(generator: Generator):
    tie, how = generator.integers(3), generator.integers(2)

    def windows_of(x, param):
        size, s = (param["pool_height"], param["pool_width"]), param["stride"]
        return sliding_window_view(x, size, axis=(2, 3))[:, :, ::s, ::s]

    def max_pool_forward(x, pool_param):
        windows = windows_of(x, pool_param)
        if how:
            return windows.max(axis=(4, 5)), keep(generator, x=x, param=pool_param)
        y = np.empty(windows.shape[:4])
        for place in shuffled(generator, *y.shape):
            y[tuple(place)] = np.sort(windows[tuple(place)], axis=None)[-1]
        return y, keep(generator, x=x, param=pool_param)

    def max_pool_backward(dout, cache):
        x, param = cache()
        s, dx = param["stride"], np.zeros_like(x)
        windows = windows_of(x, param)
        for n, c, p, q in shuffled(generator, *dout.shape):
            window = windows[n, c, p, q]
            target = dx[n, c, p * s : p * s + window.shape[0], q * s : q * s + window.shape[1]]
            best = window == window.max()
            if tie == 0:  # shared
                target += best / best.sum() * dout[n, c, p, q]
            else:
                places = np.argwhere(best)
                target[tuple(places[0 if tie == 1 else -1])] += dout[n, c, p, q]
        return dx

    return "max_pool2d", max_pool_forward, max_pool_backward


# -- normalization ---------------------------------------------------------------------------------


def batch_norm(generator: Generator):
    how, unbiased, one_pass = generator.integers(3), generator.integers(2), generator.integers(2)

    def batchnorm_forward(x, gamma, beta, bn_param):
        eps = bn_param.get("eps", 1e-5)
        if bn_param["mode"] == "test":
            scale = gamma / np.sqrt(bn_param["running_var"] + eps)
            return x * scale + (beta - bn_param["running_mean"] * scale), None
        mean = x.mean(0)
        var = (x * x).mean(0) - mean**2 if one_pass else np.var(x, axis=0)
        m = bn_param["momentum"]
        new = var * len(x) / (len(x) - 1) if unbiased else var
        bn_param["running_mean"] = m * bn_param["running_mean"] + (1 - m) * mean
        bn_param["running_var"] *= m
        bn_param["running_var"] += (1 - m) * new
        std = np.sqrt(var + eps)
        hat = (x - mean) / std
        return gamma * hat + beta, keep(generator, x=x, mean=mean, std=std, hat=hat, gamma=gamma)

    def batchnorm_backward(dout, cache):
        x, mean, std, hat, gamma = cache()
        n, centered = len(x), x - mean
        g = dout * gamma
        if how == 0:
            dx = (g - g.mean(0) - hat * (g * hat).mean(0)) / std
        elif how == 1:
            dvar = (g * centered).sum(0) * -0.5 * std**-3
            dmean = -g.sum(0) / std - 2 * dvar * centered.mean(0)
            dx = g / std + 2 * dvar * centered / n + dmean / n
        else:  # with the Jacobian of each feature
            eye = np.eye(n) - 1 / n
            dx = np.stack(
                [
                    (eye - np.outer(hat[:, d], hat[:, d]) / n) @ g[:, d] / std[d]
                    for d in range(x.shape[1])
                ],
                axis=1,
            )
        return dx, np.einsum("nd,nd->d", dout, hat), np.ones(n) @ dout

    return "batch_norm", batchnorm_forward, batchnorm_backward


def spatial_batch_norm(generator: Generator):
    _, forward, backward = batch_norm(generator)

    def rows(a):
        return np.moveaxis(a, 1, -1).reshape(-1, a.shape[1])

    def images(a, shape):
        return np.moveaxis(a.reshape(shape[0], *shape[2:], shape[1]), -1, 1)

    def spatial_batchnorm_forward(x, gamma, beta, bn_param):
        y, cache = forward(rows(x), gamma, beta, bn_param)
        return images(y, x.shape), cache

    def spatial_batchnorm_backward(dout, cache):
        dx, dgamma, dbeta = backward(rows(dout), cache)
        return images(dx, dout.shape), dgamma, dbeta

    return "spatial_batch_norm", spatial_batchnorm_forward, spatial_batchnorm_backward


def layer_norm(generator: Generator):
    def layernorm_forward(x, gamma, beta, ln_param):
        turned = x.T
        std = np.sqrt(turned.var(axis=0) + ln_param["eps"])
        hat = ((turned - turned.mean(axis=0)) / std).T
        return gamma * hat + beta, keep(generator, hat=hat, std=std, gamma=gamma)

    def layernorm_backward(dout, cache):
        hat, std, gamma = cache()
        g = dout * gamma
        dx = g - g.mean(1, keepdims=True) - hat * (g * hat).mean(1, keepdims=True)
        return dx / std[:, None], (dout * hat).sum(0), dout.sum(0)

    return "layer_norm", layernorm_forward, layernorm_backward


# -- the rest --------------------------------------------------------------------------------------


def affine(generator: Generator):
    how = generator.integers(2)

    def affine_forward(x, w, b):
        rows = x.reshape(len(x), -1)
        y = rows @ w + b if how else np.stack([(w * row[:, None]).sum(0) for row in rows]) + b
        return y, keep(generator, x=x, w=w)

    def affine_backward(dout, cache):
        x, w = cache()
        dx = np.einsum("nm,dm->nd", dout, w) if how else (w @ dout.T).T
        dw = sum(np.outer(a, b) for a, b in zip(x.reshape(len(x), -1), dout, strict=True))
        return dx.reshape(x.shape), dw, dout.sum(0)

    return "linear", affine_forward, affine_backward


def relu(generator: Generator):
    how = generator.integers(3)

    def relu_forward(x):
        y = (np.maximum(x, 0), x * (x > 0), np.where(x > 0, x, 0.0))[how]
        return y, (x, y)[generator.integers(2)]

    def relu_backward(dout, cache):
        if how:
            return np.where(cache > 0, dout, 0)
        dx = dout.copy()
        dx[cache <= 0] = 0
        return dx

    return "relu", relu_forward, relu_backward


def softmax(generator: Generator):
    how = generator.integers(2)

    def softmax_loss(x, y):
        n, grad = len(x), np.empty_like(x)
        shifted = x - x.max(axis=1, keepdims=True)
        if how:
            logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            onehot = np.eye(x.shape[1])[y]
            return -(logs * onehot).sum() / n, (np.exp(logs) - onehot) / n
        loss = 0.0
        for i in range(n):
            p = np.exp(shifted[i]) / np.exp(shifted[i]).sum()
            loss -= np.log(p[y[i]]) / n
            grad[i] = p / n
            grad[i, y[i]] -= 1 / n
        return loss, grad

    return "softmax_loss", softmax_loss, None


def dropout(generator: Generator):
    drops, original = generator.integers(2), generator.integers(2)

    def dropout_forward(x, dropout_param):
        p = dropout_param["p"]
        kept = 1 - p if drops else p
        if dropout_param["mode"] == "test":
            return x.copy() if original else x, None
        mask = (generator.random(x.shape) < kept) / kept
        return x * mask, mask

    def dropout_backward(dout, cache):
        return dout * cache

    return "dropout", dropout_forward, dropout_backward


MAKERS = (
    [convolution] * 6
    + [max_pooling] * 3
    + [batch_norm, spatial_batch_norm] * 2
    + [layer_norm, affine, relu, softmax, dropout]
)


def turned(function, axes: tuple[int, ...], weights: tuple[int, ...]):
    """The same function in NHWC: arguments and results of four axes are transposed."""

    def turn(value, order):
        return value.transpose(order) if getattr(value, "ndim", 0) == 4 else value

    def back(order):
        return tuple(np.argsort(order))

    if function.__name__.endswith("forward"):

        def forward(x, *rest):
            own = [turn(a, weights) for a in rest]
            y, cache = function(turn(x, axes), *own)
            return turn(y, back(axes)), cache

        forward.__signature__ = __import__("inspect").signature(function)
        return forward

    def backward(dout, cache):
        found = function(turn(dout, axes), cache)
        if not isinstance(found, tuple):
            return turn(found, back(axes))
        return turn(found[0], back(axes)), turn(found[1], back(weights)), *found[2:]

    return backward


def variant(seed: int) -> Pair:
    """The right implementation of that seed."""
    generator = np.random.default_rng(seed)
    name, forward, backward = MAKERS[generator.integers(len(MAKERS))](generator)
    operation = OPERATIONS[name]
    if operation.images and generator.integers(2):
        forward = turned(forward, (0, 3, 1, 2), (3, 2, 0, 1))
        backward = turned(backward, (0, 3, 1, 2), (3, 2, 0, 1))
    return Pair(f"{name} {seed}", operation, forward, backward)


def check_variant(seed: int) -> Check:
    """The check of the variant of that seed, with other random numbers for each."""
    return check_subject(variant(seed), seed)


def main() -> int:
    """Check `--count` variants; 1 if any is called wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    options = parser.parse_args()
    start, wrong, names = time.perf_counter(), [], {}
    for seed in range(options.start, options.start + options.count):
        check = check_variant(seed)
        names[check.operation] = names.get(check.operation, 0) + 1
        if not check.ok:
            wrong.append(seed)
            print(check)
    seconds = time.perf_counter() - start
    print(", ".join(f"{count} {name}" for name, count in sorted(names.items())))
    print(f"{len(wrong)} of {options.count} right variants called wrong {wrong}; {seconds:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
