"""Activations, and their gradients as functions of the output y: the input need not be kept.

| name        | y = f(x)            | f'(x) from y                | source                         |
|-------------|---------------------|-----------------------------|--------------------------------|
| relu        | max(x, 0)           | 1 where y > 0               | Krizhevsky et al. 2012, s. 3.1 |
| sigmoid     | 1 / (1 + exp(-x))   | y (1 - y)                   |                                |
| tanh        | tanh(x)             | (1 - y) (1 + y)             |                                |
| scaled_tanh | 1.7159 tanh(2x / 3) | 2/3 (A - y) (A + y) / A     | LeCun et al. 1998, appendix A  |

A is 1.7159. x and y have any shape. `A - y` is exact where y is near A, so that the slope keeps its
digits where the unit saturates; `A^2 - y^2`, a difference of rounded squares, would lose them.
"""

from collections.abc import Callable

from ..types import Array
from .arrays import array_module, write_to

AMPLITUDE, SLOPE = 1.7159, 2 / 3  # so that f(1) = 1 and f(-1) = -1


def relu(x: Array, out: Array | None = None) -> Array:
    """`max(x, 0)`; the gradient at 0 is 0."""
    return write_to(out, array_module(x).maximum(x, 0))


def relu_grad(dy: Array, y: Array) -> Array:
    """`dy` where y > 0, else 0."""
    return dy * (y > 0)


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """`1 / (1 + exp(-x))`, computed with exp(-|x|), which cannot overflow."""
    xp = array_module(x)
    decay = xp.exp(-abs(x))
    return write_to(out, xp.where(x >= 0, 1, decay) / (1 + decay))


def sigmoid_grad(dy: Array, y: Array) -> Array:
    """`dy * y * (1 - y)`."""
    return dy * y * (1 - y)


def tanh(x: Array, out: Array | None = None) -> Array:
    """The hyperbolic tangent."""
    return write_to(out, array_module(x).tanh(x))


def tanh_grad(dy: Array, y: Array) -> Array:
    """`dy * (1 - y) (1 + y)`."""
    return dy * ((1 - y) * (1 + y))


def scaled_tanh(x: Array, out: Array | None = None) -> Array:
    """LeCun's `1.7159 tanh(2x / 3)`: f(1) = 1, f(-1) = -1, and the curvature is largest there."""
    return write_to(out, AMPLITUDE * array_module(x).tanh(SLOPE * x))


def scaled_tanh_grad(dy: Array, y: Array) -> Array:
    """`dy * 2/3 / 1.7159 * (1.7159 - y) (1.7159 + y)`."""
    return dy * (SLOPE / AMPLITUDE * (AMPLITUDE - y) * (AMPLITUDE + y))


ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[[Array, Array], Array]]] = {
    "relu": (relu, relu_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
    "scaled_tanh": (scaled_tanh, scaled_tanh_grad),
}


def activate(x: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """Apply the activation of that name; None is the identity."""
    return write_to(out, x) if activation is None else ACTIVATIONS[activation][0](x, out)


def add(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """`f(a + b)`: the sum of two paths of a residual block, or of their gradients."""
    return activate(a + b, activation, out)


def activation_grad(dy: Array, y: Array, activation: str | None = None) -> Array:
    """The gradient before the activation, from the gradient after it and the output y."""
    return dy if activation is None else ACTIVATIONS[activation][1](dy, y)
