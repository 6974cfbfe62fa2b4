"""Activations and sums, one pass over the bytes each."""

from ..reference.activation import AMPLITUDE, SLOPE
from . import functions
from .arrays import address, contiguous, is_contiguous
from .functions import constant
from .launch import inline, kernel, share, threads
from .memory import empty
from .simd import LANES, load_part, rectify, store_part, where_greater

KINDS = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3, "scaled_tanh": 4}
GRAIN = 1 << 14  # floats that are worth a second thread


def tasks_for(size: int) -> int:
    """Threads for a pass over `size` floats."""
    return threads() if size > GRAIN else 1


@inline
def span(n, task, tasks):
    """The task's floats [first, last) of n: whole vectors but for the last."""
    first, last = share((n + LANES - 1) // LANES, task, tasks)
    return first * LANES, min(last * LANES, n)


@inline
def apply(v, kind):
    """The activation of that kind."""
    if kind == 1:
        return rectify(v)
    if kind == 2:
        return functions.sigmoid(v)
    if kind == 3:
        return functions.tanh(v)
    if kind == 4:
        return constant(AMPLITUDE) * functions.tanh(constant(SLOPE) * v)
    return v


@inline
def slope(dy, y, kind):
    """dy f'(x), from y = f(x)."""
    if kind == 1:
        return where_greater(y, constant(0.0), dy, constant(0.0))
    if kind == 2:
        return dy * y * (constant(1.0) - y)
    if kind == 3:
        return dy * (constant(1.0) - y * y)
    if kind == 4:
        return dy * (constant(SLOPE) * (constant(AMPLITUDE) - y * y * constant(1 / AMPLITUDE)))
    return dy


@kernel
def _activate(task, tasks, x, y, n, kind):
    """y = f(x)."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        store_part(y, i, apply(load_part(x, i, last - i), kind), last - i)


@kernel
def _activation_grad(task, tasks, dy, y, dx, n, kind):
    """dx = dy f'(x)."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        store_part(dx, i, slope(load_part(dy, i, last - i), load_part(y, i, last - i), kind), last - i)


@kernel
def _add(task, tasks, a, b, y, n, kind):
    """y = f(a + b)."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        store_part(y, i, apply(load_part(a, i, last - i) + load_part(b, i, last - i), kind), last - i)


def deliver(y, out):
    """y, or out with y in it."""
    if out is None or y is out:
        return y
    out[...] = y
    return out


def target(out, shape):
    """The array to write to: `out` if kernels can, else memory of their own."""
    return out if out is not None and out.shape == tuple(shape) and is_contiguous(out) else empty(shape)


def activate(x, activation=None, out=None):
    """See `reference.activate`."""
    if activation is None:
        return deliver(x, out)
    x = contiguous(x)
    y = target(out, x.shape)
    _activate(tasks_for(x.size), address(x), address(y), x.size, KINDS[activation])
    return deliver(y, out)


def activation_grad(dy, y, activation=None):
    """See `reference.activation_grad`."""
    if activation is None:
        return dy
    dy, y = contiguous(dy), contiguous(y)
    dx = empty(dy.shape)
    _activation_grad(tasks_for(dy.size), address(dy), address(y), address(dx), dy.size, KINDS[activation])
    return dx


def add(a, b, activation=None, out=None):
    """See `reference.add`."""
    a, b = contiguous(a), contiguous(b)
    y = target(out, a.shape)
    _add(tasks_for(a.size), address(a), address(b), address(y), a.size, KINDS[activation])
    return deliver(y, out)


def _named(name):
    def forward(x, out=None):
        return activate(x, name, out)

    def backward(dy, y):
        return activation_grad(dy, y, name)

    return forward, backward


relu, relu_grad = _named("relu")
sigmoid, sigmoid_grad = _named("sigmoid")
tanh, tanh_grad = _named("tanh")
scaled_tanh, scaled_tanh_grad = _named("scaled_tanh")
