"""Functions of single numbers, and their gradients.

| name     | y = f(x)                          | f'(x)                     |
|----------|-----------------------------------|---------------------------|
| abs      | x, or -x where x < 0              | 1, 0 and -1, the sign     |
| erf      | 2 / sqrt(pi) times the integral   | 2 / sqrt(pi) exp(-x^2)    |
|          | of exp(-t^2) from 0 to x          |                           |
| exp      | e^x                               | e^x                       |
| log      | the natural logarithm             | 1 / x                     |
| power    | x^p                               | p x^(p - 1)               |
| softplus | log(1 + e^x) (Dugas et al. 2000)  | the sigmoid               |

x has any shape. Outside of its domain a function is NaN or infinite, as NumPy has it.
"""

import math
from collections.abc import Callable

from ..types import Array
from .activation import normal_cdf, sigmoid
from .arrays import array_module


def erf(x: Array) -> Array:
    """`2 P(sqrt(2) x) - 1`, P being the normal distribution function; computed in float64."""
    return (2 * normal_cdf(x.astype("float64") * math.sqrt(2)) - 1).astype(x.dtype)


def erf_grad(dy: Array, x: Array) -> Array:
    """`dy * 2 / sqrt(pi) exp(-x^2)`."""
    return dy * (2 / math.sqrt(math.pi) * array_module(x).exp(-x * x))


def power(x: Array, exponent: float) -> Array:
    """`x^exponent`."""
    return x * x if exponent == 2 else x ** x.dtype.type(exponent)


def power_grad(dy: Array, x: Array, exponent: float) -> Array:
    """`dy * exponent x^(exponent - 1)`; 0 for the constant x^0, also at x = 0."""
    if exponent == 0:
        return array_module(x).zeros_like(x)
    return dy * (x.dtype.type(exponent) * x ** x.dtype.type(exponent - 1))


def softplus(x: Array) -> Array:
    """`log(1 + e^x)`, computed with exp(-|x|), which cannot overflow."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x)))


FUNCTIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "abs": (abs, lambda dy, x: dy * array_module(x).sign(x)),
    "erf": (erf, erf_grad),
    "exp": (lambda x: array_module(x).exp(x), lambda dy, x: dy * array_module(x).exp(x)),
    "log": (lambda x: array_module(x).log(x), lambda dy, x: dy / x),
    "power": (power, power_grad),
    "softplus": (softplus, lambda dy, x: dy * sigmoid(x)),
}
