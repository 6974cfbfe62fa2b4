"""Activations and the sum of two arrays, in one pass over memory each.

ReLU and the identity are one kernel: the maximum of x and `least`, which is 0 or -inf. Sigmoid and
tanh have a kernel of their own, because their arithmetic would slow down the loop of ReLU. Arrays
of any shape are `(n,)` here.
"""

import math
from collections.abc import Callable

from .. import reference
from ..reference.activation import AMPLITUDE, FROM_INPUT, SLOPE
from ..types import Array
from .engine.arrays import address, contiguous, expect_shape, output_array, write_to
from .engine.launch import inline, kernel, threads_for
from .engine.memory import empty, non_temporal
from .engine.rows import span
from .engine.simd import (
    LANES,
    Address,
    Vector,
    fence,
    functions,
    load_part,
    select_greater,
    splat,
    store_nt_part,
    store_part,
)
from .engine.simd.functions import constant

CURVES = {"sigmoid": 0, "tanh": 1, "scaled_tanh": 2, "gelu": 3}


def least_of(activation: str | None) -> float:
    """The lower bound of the result: 0 for ReLU, -inf for no activation."""
    return 0.0 if activation == "relu" else -math.inf


@inline
def at_least(v: Vector, least: Vector) -> Vector:
    """The larger of v and least, a vector; NaN stays NaN."""
    return select_greater(least, v, least, v)


@kernel
def _rectify(
    task: int, tasks: int, x: Address, y: Address, size: int, least: float, nt: bool
) -> None:
    """y = max(x, least)."""
    first, last = span(size, task, tasks)
    for i in range(first, last, LANES):
        v = at_least(load_part(x, i, last - i), splat(least))
        store_nt_part(y, i, v, last - i, nt)
    fence()


@kernel
def _rectify_grad(
    task: int, tasks: int, dy: Address, y: Address, dx: Address, size: int, nt: bool
) -> None:
    """dx = dy where y > 0, else 0."""
    first, last = span(size, task, tasks)
    zero = constant(0.0)
    for i in range(first, last, LANES):
        n = last - i
        v = select_greater(load_part(y, i, n), zero, load_part(dy, i, n), zero)
        store_nt_part(dx, i, v, n, nt)
    fence()


@kernel
def _add(
    task: int, tasks: int, a: Address, b: Address, y: Address, size: int, least: float, nt: bool
) -> None:
    """y = max(a + b, least)."""
    first, last = span(size, task, tasks)
    for i in range(first, last, LANES):
        n = last - i
        v = load_part(a, i, n) + load_part(b, i, n)
        store_nt_part(y, i, at_least(v, splat(least)), n, nt)
    fence()


@kernel
def _curve(task: int, tasks: int, x: Address, y: Address, size: int, kind: int) -> None:
    """y = f(x); `kind` is the value in CURVES."""
    first, last = span(size, task, tasks)
    for i in range(first, last, LANES):
        v = load_part(x, i, last - i)
        if kind == 0:
            v = functions.sigmoid(v)
        elif kind == 1:
            v = functions.tanh(v)
        elif kind == 3:
            v = functions.gelu(v)
        else:
            v = constant(AMPLITUDE) * functions.tanh(constant(SLOPE) * v)
        store_part(y, i, v, last - i)


@kernel
def _curve_grad(
    task: int, tasks: int, dy: Address, y: Address, dx: Address, size: int, kind: int
) -> None:
    """dx = dy f'(x), from y = f(x); for GELU y is x."""
    first, last = span(size, task, tasks)
    for i in range(first, last, LANES):
        v, slope = load_part(y, i, last - i), load_part(dy, i, last - i)
        if kind == 0:
            slope = slope * v * (constant(1.0) - v)
        elif kind == 1:
            slope = slope * (constant(1.0) - v * v)
        elif kind == 3:
            slope = slope * functions.gelu_slope(v)
        else:
            # AMPLITUDE - v is exact near saturation, where AMPLITUDE^2 - v^2 would lose its digits.
            below, above = constant(AMPLITUDE) - v, constant(AMPLITUDE) + v
            slope = slope * (constant(SLOPE / AMPLITUDE) * below * above)
        store_part(dx, i, slope, last - i)


