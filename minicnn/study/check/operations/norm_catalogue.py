"""The mistakes that students make in batch and layer normalization."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form
from .normalization import (
    Stats,
    input_gradient,
    output_of,
    stats,
    sum_over_batch,
)


def _from_stats(make: Callable[[Case], Stats], own_name: bool = False) -> dict[str, Form]:
    """The output with wrong statistics, and gradients of the right form made from these.

    own_name: dgamma's mistake has a name of its own.
    """
    forms: dict[str, Form] = {
        "y": lambda c: output_of(c, make(c)),
        "dx": lambda c: input_gradient(c, make(c)),
    }
    if not own_name:
        forms["dgamma"] = lambda c: sum_over_batch(c.dy * make(c).normalized)
    return forms


def _question_of(make: Callable[[Case], Stats]) -> Callable[[Case], Case]:
    """The change of a case to one whose statistics are `make`'s."""
    return lambda c: replace(c, settings={**c.settings, "statistics": make})


def _scaled(s: Stats, inv_std: Array) -> Stats:
    return s._replace(inv_std=inv_std)


def _dx(form: Callable[[Case, Stats], Array]) -> dict[str, Form]:
    return {"dx": lambda c: form(c, stats(c))}


def _other_power(extra: int, c: Case, s: Stats) -> Array:
    """dx whose variance term has `extra` more factors of the standard deviation."""
    g = c.dy * c.gamma
    third = s.normalized * s.mean(g * s.normalized)
    return input_gradient(c, s, third=0) - s.inv_std ** (1 - extra) * third


_WHY = "mean and variance depend on x, too (Ioffe & Szegedy 2015, section 3)"

STATISTICS = (
    (
        "unbiased variance",
        "the variance is divided by m - 1: the unbiased one, where the biased one is needed",
        "Divide by m: np.var without ddof; the unbiased variance is for the running statistics.",
        lambda c: stats(c, ddof=1),
    ),
    (
        "eps outside the root",
        "eps is added to the standard deviation, not to the variance",
        "Write sqrt(var + eps): eps belongs under the root.",
        lambda c: _scaled(s := stats(c, eps=0), 1 / (1 / s.inv_std + c.eps)),
    ),
    (
        "eps missing",
        "eps is missing",
        "Write sqrt(var + eps).",
        lambda c: stats(c, eps=0),
    ),
    (
        "eps fixed",
        "eps is always 1e-5: the given one is not used",
        "Take eps from the parameters: bn_param.get('eps', 1e-5).",
        lambda c: stats(c, eps=1e-5),
    ),
    (
        "no root",
        "it is divided by the variance, not by the standard deviation",
        "Divide by sqrt(var + eps).",
        lambda c: _scaled(s := stats(c), s.inv_std**2),
    ),
    (
        "variance not divided",
        "the variance is a sum: the division by m is missing",
        "Divide by m, the number of values: np.mean of (x - mean)**2.",
        lambda c: stats(c, ddof=stats(c).size - 1),
    ),
    (
        "not divided",
        "it is not divided by the standard deviation",
        "Divide by sqrt(var + eps).",
        lambda c: _scaled(s := stats(c), np.ones_like(s.inv_std)),
    ),
    (
        "mean of squares",
        "the variance is the mean of x**2: the mean is not subtracted in it",
        "The variance is the mean of (x - mean)**2.",
        lambda c: _scaled(s := stats(c), 1 / np.sqrt(s.mean(c.x**2) + c.eps)),
    ),
    (
        "absolute deviation",
        "the variance is the mean of |x - mean|: the square is missing",
        "The variance is the mean of (x - mean)**2.",
        lambda c: _scaled(s := stats(c), 1 / np.sqrt(s.mean(np.abs(s.centered)) + c.eps)),
    ),
    (
        "mean not subtracted",
        "the mean is not subtracted",
        "Subtract the mean before the division.",
        lambda c: stats(c)._replace(centered=c.x),
    ),
)

