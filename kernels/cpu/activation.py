"""Activations and the sum of two arrays, in one pass over memory each.

ReLU and the identity are one kernel: the maximum of x and `least`, which is 0 or -inf. The others
have a kernel of their own, because their arithmetic would slow down the loop of ReLU. Arrays of any
shape are `(n,)` here, but for gradients of slices of channels, such as a branch's part of a
concatenation: these are read pixel by pixel, where a copy would take most of the time.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..reference.activation import FROM_INPUT
from ..types import Array
from .curves import curve, curve_grad, numbers_of
from .engine.arrays import (
    address,
    contiguous,
    expect_shape,
    is_contiguous,
    output_array,
    pixels,
    write_to,
)
from .engine.launch import inline, kernel, task_range
from .engine.memory import empty, non_temporal
from .engine.rows import span
from .engine.simd import (
    LANES,
    Address,
    Vector,
    fence,
    load_part,
    select_greater,
    splat,
    store_nt_part,
)
from .engine.simd.functions import constant
from .engine.threads import threads_for

ROW = 1024  # floats of a contiguous array between which tasks divide it


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


class Gradient(NamedTuple):
    """dy, and y or x: `size` floats in rows of `row`, which begin `dy_step` and `y_step` apart."""

    dy: Address
    dy_step: int
    y: Address
    y_step: int
    row: int
    size: int


@inline
def factors(g: Gradient, r: int, i: int, n: int) -> tuple[Vector, Vector]:
    """dy and y from float i of row r on, of which n are left."""
    return load_part(g.dy, r * g.dy_step + i, n), load_part(g.y, r * g.y_step + i, n)


@kernel
def _rectify_grad(task: int, tasks: int, g: Gradient, dx: Address, nt: bool) -> None:
    """dx = dy where y > 0, else 0."""
    first, last = task_range((g.size + g.row - 1) // g.row, task, tasks)
    zero = constant(0.0)
    for r in range(first, last):
        end = min(g.row, g.size - r * g.row)
        for i in range(0, end, LANES):
            d, v = factors(g, r, i, end - i)
            store_nt_part(dx, r * g.row + i, select_greater(v, zero, d, zero), end - i, nt)
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
def _curve(
    task: int,
    tasks: int,
    x: Address,
    y: Address,
    size: int,
    nt: bool,
    kind: int,
    a: float,
    b: float,
) -> None:
    """y = f(x); see `curves`."""
    first, last = span(size, task, tasks)
    for i in range(first, last, LANES):
        v = curve(load_part(x, i, last - i), kind, a, b)
        store_nt_part(y, i, v, last - i, nt)
    fence()


@kernel
def _curve_grad(
    task: int, tasks: int, g: Gradient, dx: Address, nt: bool, kind: int, a: float, b: float
) -> None:
    """dx = dy f'(x), from y = f(x) or from x; see `curves`."""
    first, last = task_range((g.size + g.row - 1) // g.row, task, tasks)
    for r in range(first, last):
        end = min(g.row, g.size - r * g.row)
        for i in range(0, end, LANES):
            d, v = factors(g, r, i, end - i)
            store_nt_part(dx, r * g.row + i, curve_grad(d, v, kind, a, b), end - i, nt)
    fence()


def activate(
    x: Array,
    activation: str | None = None,
    out: Array | None = None,
    constants: tuple[float, ...] = (),
) -> Array:
    """See `reference.activate`."""
    if activation is None:
        return write_to(out, x)
    x = contiguous(x)
    y = output_array(out, x.shape)
    arguments = threads_for(bytes=x.nbytes), address(x), address(y), x.size
    if activation == "relu":
        _rectify(*arguments, 0.0, non_temporal(y))
    else:
        _curve(*arguments, non_temporal(y), *numbers_of(activation, constants))
    return write_to(out, y)


def activation_grad(
    dy: Array, y: Array, activation: str | None = None, constants: tuple[float, ...] = ()
) -> Array:
    """See `reference.activation_grad`."""
    if activation is None:
        return dy
    expect_shape("activation_grad: dy", dy, y.shape)
    dx, tasks = empty(dy.shape), threads_for(bytes=dy.nbytes)
    if dy.size and dy.ndim > 1 and not (is_contiguous(dy) and is_contiguous(y)):
        (dy, dy_step), (y, y_step), row = pixels(dy), pixels(y), dy.shape[-1]
    else:
        dy, y = contiguous(dy), contiguous(y)
        dy_step = y_step = row = ROW
    g = Gradient(address(dy), dy_step, address(y), y_step, row, dy.size)
    arguments = tasks, g, address(dx), non_temporal(dx, row)
    if activation == "relu":
        _rectify_grad(*arguments)
    else:
        _curve_grad(*arguments, *numbers_of(activation, constants))
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
