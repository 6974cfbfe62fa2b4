"""Activations, and their gradients as functions of the output y: the input need not be kept.

GELU is the exception: two inputs have the same output, so its gradient takes the input.

| name        | y = f(x)            | f'(x)                       | source                         |
|-------------|---------------------|-----------------------------|--------------------------------|
| relu        | max(x, 0)           | 1 where y > 0               | Krizhevsky et al. 2012, s. 3.1 |
| sigmoid     | 1 / (1 + exp(-x))   | y (1 - y)                   |                                |
| tanh        | tanh(x)             | (1 - y) (1 + y)             |                                |
| scaled_tanh | 1.7159 tanh(2x / 3) | 2/3 (A - y) (A + y) / A     | LeCun et al. 1998, appendix A  |
| gelu        | x P(x)              | P(x) + x p(x), from x       | Hendrycks & Gimpel 2016, s. 2  |

P is the normal distribution function and p its density. A is 1.7159. x and y have any shape.
`A - y` is exact where y is near A, so that the slope keeps its digits where the unit saturates;
`A^2 - y^2`, a difference of rounded squares, would lose them.
"""

import math
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


def gelu(x: Array, out: Array | None = None) -> Array:
    """`x P(x)`, P being the normal distribution function (Hendrycks & Gimpel 2016, section 2)."""
    return write_to(out, x * normal_cdf(x).astype(x.dtype))


def gelu_grad(dy: Array, x: Array) -> Array:
    """`dy * (P(x) + x p(x))`, p being the normal density; x is the input of the activation."""
    density = array_module(x).exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return dy * (normal_cdf(x).astype(x.dtype) + x * density)


def normal_cdf(x: Array) -> Array:
    """P(x), the probability that a normal number is below x, in float64.

    P(x) = (1 + erf(t)) / 2 with t = x / sqrt(2), and with positive terms only

        erf(t) = 2 / sqrt(pi) exp(-t^2) * sum_n 2^n t^(2n + 1) / (1 * 3 * ... * (2n + 1))

    Source: Abramowitz & Stegun 1964, 7.1.6. Beyond |t| = 6 erf(t) is 1 in float64.
    """
    t = (x.astype("float64") / math.sqrt(2)).clip(-6, 6)
    term = total = t.copy()
    for n in range(1, 120):
        term = term * (2 * t * t / (2 * n + 1))
        total = total + term
    return (1 + 2 / math.sqrt(math.pi) * array_module(x).exp(-t * t) * total) / 2


ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[[Array, Array], Array]]] = {
    "relu": (relu, relu_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
    "scaled_tanh": (scaled_tanh, scaled_tanh_grad),
    "gelu": (gelu, gelu_grad),
}
FROM_INPUT = {"gelu"}  # their gradient is a function of the input; that of the others, of y


def activate(x: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """Apply the activation of that name; None is the identity."""
    return write_to(out, x) if activation is None else ACTIVATIONS[activation][0](x, out)


def add(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """`f(a + b)`: the sum of two paths of a residual block, or of their gradients."""
    return activate(a + b, activation, out)


def activation_grad(dy: Array, y: Array, activation: str | None = None) -> Array:
    """The gradient before the activation, from the gradient after it and y.

    y is the output; for an activation in `FROM_INPUT` the input.
    """
    return dy if activation is None else ACTIVATIONS[activation][1](dy, y)
