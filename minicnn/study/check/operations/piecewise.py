"""Activations of two or three pieces: leaky ReLU, ELU, ReLU6, hard swish, and their mistakes."""

from functools import partial

import numpy as np

from ....kernels.types import Array
from ..case import Case, Results
from .elementwise import Function, of_dx, of_y, operation_of

USUAL_SLOPES = (0.01, 0.1, 0.2, 0.25, 0.3)

_SIDES = "Where x > 0 dx is dy; elsewhere it is dy times the slope of the left side."
_EACH = "Keep x where x > 0; elsewhere take the other expression."
LEAKY_RELU = Function(
    "leaky_relu",
    "leaky ReLU",
    "y = x where x > 0, else slope * x",
    "dx = dy where x > 0, else slope * dy",
    (
        of_dx(
            "slope alone",
            "on the negative side dx is the slope, without dy",
            _SIDES,
            lambda c: np.where(c.x > 0, 1, c.slope / c.dy),
        ),
        (
            "slope on the positive side",
            "the slope is on the positive side, the negative values are kept",
            _EACH,
            {
                "y": lambda c: np.where(c.x > 0, c.slope * c.x, c.x),
                "dx": lambda c: np.where(c.x > 0, c.slope * c.dy, c.dy),
            },
        ),
        (
            "slope on both sides",
            "the slope is on both sides",
            _EACH,
            {"y": lambda c: c.slope * c.x, "dx": lambda c: c.slope * c.dy},
        ),
        (
            "negative slope",
            "the slope has the wrong sign",
            _EACH,
            {
                "y": lambda c: np.where(c.x > 0, c.x, -c.slope * c.x),
                "dx": lambda c: np.where(c.x > 0, c.dy, -c.slope * c.dy),
            },
        ),
        (
            "divided by the slope",
            "the negative side is divided by the slope",
            _EACH,
            {
                "y": lambda c: np.where(c.x > 0, c.x, c.x / c.slope),
                "dx": lambda c: np.where(c.x > 0, c.dy, c.dy / c.slope),
            },
        ),
        *(
            (
                "slope fixed",
                f"the slope is always {slope}: the given one is not used",
                "Take the slope from the arguments.",
                {
                    "y": partial(lambda s, c: np.where(c.x > 0, c.x, s * c.x), slope),
                    "dx": partial(lambda s, c: np.where(c.x > 0, c.dy, s * c.dy), slope),
                },
            )
            for slope in USUAL_SLOPES
        ),
        of_y(
            "constant",
            "on the negative side y is the slope itself, not slope * x",
            _EACH,
            lambda c: np.where(c.x > 0, c.x, c.slope),
        ),
        (
            "mask of dy",
            "the mask is taken from dy instead of x",
            "dx depends on the sign of x, whatever the sign of dy is.",
            {"dx": lambda c: np.where(c.dy > 0, c.dy, c.slope * c.dy)},
        ),
    ),
    kinks=(0,),
    constants={"slope": (0.01, 0.15, 0.4)},
    without=("derivative at y",),  # y has the sign of x
)


def _leaky_truth(c: Case, observed: Results) -> Results:
    """With the usual slope for code that holds another usual one as a constant."""
    if c.slope == LEAKY_RELU.constants["slope"][0] and "y" in observed:
        fits = [s for s in USUAL_SLOPES if _has_slope(c, observed["y"], s)]
        c = c.but(slope=fits[0]) if fits else c
    return LEAKY_RELU.truth(c, observed)


def _has_slope(c: Case, y: Array, slope: float) -> bool:
    return y.shape == c.x.shape and np.allclose(y, LEAKY_RELU.value(c.but(slope=slope)))


