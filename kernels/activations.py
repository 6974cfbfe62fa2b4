"""The activations among the operations of `functional`, and their gradients.

Formulas, slopes at kinks and sources are in `reference.activation`.
"""

import math

from . import reference
from .dispatch import select
from .types import Array


def activate(
    x: Array,
    activation: str | None = None,
    out: Array | None = None,
    constants: tuple[float, ...] = (),
) -> Array:
    """Apply the activation of that name; None is the identity.

    constants: its slope, alpha, or low and high; () for the defaults of the function of that name.
    """
    return select(reference.activate, x)(x, activation, out, constants)


def activation_grad(
    dy: Array, y: Array, activation: str | None = None, constants: tuple[float, ...] = ()
) -> Array:
    """The gradient before the activation, from dy after it and the output y.

    For the activations in `reference.activation.FROM_INPUT` y is the input.
    """
    return select(reference.activation_grad, dy)(dy, y, activation, constants)


def relu(x: Array, out: Array | None = None) -> Array:
    """`max(x, 0)` (Krizhevsky et al. 2012, section 3.1)."""
    return select(reference.relu, x)(x, out)


def relu_grad(dy: Array, y: Array) -> Array:
    """dy where y > 0, else 0."""
    return select(reference.relu_grad, dy)(dy, y)


def relu6(x: Array, out: Array | None = None) -> Array:
    """`min(max(x, 0), 6)` (Sandler et al. 2018, section 4)."""
    return select(reference.relu6, x)(x, out)


def relu6_grad(dy: Array, y: Array) -> Array:
    """dy where 0 < y < 6, else 0."""
    return select(reference.relu6_grad, dy)(dy, y)


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """`1 / (1 + exp(-x))`."""
    return select(reference.sigmoid, x)(x, out)


def sigmoid_grad(dy: Array, y: Array) -> Array:
    """The gradient of `sigmoid` from its output y."""
    return select(reference.sigmoid_grad, dy)(dy, y)


def tanh(x: Array, out: Array | None = None) -> Array:
    """The hyperbolic tangent."""
    return select(reference.tanh, x)(x, out)


def tanh_grad(dy: Array, y: Array) -> Array:
    """The gradient of `tanh` from its output y."""
    return select(reference.tanh_grad, dy)(dy, y)


def scaled_tanh(x: Array, out: Array | None = None) -> Array:
    """`1.7159 tanh(2x / 3)` (LeCun et al. 1998, appendix A)."""
    return select(reference.scaled_tanh, x)(x, out)


def scaled_tanh_grad(dy: Array, y: Array) -> Array:
    """The gradient of `scaled_tanh` from its output y."""
    return select(reference.scaled_tanh_grad, dy)(dy, y)


def gelu(x: Array, out: Array | None = None) -> Array:
    """`x P(x)`, P being the normal distribution function (Hendrycks & Gimpel 2016)."""
    return select(reference.gelu, x)(x, out)


def gelu_grad(dy: Array, x: Array) -> Array:
    """The gradient of `gelu` from its input x."""
    return select(reference.gelu_grad, dy)(dy, x)


def gelu_tanh(x: Array, out: Array | None = None) -> Array:
    """GELU by a tanh: `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` (the same paper)."""
    return select(reference.gelu_tanh, x)(x, out)


def gelu_tanh_grad(dy: Array, x: Array) -> Array:
    """The gradient of `gelu_tanh` from its input x."""
    return select(reference.gelu_tanh_grad, dy)(dy, x)


def leaky_relu(x: Array, slope: float = 0.01, out: Array | None = None) -> Array:
    """x where x > 0, else `slope * x` (Maas et al. 2013, section 2)."""
    return select(reference.leaky_relu, x)(x, slope, out)


def leaky_relu_grad(dy: Array, x: Array, slope: float = 0.01) -> Array:
    """The gradient of `leaky_relu` from its input x; at 0 it is `slope * dy`."""
    return select(reference.leaky_relu_grad, dy)(dy, x, slope)


def prelu(x: Array, w: Array, out: Array | None = None) -> Array:
    """x where x > 0, else `w[c] * x` (He et al. 2015a, section 2.1).

    x is `(..., C)`; w is `(C,)`, or `(1,)` for one slope for all channels.
    """
    return select(reference.prelu, x)(x, w, out)


def prelu_grad(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """The gradients dx `(..., C)` and dw, of w's shape, of `prelu`; at 0 dx is `w[c] * dy`."""
    return select(reference.prelu_grad, dy)(dy, x, w)


def elu(x: Array, alpha: float = 1.0, out: Array | None = None) -> Array:
    """x where x > 0, else `alpha * (exp(x) - 1)` (Clevert et al. 2015, section 3)."""
    return select(reference.elu, x)(x, alpha, out)


def elu_grad(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    """The gradient of `elu` from its input x; at 0 it is `alpha * dy`."""
    return select(reference.elu_grad, dy)(dy, x, alpha)


def clip(
    x: Array, low: float = -math.inf, high: float = math.inf, out: Array | None = None
) -> Array:
    """`min(max(x, low), high)`."""
    return select(reference.clip, x)(x, low, high, out)


def clip_grad(dy: Array, x: Array, low: float = -math.inf, high: float = math.inf) -> Array:
    """dy where low <= x <= high, else 0; x is the input."""
    return select(reference.clip_grad, dy)(dy, x, low, high)


def hard_sigmoid(x: Array, out: Array | None = None) -> Array:
    """`relu6(x + 3) / 6` (Howard et al. 2019, section 5.2)."""
    return select(reference.hard_sigmoid, x)(x, out)


def hard_sigmoid_grad(dy: Array, x: Array) -> Array:
    """dy / 6 where -3 < x < 3, else 0; x is the input."""
    return select(reference.hard_sigmoid_grad, dy)(dy, x)


def hard_swish(x: Array, out: Array | None = None) -> Array:
    """`x * relu6(x + 3) / 6` (Howard et al. 2019, section 5.2)."""
    return select(reference.hard_swish, x)(x, out)


def hard_swish_grad(dy: Array, x: Array) -> Array:
    """The gradient of `hard_swish` from its input x; at -3 it is 0, at 3 it is dy."""
    return select(reference.hard_swish_grad, dy)(dy, x)


def silu(x: Array, out: Array | None = None) -> Array:
    """`x * sigmoid(x)`, also called swish (Elfwing et al. 2018, section 2)."""
    return select(reference.silu, x)(x, out)


def silu_grad(dy: Array, x: Array) -> Array:
    """The gradient of `silu` from its input x."""
    return select(reference.silu_grad, dy)(dy, x)
