"""Activations on the GPU: one pass over the bytes."""

from .arrays import contiguous, destination, empty, layout, number_type, pixel_step, spaced
from .device import NUMBER_TYPES, THREADS, blocks, divisors, launch

NUMBERS = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3, "scaled_tanh": 4}


def deliver(y, out):
    """Return `y`, or copy it into `out` unless it is there already."""
    if out is None or y is out:
        return y
    out[...] = y
    return out


def _each(kernel: str, arrays, y, activation):
    """Start an elementwise kernel over arrays of y's shape."""
    arrays = [spaced(a) for a in arrays]
    v, vectors, steps = layout(*arrays, y)
    pairs = [item for pair in zip((*arrays, y), steps, strict=True) for item in pair]
    launch("activation.cu", kernel, blocks(vectors), THREADS, *pairs, vectors, NUMBERS[activation], REAL=number_type(y), V=v)
    return y


def activate(x, activation=None, out=None):
    """See `reference.activate`."""
    if activation is None:
        return deliver(x, out)
    return deliver(_each("apply", [x], destination(out, x, x.shape), activation), out)


def activation_grad(dy, y, activation=None):
    """See `reference.activation_grad`."""
    return dy if activation is None else _each("apply_grad", [dy, y], empty(dy, dy.shape), activation)


def add(a, b, activation=None, out=None):
    """See `reference.add`."""
    return deliver(_each("add", [a, b], destination(out, a, a.shape), activation), out)


def relu(x, out=None):
    """See `reference.relu`."""
    return activate(x, "relu", out)


def relu_grad(dy, y):
    """See `reference.relu_grad`."""
    return activation_grad(dy, y, "relu")


def sigmoid(x, out=None):
    """See `reference.sigmoid`."""
    return activate(x, "sigmoid", out)


def sigmoid_grad(dy, y):
    """See `reference.sigmoid_grad`."""
    return activation_grad(dy, y, "sigmoid")


def tanh(x, out=None):
    """See `reference.tanh`."""
    return activate(x, "tanh", out)


def tanh_grad(dy, y):
    """See `reference.tanh_grad`."""
    return activation_grad(dy, y, "tanh")


def scaled_tanh(x, out=None):
    """See `reference.scaled_tanh`."""
    return activate(x, "scaled_tanh", out)


def scaled_tanh_grad(dy, y):
    """See `reference.scaled_tanh_grad`."""
    return activation_grad(dy, y, "scaled_tanh")


def convert(x, dtype):
    """A copy of x in float32 or bfloat16; x itself if it is of that type and without gaps."""
    x = contiguous(x)
    if x.dtype == dtype:
        return x
    y = empty(x, x.shape, dtype)
    v, vectors, _ = layout(x, y)
    launch("activation.cu", "convert", blocks(vectors), THREADS, x, y, vectors, REAL=number_type(x), TO=NUMBER_TYPES[y.dtype.name], V=v)
    return y


def resize(x, length: int):
    """x with rows `(..., C)` of `length` numbers: the first of the C, and zeros behind them if there are fewer."""
    x = spaced(x)
    y = empty(x, (*x.shape[:-1], length))
    v = 4 if length % 4 == 0 else 1
    arguments = x, pixel_step(x), x.shape[-1], y, *divisors(length // v), y.size // v
    launch("activation.cu", "resize", blocks(y.size // v), THREADS, *arguments, REAL=number_type(x), V=v)
    return y