ELU = Function(
    "elu",
    "ELU",
    "y = x where x > 0, else alpha * (exp(x) - 1)",
    "dx = dy where x > 0, else dy * alpha * exp(x)",
    (
        (
            "alpha missing",
            "alpha is missing",
            _EACH,
            {
                "y": lambda c: np.where(c.x > 0, c.x, np.expm1(c.x)),
                "dx": lambda c: c.dy * np.where(c.x > 0, 1, np.exp(c.x)),
            },
        ),
        of_y(
            "1 not subtracted",
            "the - 1 is missing: y = alpha * exp(x) on the negative side",
            _EACH,
            lambda c: np.where(c.x > 0, c.x, c.alpha * np.exp(c.x)),
        ),
        of_y(
            "alpha on exp only",
            "alpha multiplies exp(x) only: the parentheses are missing",
            _EACH,
            lambda c: np.where(c.x > 0, c.x, c.alpha * np.exp(c.x) - 1),
        ),
        of_dx(
            "y for the slope",
            "on the negative side dy is multiplied by y: the derivative is y + alpha",
            "The derivative of alpha * (exp(x) - 1) is alpha * exp(x) = y + alpha.",
            lambda c: np.where(c.x > 0, 1, c.alpha * np.expm1(c.x)),
        ),
        of_dx(
            "y + 1",
            "on the negative side dy is multiplied by y + 1: the derivative is y + alpha",
            "The derivative of alpha * (exp(x) - 1) is alpha * exp(x) = y + alpha.",
            lambda c: np.where(c.x > 0, 1, c.alpha * np.expm1(c.x) + 1),
        ),
        of_dx(
            "exp of y",
            "on the negative side exp(y) stands where exp(x) is needed",
            "The derivative of alpha * (exp(x) - 1) is alpha * exp(x) = y + alpha.",
            lambda c: np.where(
                c.x > 0, 1, c.alpha * np.exp(c.alpha * np.expm1(np.minimum(c.x, 0)))
            ),
        ),
        of_dx(
            "exp everywhere",
            "the positive side has the factor alpha * exp(x), too",
            _SIDES,
            lambda c: c.alpha * np.exp(c.x),
        ),
        of_dx(
            "alpha for the slope",
            "on the negative side dy is multiplied by alpha: exp(x) is missing",
            "The derivative of alpha * (exp(x) - 1) is alpha * exp(x) = y + alpha.",
            lambda c: np.where(c.x > 0, 1, c.alpha),
        ),
    ),
    kinks=(0,),
    constants={"alpha": (1.0, 0.5, 2.0)},
    without=("derivative at y",),
)
RELU6 = Function(
    "relu6",
    "ReLU6",
    "y = min(max(x, 0), 6)",
    "dx = dy where 0 < x < 6, else 0",
    (
        of_dx(
            "no derivative above 0",
            "dy is set to 0 above 6 only: below 0 it passes",
            "dx is dy only where 0 < x < 6.",
            lambda c: (c.x < 6).astype(np.float64),
        ),
        of_dx(
            "outside",
            "the mask is the wrong way round: dy passes where x < 0 or x > 6",
            "dx is dy only where 0 < x < 6.",
            lambda c: ((c.x <= 0) | (c.x >= 6)).astype(np.float64),
        ),
    ),
    kinks=(0, 6),
    without=("derivative at y", "slope squared"),
)
_SWISH = "Between -3 and 3 the derivative of x * (x + 3) / 6 is (2 x + 3) / 6."
HARD_SWISH = Function(
    "hard_swish",
    "hard swish",
    "y = x * min(max(x + 3, 0), 6) / 6",
    "dx = dy * (2*x + 3) / 6 where -3 < x < 3; 0 below, dy above",
    (
        of_dx(
            "first term only",
            "the product rule has one term only, or the factor 2 of 2*x + 3 is missing",
            _SWISH,
            lambda c: np.clip(c.x + 3, 0, 6) / 6,
        ),
        of_dx(
            "no pieces",
            "(2*x + 3) / 6 stands everywhere, also beyond -3 and 3",
            _SWISH,
            lambda c: (2 * c.x + 3) / 6,
        ),
        of_dx(
            "0 above",
            "dx is 0 above 3, where y = x",
            _SWISH,
            lambda c: (2 * c.x + 3) / 6 * (np.abs(c.x) < 3),
        ),
        of_y("hard sigmoid", "it is the hard sigmoid: the factor x is missing",
              "y = x * min(max(x + 3, 0), 6) / 6.", lambda c: np.clip(c.x + 3, 0, 6) / 6),
        of_y("not divided", "it is not divided by 6", "y = x * min(max(x + 3, 0), 6) / 6.",
              lambda c: c.x * np.clip(c.x + 3, 0, 6)),
        of_y(
            "no upper bound",
            "the bound 6 is missing: above 3 y must be x",
            "y = x * min(max(x + 3, 0), 6) / 6.",
            lambda c: c.x * np.maximum(c.x + 3, 0) / 6,
        ),
    ),
    kinks=(-3, 3),
)  # fmt: skip

PIECEWISE = (
    operation_of(LEAKY_RELU, _leaky_truth),
    *map(operation_of, (ELU, RELU6, HARD_SWISH)),
)
