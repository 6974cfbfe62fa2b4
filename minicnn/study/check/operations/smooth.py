"""Smooth activations: sigmoid, tanh, SiLU, GELU, and their mistakes."""

from dataclasses import replace

import numpy as np

from ....kernels import reference
from ....kernels.reference.activation import normal_cdf
from ....kernels.types import Array
from ..case import Case, Results
from .elementwise import Function, of_dx, of_y, operation_of


def _sigmoid(x: Array) -> Array:
    return reference.sigmoid(x)


def _density(x: Array) -> Array:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


SIGMOID = Function(
    "sigmoid",
    "sigmoid",
    "y = 1 / (1 + exp(-x))",
    "dx = dy * y * (1 - y)",
    (
        of_dx(
            "x for y",
            "x stands where y is needed: x * (1 - x)",
            "dx = dy * y * (1 - y), with the output y.",
            lambda c: c.x * (1 - c.x),
        ),
        of_dx(
            "1 - y missing",
            "the factor 1 - y is missing",
            "dx = dy * y * (1 - y).",
            lambda c: _sigmoid(c.x),
        ),
        of_dx("y missing", "the factor y is missing", "dx = dy * y * (1 - y).",
               lambda c: _sigmoid(-c.x)),
        of_dx(
            "y - 1",
            "1 - y has the wrong sign",
            "dx = dy * y * (1 - y).",
            lambda c: -_sigmoid(c.x) * _sigmoid(-c.x),
        ),
        of_dx(
            "tanh's derivative",
            "it is the derivative of tanh, 1 - y**2",
            "dx = dy * y * (1 - y).",
            lambda c: 1 - _sigmoid(c.x) ** 2,
        ),
        of_y("exp only", "it is exp(-x) / (1 + exp(-x)), which is 1 - y", "y = 1 / (1 + exp(-x)).",
              lambda c: _sigmoid(-c.x)),
        of_y(
            "tanh",
            "it is tanh, between -1 and 1",
            "y = 1 / (1 + exp(-x)).",
            lambda c: np.tanh(c.x),
        ),
    ),
    without=("value for slope", "sign of x"),
)  # fmt: skip
TANH = Function(
    "tanh",
    "tanh",
    "y = tanh(x)",
    "dx = dy * (1 - y**2)",
    (
        of_dx(
            "x for y",
            "x stands where y is needed: 1 - x**2",
            "dx = dy * (1 - y**2), with the output y.",
            lambda c: 1 - c.x**2,
        ),
        of_dx(
            "not squared",
            "y is not squared: 1 - y",
            "dx = dy * (1 - y**2).",
            lambda c: 1 - np.tanh(c.x),
        ),
        of_dx(
            "sign of the square",
            "y**2 is added, not subtracted",
            "dx = dy * (1 - y**2).",
            lambda c: 1 + np.tanh(c.x) ** 2,
        ),
        of_dx(
            "sigmoid's derivative",
            "it is the derivative of the sigmoid, y * (1 - y)",
            "dx = dy * (1 - y**2).",
            lambda c: np.tanh(c.x) * (1 - np.tanh(c.x)),
        ),
        of_y("sigmoid", "it is the sigmoid, between 0 and 1", "y = tanh(x).",
              lambda c: _sigmoid(c.x)),
        of_y(
            "half the argument",
            "it is tanh(x / 2): exp(x) stands where exp(2 x) is needed",
            "y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)).",
            lambda c: np.tanh(c.x / 2),
        ),
    ),
    without=("sign of x",),  # tanh is odd
)  # fmt: skip
_SILU = "The product rule has two terms: s + x * s * (1 - s)."
SILU = Function(
    "silu",
    "SiLU (swish)",
    "y = x * s,  s = 1 / (1 + exp(-x))",
    "dx = dy * (s + x * s * (1 - s))",
    (
        of_dx("first term only", "the second term of the product rule is missing: dy * s", _SILU,
               lambda c: _sigmoid(c.x)),
        of_dx(
            "second term only",
            "the first term of the product rule is missing: dy * x * s * (1 - s)",
            _SILU,
            lambda c: c.x * _sigmoid(c.x) * _sigmoid(-c.x),
        ),
        of_dx(
            "product of derivatives",
            "it is the product of the derivatives, s * (1 - s): the product rule is a sum",
            _SILU,
            lambda c: _sigmoid(c.x) * _sigmoid(-c.x),
        ),
        of_dx(
            "x missing",
            "x is missing in the second term",
            _SILU,
            lambda c: _sigmoid(c.x) * (1 + _sigmoid(-c.x)),
        ),
        of_dx(
            "1 - s missing",
            "1 - s is missing in the second term",
            _SILU,
            lambda c: _sigmoid(c.x) * (1 + c.x),
        ),
        of_dx(
            "sign of the second term",
            "the second term has the wrong sign",
            _SILU,
            lambda c: _sigmoid(c.x) * (1 - c.x * _sigmoid(-c.x)),
        ),
        of_dx(
            "1 - y for 1 - s",
            "1 - y stands where 1 - s is needed",
            _SILU,
            lambda c: _sigmoid(c.x) * (1 + c.x * (1 - c.x * _sigmoid(c.x))),
        ),
        of_y("sigmoid", "it is the sigmoid: the factor x is missing", "y = x * s.",
              lambda c: _sigmoid(c.x)),
        of_y("minus lost", "the sigmoid is taken at -x: a minus is lost", "s = 1 / (1 + exp(-x)).",
              lambda c: c.x * _sigmoid(-c.x)),
    ),
)  # fmt: skip
_GELU = "The product rule has two terms: P(x) + x * p(x)."
GELU = Function(
    "gelu",
    "GELU",
    "y = x * P(x),  P the normal distribution function",
    "dx = dy * (P(x) + x * p(x)),  p the normal density",
    (
        of_dx("first term only", "the second term of the product rule is missing: dy * P(x)",
               _GELU, lambda c: normal_cdf(c.x)),
        of_dx("second term only", "the first term of the product rule is missing: dy * x * p(x)",
               _GELU, lambda c: c.x * _density(c.x)),
        of_dx("x missing", "x is missing in the second term", _GELU,
               lambda c: normal_cdf(c.x) + _density(c.x)),
        of_dx("sign of the second term", "the second term has the wrong sign", _GELU,
               lambda c: normal_cdf(c.x) - c.x * _density(c.x)),
        of_dx(
            "density not normalized",
            "the density is not divided by sqrt(2 pi)",
            "p(x) = exp(-x**2 / 2) / sqrt(2 pi).",
            lambda c: normal_cdf(c.x) + c.x * np.exp(-c.x**2 / 2),
        ),
        of_dx(
            "half in the exponent missing",
            "the exponent of the density is -x**2, not -x**2 / 2",
            "p(x) = exp(-x**2 / 2) / sqrt(2 pi).",
            lambda c: normal_cdf(c.x) + c.x * np.exp(-c.x**2) / np.sqrt(2 * np.pi),
        ),
        (
            "root of 2 missing",
            "erf is taken at x, not at x / sqrt(2)",
            "P(x) = (1 + erf(x / sqrt(2))) / 2.",
            {
                "y": lambda c: c.x * normal_cdf(c.x * np.sqrt(2)),
                "dx": lambda c: c.dy * (normal_cdf(c.x * np.sqrt(2)) + c.x * _density(c.x)),
            },
        ),
        of_y("half missing", "the factor 1/2 is missing: 1 + erf is between 0 and 2",
              "P(x) = (1 + erf(x / sqrt(2))) / 2.", lambda c: 2 * c.x * normal_cdf(c.x)),
        of_y("1 not added", "the 1 is missing: x / 2 * erf(x / sqrt(2))",
              "P(x) = (1 + erf(x / sqrt(2))) / 2.", lambda c: c.x * (normal_cdf(c.x) - 0.5)),
        of_y("distribution only", "it is P(x): the factor x is missing", "y = x * P(x).",
              lambda c: normal_cdf(c.x)),
        of_y("cube for argument", "the cubic term 0.044715 x**3 is missing in the argument of tanh",
              "u = sqrt(2 / pi) * (x + 0.044715 * x**3).",
              lambda c: c.x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * c.x))),
        of_y("cubic term not scaled", "sqrt(2 / pi) multiplies x only, not the cubic term",
              "u = sqrt(2 / pi) * (x + 0.044715 * x**3).",
              lambda c: c.x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * c.x + 0.044715 * c.x**3))),
        of_y("swish", "it is x * sigmoid(1.702 x), a rougher approximation",
              "Take erf, or tanh with the cubic term.",
              lambda c: c.x * _sigmoid(1.702 * c.x)),
        of_dx(
            "inner derivative missing",
            "the derivative of the argument of tanh is missing",
            "u' = sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2).",
            lambda c: _tanh_slope(c.x, np.ones_like(c.x)),
        ),
        of_dx(
            "3 missing",
            "the factor 3 is missing in the derivative of the cubic term",
            "u' = sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2).",
            lambda c: _tanh_slope(c.x, np.sqrt(2 / np.pi) * (1 + 0.044715 * c.x**2)),
        ),
    ),
)  # fmt: skip