COMMON = (
    *(
        Fault(name, says, advice, _from_stats(make, name == "not divided"), _question_of(make))
        for name, says, advice, make in STATISTICS
    ),
    Fault(
        "gamma missing",
        "gamma is missing",
        "y = gamma * x^ + beta: in dx, dy is multiplied by gamma first.",
        {
            "y": lambda c: output_of(c.but(gamma=np.ones_like(c.gamma)), stats(c)),
            "dx": lambda c: input_gradient(c.but(gamma=np.ones_like(c.gamma)), stats(c)),
        },
    ),
    Fault(
        "beta missing",
        "beta is missing",
        "y = gamma * x^ + beta.",
        {"y": lambda c: output_of(c, stats(c)) - c.beta},
    ),
    Fault(
        "gamma and beta exchanged",
        "gamma and beta are exchanged",
        "y = gamma * x^ + beta.",
        {"y": lambda c: output_of(c.but(gamma=c.beta, beta=c.gamma), stats(c))},
    ),
    Fault(
        "beta inside",
        "beta is multiplied by gamma: y = gamma * (x^ + beta)",
        "y = gamma * x^ + beta.",
        {"y": lambda c: c.gamma * (stats(c).normalized + c.beta)},
    ),
    Fault(
        "dgamma and dbeta exchanged in dx",
        "the two means are exchanged: mean(dy*gamma * x^) stands alone, and x^ multiplies "
        "mean(dy*gamma)",
        "dx = (g - mean(g) - x^ * mean(g * x^)) / sqrt(var + eps) with g = dy*gamma.",
        _dx(
            lambda c, s: (
                s.inv_std
                * ((g := c.dy * c.gamma) - s.mean(g * s.normalized) - s.normalized * s.mean(g))
            )
        ),
    ),
    Fault(
        "both mean terms missing",
        "the two terms with means are missing, as if mean and variance were constants",
        f"Subtract mean(dy*gamma) and x^ * mean(dy*gamma * x^): {_WHY}.",
        _dx(lambda c, s: input_gradient(c, s, 0, 0)),
    ),
    Fault(
        "mean term missing",
        "the term - mean(dy*gamma) is missing: the path through the mean",
        f"Subtract mean(dy*gamma): {_WHY}.",
        _dx(lambda c, s: input_gradient(c, s, second=0)),
    ),
    Fault(
        "variance term missing",
        "the term - x^ * mean(dy*gamma * x^) is missing: the path through the variance",
        f"Subtract x^ * mean(dy*gamma * x^): {_WHY}.",
        _dx(lambda c, s: input_gradient(c, s, third=0)),
    ),
    Fault(
        "sign of the mean term",
        "the term mean(dy*gamma) has the wrong sign",
        "It is subtracted: the derivative of x - mean with respect to mean is -1.",
        _dx(lambda c, s: input_gradient(c, s, second=-1)),
    ),
    Fault(
        "sign of the variance term",
        "the term x^ * mean(dy*gamma * x^) has the wrong sign",
        "It is subtracted: the derivative of (var + eps)**-0.5 is -0.5 * (var + eps)**-1.5.",
        _dx(lambda c, s: input_gradient(c, s, third=-1)),
    ),
    Fault(
        "half of the variance term",
        "the term x^ * mean(dy*gamma * x^) is halved",
        "The factor 2 of the square and the 1/2 of the root cancel.",
        _dx(lambda c, s: input_gradient(c, s, third=0.5)),
    ),
    Fault(
        "twice the variance term",
        "the term x^ * mean(dy*gamma * x^) is doubled",
        "The factor 2 of the square and the 1/2 of the root cancel.",
        _dx(lambda c, s: input_gradient(c, s, third=2)),
    ),
    *(
        Fault(
            "power of the variance term",
            f"the power of var + eps in the variance term is wrong: {power} instead of -1.5",
            "The derivative of (var + eps)**-0.5 is -0.5 * (var + eps)**-1.5.",
            _dx(partial(_other_power, extra)),
        )
        for power, extra in (("-1", 1), ("-2", -1))
    ),
    Fault(
        "variance term times m",
        "the term x^ * mean(dy*gamma * x^) is a sum, not a mean",
        "Divide by m, the number of values that share the variance.",
        _dx(lambda c, s: input_gradient(c, s, third=s.size)),
    ),
    Fault(
        "mean term times m",
        "the term mean(dy*gamma) is a sum, not a mean",
        "Divide by m, the number of values that share the mean.",
        _dx(lambda c, s: input_gradient(c, s, second=s.size)),
    ),
    Fault(
        "sums for means",
        "the two terms are sums, not means: the division by m is missing",
        "Divide both sums by m, the number of values that share the statistics.",
        _dx(lambda c, s: input_gradient(c, s, *2 * [s.size])),
    ),
    Fault(
        "x^ not in the variance term",
        "the variance term is not multiplied by x^",
        "The third term is x^ * mean(dy*gamma * x^).",
        _dx(
            lambda c, s: (
                input_gradient(c, s, third=0) - s.inv_std * s.mean(c.dy * c.gamma * s.normalized)
            )
        ),
    ),
    Fault(
        "x - mean for x^",
        "x - mean stands where x^ is needed: in the variance term the division by the standard "
        "deviation is missing",
        "x^ = (x - mean) / sqrt(var + eps).",
        _dx(
            lambda c, s: (
                input_gradient(c, s, third=0)
                - s.inv_std * s.centered * s.mean(c.dy * c.gamma * s.centered)
            )
        ),
    ),
    Fault(
        "x^ squared",
        "x^ is squared in the variance term",
        "The third term is x^ * mean(dy*gamma * x^).",
        _dx(
            lambda c, s: (
                input_gradient(c, s, third=0)
                - s.inv_std * s.normalized**2 * s.mean(c.dy * c.gamma * s.normalized)
            )
        ),
    ),
    Fault(
        "parentheses missing",
        "the factor in front multiplies the first term only: the two sums stand outside of it",
        "gamma / (m * sqrt(var + eps)) multiplies all three: (m*dy - dbeta - x^ * dgamma).",
        _dx(
            lambda c, s: (
                s.inv_std * c.dy * c.gamma
                - s.size * (s.mean(c.dy) + s.normalized * s.mean(c.dy * s.normalized))
            )
        ),
    ),
    Fault(
        "mean missing in the variance term",
        "the variance term is x^ / m: mean(dy*gamma * x^), which is dgamma, is missing in it",
        "The third term is x^ * mean(dy*gamma * x^).",
        _dx(
            lambda c, s: input_gradient(c, s, third=0) - s.inv_std * c.gamma * s.normalized / s.size
        ),
    ),
    Fault(
        "1/std missing in the first term",
        "the factor 1 / sqrt(var + eps) of the first term, dy*gamma, is missing",
        "The whole bracket is multiplied by 1 / sqrt(var + eps).",
        _dx(lambda c, s: input_gradient(c, s) + c.dy * c.gamma * (1 - s.inv_std)),
    ),
    Fault(
        "1/std missing",
        "the factor 1 / sqrt(var + eps) in front is missing",
        "The whole bracket is multiplied by gamma / sqrt(var + eps).",
        _dx(lambda c, s: input_gradient(c, s) / s.inv_std),
    ),
    Fault(
        "unbiased in dx",
        "the variance term is divided by m - 1",
        "Divide by m, as in the forward's variance.",
        _dx(lambda c, s: input_gradient(c, s, third=s.size / (s.size - 1))),
    ),
    Fault(
        "x for x^",
        "dy is multiplied by x instead of x^",
        "dgamma sums dy * x^, the normalized input.",
        {"dgamma": lambda c: sum_over_batch(c.dy * c.x)},
    ),
    Fault(
        "x - mean for x^",
        "dy is multiplied by x - mean: the division by the standard deviation is missing",
        "dgamma sums dy * x^, with x^ = (x - mean) / sqrt(var + eps).",
        {"dgamma": lambda c: sum_over_batch(c.dy * stats(c).centered)},
    ),
    Fault(
        "y for x^",
        "dy is multiplied by y instead of x^",
        "dgamma sums dy * x^, before gamma and beta.",
        {"dgamma": lambda c: sum_over_batch(c.dy * output_of(c, stats(c)))},
    ),
    Fault(
        "gamma in dgamma",
        "dgamma is multiplied by gamma",
        "dgamma sums dy * x^; gamma itself is not in it.",
        {"dgamma": lambda c: c.gamma * sum_over_batch(c.dy * stats(c).normalized)},
    ),
    Fault(
        "gamma in dbeta",
        "dbeta is multiplied by gamma",
        "dbeta sums dy; gamma is not in it.",
        {"dbeta": lambda c: c.gamma * sum_over_batch(c.dy)},
    ),
    Fault(
        "not summed",
        "it is not summed over the batch",
        "gamma and beta serve every image: sum over all axes but that of the features.",
        {
            "dgamma": lambda c: c.dy * stats(c).normalized,
            "dbeta": lambda c: c.dy,
        },
    ),
    Fault(
        "mean for sum",
        "it is a mean over the batch, not a sum",
        "Sum over all axes but that of the features.",
        {
            "dgamma": lambda c: (
                sum_over_batch(c.dy * stats(c).normalized) * len(c.gamma) / c.x.size
            ),
            "dbeta": lambda c: sum_over_batch(c.dy) * len(c.gamma) / c.x.size,
        },
    ),
    Fault(
        "summed over the features",
        "it is summed over the features instead of the batch",
        "One value per feature remains: sum over axis 0.",
        {
            "dgamma": lambda c: (c.dy * stats(c).normalized).sum(axis=-1),
            "dbeta": lambda c: c.dy.sum(axis=-1),
        },
    ),
)


