"""Parameter updates: one pass over the parameters, their gradients and the optimiser's slots."""

from .. import reference
from .activation import span, tasks_for
from .arrays import address, contiguous, is_contiguous
from .launch import kernel
from .simd import LANES, load_part, splat, sqrt, store_part


@kernel
def _sgd(task, tasks, w, g, v, n, lr: float, momentum: float, decay: float, rate: float, nesterov):
    """v = momentum v + rate (g + decay w); w -= lr * (nesterov ? momentum v + rate (g + decay w) : v)."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        k = last - i
        old = load_part(w, i, k)
        gradient = (load_part(g, i, k) + splat(decay) * old) * splat(rate)
        velocity = splat(momentum) * load_part(v, i, k) + gradient
        store_part(v, i, velocity, k)
        step = splat(momentum) * velocity + gradient if nesterov else velocity
        store_part(w, i, old - splat(lr) * step, k)


@kernel
def _adam(
    task, tasks, w, g, m, v, n, rate: float, beta1: float, beta2: float, eps: float, decay: float, shrink: float, correction: float,
):  # fmt: skip
    """The moments, and w -= rate * m / (sqrt(v * correction) + eps)."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        k = last - i
        old = load_part(w, i, k) * splat(shrink)
        gradient = load_part(g, i, k) + splat(decay) * old
        mean, square = load_part(m, i, k), load_part(v, i, k)
        mean = mean + splat(beta1) * (gradient - mean)
        square = square + splat(beta2) * (gradient * gradient - square)
        store_part(m, i, mean, k)
        store_part(v, i, square, k)
        store_part(w, i, old - splat(rate) * mean / (sqrt(square * splat(correction)) + splat(eps)), k)


@kernel
def _rmsprop(task, tasks, w, g, s, v, n, lr: float, decay: float, eps: float, momentum: float, weight_decay: float):
    """s, v and w by their formulas."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        k = last - i
        old, square = load_part(w, i, k), load_part(s, i, k)
        gradient = load_part(g, i, k) + splat(weight_decay) * old
        square = square + splat(decay) * (gradient * gradient - square)
        velocity = splat(momentum) * load_part(v, i, k) + gradient / (sqrt(square) + splat(eps))
        store_part(s, i, square, k)
        store_part(v, i, velocity, k)
        store_part(w, i, old - splat(lr) * velocity, k)


def _usable(*arrays) -> bool:
    """Whether arrays that are changed in place can be reached by kernels."""
    return all(is_contiguous(a) for a in arrays)


def sgd_update(w, g, v, lr, momentum=0.0, weight_decay=0.0, nesterov=False, form="torch"):
    """See `reference.sgd_update`."""
    if not _usable(w, v):
        return reference.sgd_update(w, g, v, lr, momentum, weight_decay, nesterov, form)
    g = contiguous(g)
    rate, step = (1.0, lr) if form == "torch" else (lr, 1.0)
    _sgd(tasks_for(w.size), address(w), address(g), address(v), w.size, step, momentum, weight_decay, rate, nesterov)


def adam_update(w, g, m, v, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, decoupled=False):
    """See `reference.adam_update`."""
    if not _usable(w, m, v):
        return reference.adam_update(w, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled)
    g = contiguous(g)
    decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    _adam(
        tasks_for(w.size),
        *(address(w), address(g), address(m), address(v), w.size),
        *(lr / (1 - beta1**step), 1 - beta1, 1 - beta2, eps, decay, shrink, 1 / (1 - beta2**step)),
    )


def rmsprop_update(w, g, s, v, lr, decay=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
    """See `reference.rmsprop_update`."""
    if not _usable(w, s, v):
        return reference.rmsprop_update(w, g, s, v, lr, decay, eps, momentum, weight_decay)
    g = contiguous(g)
    _rmsprop(tasks_for(w.size), address(w), address(g), address(s), address(v), w.size, lr, 1 - decay, eps, momentum, weight_decay)
