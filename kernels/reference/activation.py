"""Activations and their gradients.

| name         | y = f(x)                        | f'(x)                        | source          |
|--------------|---------------------------------|------------------------------|-----------------|
| relu         | max(x, 0)                       | 1 where y > 0                | Krizhevsky 2012 |
| relu6        | min(max(x, 0), 6)               | 1 where 0 < y < 6            | Sandler 2018    |
| sigmoid      | 1 / (1 + exp(-x))               | y (1 - y)                    |                 |
| tanh         | tanh(x)                         | (1 - y) (1 + y)              |                 |
| scaled_tanh  | 1.7159 tanh(2x / 3)             | 2/3 (A - y) (A + y) / A      | LeCun 1998      |
| leaky_relu   | x; slope x where x <= 0         | 1; slope where x <= 0        | Maas 2013       |
| elu          | x; alpha (e^x - 1) where x <= 0 | 1; alpha e^x where x <= 0    | Clevert 2015    |
| clip         | min(max(x, low), high)          | 1 where low <= x <= high     |                 |
| hard_sigmoid | relu6(x + 3) / 6                | 1/6 where -3 < x < 3         | Howard 2019     |
| hard_swish   | x relu6(x + 3) / 6              | 0 to -3; x/3 + 1/2; 1 from 3 | Howard 2019     |
| silu         | x s(x), s the sigmoid           | s(x) (1 + x (1 - s(x)))      | Elfwing 2018    |
| gelu         | x P(x)                          | P(x) + x p(x)                | Hendrycks 2016  |
| gelu_tanh    | x (1 + tanh(u(x))) / 2          | see `gelu_tanh_grad`         | Hendrycks 2016  |

P is the normal distribution function and p its density; A is 1.7159, and
u(x) = sqrt(2 / pi) (x + 0.044715 x^3). x and y have any shape. At a kink, where the slope jumps,
the gradient is that of the table, which is torch's. NaN stays NaN.

A gradient from the output y needs no input to be kept. The functions in `FROM_INPUT` have a
gradient from the input x, because two inputs may have the same output, if only by rounding.
`A - y` is exact where y is near A, so that the slope keeps its digits where the unit saturates;
`A^2 - y^2`, a difference of rounded squares, would lose them.
"""

import math
from collections.abc import Callable

from ..types import Array
from .arrays import array_module, write_to

AMPLITUDE, SLOPE = 1.7159, 2 / 3  # so that f(1) = 1 and f(-1) = -1


def relu(x: Array, out: Array | None = None) -> Array:
    """`max(x, 0)`; the gradient at 0 is 0 (Krizhevsky et al. 2012, section 3.1)."""
    return write_to(out, array_module(x).maximum(x, 0))


def relu_grad(dy: Array, y: Array) -> Array:
    """`dy` where y > 0, else 0."""
    return dy * (y > 0)


def relu6(x: Array, out: Array | None = None) -> Array:
    """`min(max(x, 0), 6)` (Sandler et al. 2018, section 4)."""
    return clip(x, 0, 6, out)


def relu6_grad(dy: Array, y: Array) -> Array:
    """`dy` where 0 < y < 6, else 0."""
    return array_module(y).where((y <= 0) | (y >= 6), 0, dy)


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
    """`1.7159 tanh(2x / 3)`: f(1) = 1, f(-1) = -1, and the curvature is largest there.

    Source: LeCun et al. 1998, appendix A.
    """
    return write_to(out, AMPLITUDE * array_module(x).tanh(SLOPE * x))


def scaled_tanh_grad(dy: Array, y: Array) -> Array:
    """`dy * 2/3 / 1.7159 * (1.7159 - y) (1.7159 + y)`."""
    return dy * (SLOPE / AMPLITUDE * (AMPLITUDE - y) * (AMPLITUDE + y))


def leaky_relu(x: Array, slope: float = 0.01, out: Array | None = None) -> Array:
    """x where x > 0, else `slope * x` (Maas et al. 2013, section 2)."""
    return write_to(out, array_module(x).where(x > 0, x, slope * x))


