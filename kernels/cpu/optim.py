"""Parameter updates: one kernel call for all parameters, one pass over each.

A kernel takes two tables with one column per parameter. The rows of `arrays` are the sizes and the
addresses of the parameters, the gradients and the optimizer's state; the rows of `numbers` are
rates and decays. Tasks share the elements of every parameter.
"""

from collections.abc import Sequence

import numpy as np

from .. import reference
from ..types import Array
from .engine.arrays import address, contiguous, expect_shape, is_contiguous
from .engine.launch import inline, kernel
from .engine.rows import span
from .engine.simd import (
    LANES,
    Address,
    Vector,
    load_index,
    load_part,
    load_scalar,
    splat,
    sqrt,
    store_part,
)
from .engine.threads import threads_for


@inline
def parameter(arrays: Address, count: int, p: int) -> tuple[int, Address, Address]:
    """The size of parameter p of `count`, its address and that of its gradient."""
    return (
        load_index(arrays, p),
        load_index(arrays, count + p),
        load_index(arrays, 2 * count + p),
    )


@inline
def number(numbers: Address, i: int) -> Vector:
    """numbers[i] in every lane."""
    return splat(load_scalar(numbers, i))


@kernel
def _sgd(
    task: int,
    tasks: int,
    arrays: Address,
    numbers: Address,
    count: int,
    momentum: float,
    nesterov: bool,
) -> None:
    """s = rate (g + decay w), v = momentum v + s, w -= lr (momentum v + s if nesterov else v)."""
    for p in range(count):
        n, w, g = parameter(arrays, count, p)
        v = load_index(arrays, 3 * count + p)
        lr, decay = number(numbers, p), number(numbers, count + p)
        rate = number(numbers, 2 * count + p)
        first, last = span(n, task, tasks)
        for i in range(first, last, LANES):
            k = last - i
            old = load_part(w, i, k)
            gradient = (load_part(g, i, k) + decay * old) * rate
            velocity = splat(momentum) * load_part(v, i, k) + gradient
            store_part(v, i, velocity, k)
            step = splat(momentum) * velocity + gradient if nesterov else velocity
            store_part(w, i, old - lr * step, k)


@kernel
def _adam(
    task: int,
    tasks: int,
    arrays: Address,
    numbers: Address,
    count: int,
    beta1: float,
    beta2: float,
    eps: float,
    correction: float,
) -> None:
    """Adam for parameters whose rates include the corrections of the first moment.

        w = shrink w        g = g + decay w
        m += beta1 (g - m)        v += beta2 (g^2 - v)
        w -= rate m / (sqrt(v correction) + eps)

    beta1 and beta2 are the weights of the new values, which are 1 - beta in the paper.
    """
    for p in range(count):
        n, w, g = parameter(arrays, count, p)
        m, v = load_index(arrays, 3 * count + p), load_index(arrays, 4 * count + p)
        rate, decay = number(numbers, p), number(numbers, count + p)
        shrink = number(numbers, 2 * count + p)
        first, last = span(n, task, tasks)
        for i in range(first, last, LANES):
            k = last - i
            old = load_part(w, i, k) * shrink
            gradient = load_part(g, i, k) + decay * old
            mean, square = load_part(m, i, k), load_part(v, i, k)
            mean = mean + splat(beta1) * (gradient - mean)
            square = square + splat(beta2) * (gradient * gradient - square)
            store_part(m, i, mean, k)
            store_part(v, i, square, k)
            store_part(w, i, old - rate * mean / (sqrt(square * splat(correction)) + splat(eps)), k)


@kernel
def _rmsprop(
    task: int,
    tasks: int,
    arrays: Address,
    numbers: Address,
    count: int,
    decay: float,
    eps: float,
    momentum: float,
) -> None:
    """s += decay (g^2 - s), v = momentum v + g / (sqrt(s) + eps), w -= lr v.

    g includes the weight decay; `decay` is the weight of the new value, 1 - decay in torch.
    """
    for p in range(count):
        n, w, g = parameter(arrays, count, p)
        s, v = load_index(arrays, 3 * count + p), load_index(arrays, 4 * count + p)
        lr, weight_decay = number(numbers, p), number(numbers, count + p)
        first, last = span(n, task, tasks)
        for i in range(first, last, LANES):
            k = last - i
            old, square = load_part(w, i, k), load_part(s, i, k)
            gradient = load_part(g, i, k) + weight_decay * old
            square = square + splat(decay) * (gradient * gradient - square)
            velocity = splat(momentum) * load_part(v, i, k) + gradient / (sqrt(square) + splat(eps))
            store_part(s, i, square, k)
            store_part(v, i, velocity, k)
            store_part(w, i, old - lr * velocity, k)


def _update(
    kernel: kernel,
    w: list[Array],
    g: list[Array],
    slots: Sequence[list[Array]],
    numbers: Sequence[list[float]],
    *more: float,
) -> bool:
    """Run `kernel` on all parameters. Returns False, and does nothing, if one is not contiguous.

    Raises ValueError for lists of different lengths and for arrays of different shapes.
    """
    for name, arrays in (("gradient", g), *((f"slot {i}", s) for i, s in enumerate(slots))):
        if len(arrays) != len(w):
            raise ValueError(f"{len(arrays)} arrays of {name} for {len(w)} parameters")
        for i, (a, parameter) in enumerate(zip(arrays, w, strict=True)):
            if a.shape != parameter.shape:
                expect_shape(f"{name} of parameter {i}", a, parameter.shape)
    for row in numbers:
        if len(row) != len(w):
            raise ValueError(f"{len(row)} rates or decays for {len(w)} parameters")
    if not all(is_contiguous(a) for arrays in (w, *slots) for a in arrays):
        return False
    gradients = [contiguous(a) for a in g]
    sizes = [a.size for a in w]
    rows = [[address(a) for a in row] for row in (w, gradients, *slots)]
    table, own = np.array([sizes, *rows], np.int64), np.array(numbers, np.float32)
    kernel(threads_for(bytes=4 * sum(sizes)), address(table), address(own), len(w), *more)
    return True


def sgd_update(
    w: list[Array],
    g: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    momentum: float = 0.0,
    nesterov: bool = False,
    form: str = "torch",
) -> None:
    """See `reference.sgd_update`."""
    ones = [1.0] * len(w)
    step, rate = (lr, ones) if form == "torch" else (ones, lr)
    if not _update(_sgd, w, g, (v,), (step, weight_decay, rate), momentum, nesterov):
        reference.sgd_update(w, g, v, lr, weight_decay, momentum, nesterov, form)


def adam_update(
    w: list[Array],
    g: list[Array],
    m: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    step: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
) -> None:
    """See `reference.adam_update`."""
    rates = [rate / (1 - beta1**step) for rate in lr]
    added = [0.0 if decoupled else wd for wd in weight_decay]
    shrink = [
        1 - rate * wd if decoupled else 1.0 for rate, wd in zip(lr, weight_decay, strict=True)
    ]
    if not _update(
        _adam,
        w,
        g,
        (m, v),
        (rates, added, shrink),
        1 - beta1,
        1 - beta2,
        eps,
        1 / (1 - beta2**step),
    ):
        reference.adam_update(w, g, m, v, lr, weight_decay, step, beta1, beta2, eps, decoupled)


def rmsprop_update(
    w: list[Array],
    g: list[Array],
    s: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    decay: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> None:
    """See `reference.rmsprop_update`."""
    if not _update(_rmsprop, w, g, (s, v), (lr, weight_decay), 1 - decay, eps, momentum):
        reference.rmsprop_update(w, g, s, v, lr, weight_decay, decay, eps, momentum)