def other_axes(
    name: str,
    axes: tuple[int, ...],
    over: str,
    needed: str,
    split: Callable[[Case], tuple[int, int] | None] = lambda c: None,
) -> Fault:
    """Statistics over other axes; split: the lengths into which the channels are split."""
    says = f"mean and variance are taken over {over}, not over {needed}"

    def make(c: Case) -> Stats:
        return stats(c, axes=axes, split=split(c))

    advice = f"Take mean and variance over {needed}."
    return Fault(name, says, advice, _from_stats(make), _question_of(make))


BATCH_ONLY = Fault(
    "means over the batch only",
    "the two mean terms are divided by N: the rows and columns are not counted",
    "Mean and variance are shared by N * H * W values: divide both sums by that.",
    _dx(lambda c, s: input_gradient(c, s, *2 * [s.size / len(c.x)])),
)


def _unturned(c: Case) -> Array:
    """x as `(N, C, H, W)`, read as rows of C values without moving the channels to the end."""
    rows = np.ascontiguousarray(c.x.transpose(0, 3, 1, 2)).reshape(-1, c.x.shape[3])
    n, h, w, channels = c.x.shape
    hat = stats(Case({"x": rows}, {"eps": c.eps, "axes": (0,)})).normalized
    return (c.gamma * hat + c.beta).reshape(n, channels, h, w).transpose(0, 2, 3, 1)


RESHAPED = Fault(
    "reshape without transpose",
    "the image is reshaped to (N*H*W, C) without moving the channels to the end first",
    "x.transpose(0, 2, 3, 1).reshape(-1, C), and the way back at the end.",
    {"y": _unturned},
)
