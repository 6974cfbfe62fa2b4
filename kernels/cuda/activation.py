"""Activations on the GPU, each in one pass over memory."""

from numpy.typing import DTypeLike

from ..reference.arrays import write_to
from ..types import Array, Shape
from .arrays import contiguous, empty, layout, options, output_array, pixel_step, spaced
from .device import NUMBER_TYPES, THREADS, blocks, divisors, launch

NUMBERS = {
    None: 0,
    "relu": 1,
    "sigmoid": 2,
    "tanh": 3,
    "scaled_tanh": 4,
    "gelu": 5,
}  # as in common.cuh


def activate(x: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """See `functional.activate`."""
    if activation is None:
        return write_to(out, x)
    return write_to(out, _elementwise("apply", [x], output_array(out, x, x.shape), activation))


def activation_grad(dy: Array, y: Array, activation: str | None = None) -> Array:
    """See `functional.activation_grad`."""
    if activation is None:
        return dy
    return _elementwise("apply_grad", [dy, y], empty(dy, dy.shape), activation)


def add(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """See `functional.add`."""
    return write_to(out, _elementwise("add", [a, b], output_array(out, a, a.shape), activation))


def relu(x: Array, out: Array | None = None) -> Array:
    """See `functional.relu`."""
    return activate(x, "relu", out)


def relu_grad(dy: Array, y: Array) -> Array:
    """See `functional.relu_grad`."""
    return activation_grad(dy, y, "relu")


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """See `functional.sigmoid`."""
    return activate(x, "sigmoid", out)


def sigmoid_grad(dy: Array, y: Array) -> Array:
    """See `functional.sigmoid_grad`."""
    return activation_grad(dy, y, "sigmoid")


def tanh(x: Array, out: Array | None = None) -> Array:
    """See `functional.tanh`."""
    return activate(x, "tanh", out)


def tanh_grad(dy: Array, y: Array) -> Array:
    """See `functional.tanh_grad`."""
    return activation_grad(dy, y, "tanh")


def scaled_tanh(x: Array, out: Array | None = None) -> Array:
    """See `functional.scaled_tanh`."""
    return activate(x, "scaled_tanh", out)


def scaled_tanh_grad(dy: Array, y: Array) -> Array:
    """See `functional.scaled_tanh_grad`."""
    return activation_grad(dy, y, "scaled_tanh")


def gelu(x: Array, out: Array | None = None) -> Array:
    """See `functional.gelu`."""
    return activate(x, "gelu", out)


def gelu_grad(dy: Array, x: Array) -> Array:
    """See `functional.gelu_grad`."""
    return activation_grad(dy, x, "gelu")


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


def _elementwise(kernel: str, arrays: list[Array], y: Array, activation: str | None) -> Array:
    """Run an elementwise kernel on arrays of y's shape; returns y."""
    arrays = [spaced(a) for a in arrays]
    v, vectors, steps = layout(*arrays, y)
    pairs = [item for pair in zip((*arrays, y), steps, strict=True) for item in pair]
    arguments = *pairs, vectors, NUMBERS[activation]
    launch("activation.cu", kernel, blocks(vectors), THREADS, *arguments, **options(y, v))
    return y