def activate(
    x: Array,
    activation: str | None = None,
    out: Array | None = None,
    constants: tuple[float, ...] = (),
) -> Array:
    """See `reference.activate`."""
    if activation is None:
        return write_to(out, x)
    if activation != "relu" and activation not in CURVES:
        return reference.activate(x, activation, out, constants)
    x = contiguous(x)
    y = output_array(out, x.shape)
    tasks = threads_for(bytes=x.nbytes)
    if activation == "relu":
        _rectify(tasks, address(x), address(y), x.size, 0.0, non_temporal(y))
    else:
        _curve(tasks, address(x), address(y), x.size, CURVES[activation])
    return write_to(out, y)


def activation_grad(
    dy: Array, y: Array, activation: str | None = None, constants: tuple[float, ...] = ()
) -> Array:
    """See `reference.activation_grad`."""
    if activation is None:
        return dy
    expect_shape("activation_grad: dy", dy, y.shape)
    if activation != "relu" and activation not in CURVES:
        return reference.activation_grad(dy, y, activation, constants)
    dy, y = contiguous(dy), contiguous(y)
    dx, tasks = empty(dy.shape), threads_for(bytes=dy.nbytes)
    if activation == "relu":
        _rectify_grad(tasks, address(dy), address(y), address(dx), dy.size, non_temporal(dx))
    else:
        kind = CURVES[activation]
        _curve_grad(tasks, address(dy), address(y), address(dx), dy.size, kind)
    return dx


def add(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """See `reference.add`."""
    expect_shape("add: b", b, a.shape)
    a, b = contiguous(a), contiguous(b)
    y = output_array(out, a.shape)
    tasks, least = threads_for(bytes=a.nbytes), least_of(activation)
    _add(tasks, address(a), address(b), address(y), a.size, least, non_temporal(y))
    if activation not in (None, "relu"):
        activate(y, activation, out=y)
    return write_to(out, y)


def _by_name(name: str) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """The function of an activation without constants, and its gradient."""

    def forward(x: Array, out: Array | None = None) -> Array:
        return activate(x, name, out)

    def from_output(dy: Array, y: Array) -> Array:
        return activation_grad(dy, y, name)

    def from_input(dy: Array, x: Array) -> Array:
        return activation_grad(dy, x, name)

    return forward, from_input if name in FROM_INPUT else from_output


relu, relu_grad = _by_name("relu")
relu6, relu6_grad = _by_name("relu6")
sigmoid, sigmoid_grad = _by_name("sigmoid")
tanh, tanh_grad = _by_name("tanh")
scaled_tanh, scaled_tanh_grad = _by_name("scaled_tanh")
hard_sigmoid, hard_sigmoid_grad = _by_name("hard_sigmoid")
hard_swish, hard_swish_grad = _by_name("hard_swish")
silu, silu_grad = _by_name("silu")
gelu, gelu_grad = _by_name("gelu")
gelu_tanh, gelu_tanh_grad = _by_name("gelu_tanh")


def leaky_relu(x: Array, slope: float = 0.01, out: Array | None = None) -> Array:
    """See `functional.leaky_relu`."""
    return activate(x, "leaky_relu", out, (slope,))


def leaky_relu_grad(dy: Array, x: Array, slope: float = 0.01) -> Array:
    """See `functional.leaky_relu_grad`."""
    return activation_grad(dy, x, "leaky_relu", (slope,))


def elu(x: Array, alpha: float = 1.0, out: Array | None = None) -> Array:
    """See `functional.elu`."""
    return activate(x, "elu", out, (alpha,))


def elu_grad(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    """See `functional.elu_grad`."""
    return activation_grad(dy, x, "elu", (alpha,))


def clip(
    x: Array, low: float = -math.inf, high: float = math.inf, out: Array | None = None
) -> Array:
    """See `functional.clip`."""
    return activate(x, "clip", out, (low, high))


def clip_grad(dy: Array, x: Array, low: float = -math.inf, high: float = math.inf) -> Array:
    """See `functional.clip_grad`."""
    return activation_grad(dy, x, "clip", (low, high))