def _tanh_slope(x: Array, inner: Array) -> Array:
    """The derivative of the form with tanh, with the derivative of its argument given."""
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return (1 + t + x * (1 - t * t) * inner) / 2


def _gelu_truth(c: Case, observed: Results) -> Results:
    """With erf or with tanh, as the output is; dx must be of the same form."""
    y = reference.gelu_tanh(c.x)
    seen = observed.get("y", y[:0])
    if seen.shape == y.shape and np.allclose(seen, y, rtol=1e-9):
        return {"y": y, "dx": reference.gelu_tanh_grad(c.dy, c.x)}
    return GELU.truth(c, observed)


def _terms_of_dx(c: Case) -> dict[str, Array]:
    return {"P(x)": c.dy * normal_cdf(c.x), "x * p(x)": c.dy * c.x * _density(c.x)}


def _terms_with_tanh(c: Case) -> dict[str, Array]:
    slope = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * c.x**2)
    first = _tanh_slope(c.x, np.zeros_like(c.x))
    rest = _tanh_slope(c.x, slope) - first
    return {"(1 + t) / 2": c.dy * first, "x/2 * (1 - t**2) * u'": c.dy * rest}


_SUMS = {"dx": {"": _terms_of_dx, "in the form with tanh(u),": _terms_with_tanh}}
_GELU_OPERATION = replace(operation_of(GELU, _gelu_truth), sums=_SUMS)
SMOOTH = (_GELU_OPERATION, *map(operation_of, (SILU, SIGMOID, TANH)))