def leaky_relu_grad(dy: Array, x: Array, slope: float = 0.01) -> Array:
    """`dy` where x > 0, else `slope * dy`; x is the input of the activation."""
    return array_module(x).where(x > 0, dy, slope * dy)


def elu(x: Array, alpha: float = 1.0, out: Array | None = None) -> Array:
    """x where x > 0, else `alpha * (exp(x) - 1)` (Clevert et al. 2015, section 3)."""
    xp = array_module(x)
    return write_to(out, xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0))))


def elu_grad(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    """`dy` where x > 0, else `dy * alpha * exp(x)`; x is the input of the activation."""
    xp = array_module(x)
    return xp.where(x > 0, dy, dy * (alpha * xp.exp(xp.minimum(x, 0))))


def clip(
    x: Array, low: float = -math.inf, high: float = math.inf, out: Array | None = None
) -> Array:
    """`min(max(x, low), high)`."""
    xp = array_module(x)
    return write_to(out, xp.minimum(xp.maximum(x, x.dtype.type(low)), x.dtype.type(high)))


def clip_grad(dy: Array, x: Array, low: float = -math.inf, high: float = math.inf) -> Array:
    """`dy` where low <= x <= high, else 0; x is the input of the activation."""
    return array_module(x).where((x >= low) & (x <= high), dy, 0)


def hard_sigmoid(x: Array, out: Array | None = None) -> Array:
    """`relu6(x + 3) / 6`, a sigmoid of straight lines (Howard et al. 2019, section 5.2)."""
    return write_to(out, relu6(x + 3) / 6)


def hard_sigmoid_grad(dy: Array, x: Array) -> Array:
    """`dy / 6` where -3 < x < 3, else 0; x is the input of the activation."""
    return array_module(x).where((x > -3) & (x < 3), dy / 6, 0)


def hard_swish(x: Array, out: Array | None = None) -> Array:
    """`x * relu6(x + 3) / 6` (Howard et al. 2019, section 5.2)."""
    return write_to(out, x * (relu6(x + 3) / 6))


def hard_swish_grad(dy: Array, x: Array) -> Array:
    """`dy * (x / 3 + 1/2)` where -3 < x < 3; 0 below and `dy` above; x is the input."""
    xp = array_module(x)
    return xp.where(x <= -3, 0, xp.where(x >= 3, dy, dy * (x / 3 + 0.5)))


def silu(x: Array, out: Array | None = None) -> Array:
    """`x * sigmoid(x)`, also called swish (Elfwing et al. 2018, section 2)."""
    return write_to(out, x * sigmoid(x))


def silu_grad(dy: Array, x: Array) -> Array:
    """`dy * s (1 + x (1 - s))`, s = sigmoid(x); x is the input of the activation."""
    s = sigmoid(x)
    return dy * (s * (1 + x * (1 - s)))


def gelu(x: Array, out: Array | None = None) -> Array:
    """`x P(x)`, P being the normal distribution function (Hendrycks & Gimpel 2016, section 2)."""
    return write_to(out, x * normal_cdf(x).astype(x.dtype))


def gelu_grad(dy: Array, x: Array) -> Array:
    """`dy * (P(x) + x p(x))`, p being the normal density; x is the input of the activation."""
    x = _limited(x)
    density = array_module(x).exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return dy * (normal_cdf(x).astype(x.dtype) + x * density)


def _limited(x: Array) -> Array:
    """x where its powers are finite; beyond +-99 both forms of GELU have the slope 0 or 1."""
    return x.clip(-99, 99)


def gelu_tanh(x: Array, out: Array | None = None) -> Array:
    """`x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`, an approximation of `gelu`.

    Source: Hendrycks & Gimpel 2016, section 2.
    """
    return write_to(out, x / 2 * (1 + array_module(x).tanh(_argument(_limited(x)))))


def gelu_tanh_grad(dy: Array, x: Array) -> Array:
    """`dy * (1 + t + x (1 - t) (1 + t) u') / 2`, t = tanh(u(x)); x is the input."""
    x = _limited(x)
    t = array_module(x).tanh(_argument(x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return dy * ((1 + t + x * ((1 - t) * (1 + t)) * slope) / 2)


def _argument(x: Array) -> Array:
    """u(x), the argument of tanh in `gelu_tanh`."""
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


def normal_cdf(x: Array) -> Array:
    """P(x), the probability that a normal number is below x, in float64.

    P(x) = (1 + erf(t)) / 2 with t = x / sqrt(2), and with positive terms only

        erf(t) = 2 / sqrt(pi) exp(-t^2) * sum_n 2^n t^(2n + 1) / (1 * 3 * ... * (2n + 1))

    Source: Abramowitz & Stegun 1964, 7.1.6. Beyond |t| = 6 erf(t) is 1 in float64; a rounding
    error of 1e-16 below -6 would be large in x P(x).
    """
    t = (x.astype("float64") / math.sqrt(2)).clip(-6, 6)
    term = total = t.copy()
    for n in range(1, 120):
        term = term * (2 * t * t / (2 * n + 1))
        total = total + term
    xp = array_module(x)
    return xp.where(t == -6, 0, (1 + 2 / math.sqrt(math.pi) * xp.exp(-t * t) * total) / 2)


ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "relu": (relu, relu_grad),
    "relu6": (relu6, relu6_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
    "scaled_tanh": (scaled_tanh, scaled_tanh_grad),
    "leaky_relu": (leaky_relu, leaky_relu_grad),
    "elu": (elu, elu_grad),
    "clip": (clip, clip_grad),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_grad),
    "hard_swish": (hard_swish, hard_swish_grad),
    "silu": (silu, silu_grad),
    "gelu": (gelu, gelu_grad),
    "gelu_tanh": (gelu_tanh, gelu_tanh_grad),
}
# Their gradient is a function of the input; that of the others, of y.
FROM_INPUT = ACTIVATIONS.keys() - {"relu", "relu6", "sigmoid", "tanh", "scaled_tanh"}
# The default constants of those that have some.
CONSTANTS: dict[str, tuple[float, ...]] = {
    "leaky_relu": (0.01,),
    "elu": (1.0,),
    "clip": (-math.inf, math.inf),
}


def activate(
    x: Array,
    activation: str | None = None,
    out: Array | None = None,
    constants: tuple[float, ...] = (),
) -> Array:
    """Apply the activation of that name; None is the identity.

    constants: its slope, alpha, or low and high; () for the defaults.
    """
    if activation is None:
        return write_to(out, x)
    return ACTIVATIONS[activation][0](x, *constants, out=out)


def add(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """`f(a + b)`: the sum of two paths of a residual block, or of their gradients."""
    return activate(a + b, activation, out)


def activation_grad(
    dy: Array, y: Array, activation: str | None = None, constants: tuple[float, ...] = ()
) -> Array:
    """The gradient before the activation, from the gradient after it and y.

    y is the output; for an activation in `FROM_INPUT` the input. constants: as in `activate`.
    """
    return dy if activation is None else ACTIVATIONS[activation][1](dy, y, *constants)


def prelu(x: Array, w: Array, out: Array | None = None) -> Array:
    """x where x > 0, else `w[c] * x`: a leaky ReLU whose slopes are trained.

    x, y `(..., C)`; w `(C,)`, or `(1,)` for one slope. Source: He et al. 2015a, section 2.1.
    """
    return write_to(out, array_module(x).where(x > 0, x, w * x))


def prelu_grad(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """dx is dy where x > 0, else `w[c] * dy`; `dw[c] = sum dy x` over the places where x <= 0.

    The gradient at 0 is that of the left side. Returns dx `(..., C)` and dw, of w's shape.
    """
    xp = array_module(x)
    negative = xp.where(x > 0, 0, dy * x)
    dw = negative.sum(axis=tuple(range(x.ndim - 1)), dtype="float64")
    dw = dw.sum(keepdims=True) if w.size == 1 else dw
    return xp.where(x > 0, dy, w * dy), dw.astype(w.dtype)
