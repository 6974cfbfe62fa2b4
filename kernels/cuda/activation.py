"""Activations on the GPU, each in one pass over memory."""

import math
from collections.abc import Callable

from numpy.typing import DTypeLike

from ..reference.activation import CONSTANTS, FROM_INPUT
from ..reference.arrays import write_to
from ..types import Array, Shape
from .arrays import contiguous, empty, layout, options, output_array, pixel_step, spaced
from .device import NUMBER_TYPES, THREADS, blocks, divisors, launch

# In the order of the enumeration in common.cuh, where None is 0.
SHORT = ["relu", "sigmoid", "tanh", "scaled_tanh", "gelu", "relu6"]
LONG = ["leaky_relu", "elu", "clip", "hard_sigmoid", "hard_swish", "silu", "gelu_tanh"]
NUMBERS = {name: number for number, name in enumerate([None, *SHORT, *LONG])}
BOUNDS = {None, "relu", "relu6"}  # products contain these
IN_THE_PASS = {None, *SHORT}  # kernels that do more than an activation contain these


def activate(
    x: Array,
    activation: str | None = None,
    out: Array | None = None,
    constants: tuple[float, ...] = (),
) -> Array:
    """See `functional.activate`."""
    if activation is None:
        return write_to(out, x)
    y = output_array(out, x, x.shape)
    f = NUMBERS[activation], *_two(activation, constants)
    return write_to(out, _elementwise("apply", [x], y, *f))


def activation_grad(
    dy: Array, y: Array, activation: str | None = None, constants: tuple[float, ...] = ()
) -> Array:
    """See `functional.activation_grad`."""
    if activation is None:
        return dy
    f = NUMBERS[activation], *_two(activation, constants)
    return _elementwise("apply_grad", [dy, y], empty(dy, dy.shape), *f)


def _two(activation: str, constants: tuple[float, ...]) -> tuple[float, float]:
    """The constants of an activation, or their defaults, and zeros up to two."""
    a, b, *_ = *(constants or CONSTANTS.get(activation, ())), 0, 0
    return float(a), float(b)


def add(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """See `functional.add`."""
    y, f = output_array(out, a, a.shape), activation if activation in IN_THE_PASS else None
    _elementwise("add", [a, b], y, NUMBERS[f])
    return write_to(out, y if f == activation else activate(y, activation, out=y))


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


def convert(x: Array, dtype: DTypeLike) -> Array:
    """A copy of x in float32 or bfloat16; x itself if it has that type and no gaps."""
    x = contiguous(x)
    if x.dtype == dtype:
        return x
    y = empty(x, x.shape, dtype)
    v, vectors, _ = layout(x, y)
    arguments, to = (x, y, vectors), NUMBER_TYPES[y.dtype.name]
    launch("activation.cu", "convert", blocks(vectors), THREADS, *arguments, **options(x, v), TO=to)
    return y


def resize(x: Array, length: int) -> Array:
    """x `(..., C)` as `(..., length)`: the first channels of each pixel, then zeros."""
    x = spaced(x)
    shape: Shape = (*x.shape[:-1], length)
    y = empty(x, shape)
    v = 4 if length % 4 == 0 else 1
    vectors = y.size // v
    arguments = x, pixel_step(x), x.shape[-1], y, *divisors(length // v), vectors
    launch("activation.cu", "resize", blocks(vectors), THREADS, *arguments, **options(x, v))
    return y


def _elementwise(kernel: str, arrays: list[Array], y: Array, *f: float) -> Array:
    """Run an elementwise kernel on arrays of y's shape; returns y.

    f: the number of the activation, then its constants if the kernel takes some.
    """
    arrays = [spaced(a) for a in arrays]
    v, vectors, steps = layout(*arrays, y)
    pairs = [item for pair in zip((*arrays, y), steps, strict=True) for item in pair]
    arguments = *pairs, vectors, *f
    launch("activation.cu", kernel, blocks(vectors), THREADS, *arguments, **options(y, v))
    return y
