"""The mistakes that students make in batch and layer normalization."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form
from .normalization import (
    Stats,
    batch_mean,
    batch_variance,
    input_gradient,
    moving_average,
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


def _with_stats(make: Callable[[Case], Stats]) -> Callable[[Case], Case]:
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
        "mean not subtracted",
        "the mean is not subtracted",
        "Subtract the mean before the division.",
        lambda c: stats(c)._replace(centered=c.x),
    ),
)

COMMON = (
    *(
        Fault(name, says, advice, _from_stats(make, name == "not divided"), _with_stats(make))
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
    return Fault(name, says, advice, _from_stats(make), _with_stats(make))


def _test(form: Callable[[Case], Array]) -> dict[str, Form]:
    return {"y_test": form}


KEEP = "running = momentum * running + (1 - momentum) * batch"
NEW: dict[str, Form] = {
    "running_mean": batch_mean,
    "running_var": lambda c: batch_variance(c, 0),
}


def _of_batch(form: Callable[[Case, str, Array], Array]) -> dict[str, Form]:
    """The same form for both statistics: of the case, the statistic's name and the batch's."""
    return {name: partial(_apply, form, name) for name in NEW}


def _apply(form: Callable[[Case, str, Array], Array], name: str, c: Case) -> Array:
    return form(c, name, NEW[name](c))


def _fixed(c: Case, eps: float) -> Array:
    return (c.x - c.running_mean) * c.gamma / np.sqrt(c.running_var + eps) + c.beta


RUNNING_FAULTS = (
    Fault(
        "momentum exchanged",
        "momentum weights the new batch instead of the old value",
        f"In this convention {KEEP}.",
        _of_batch(lambda c, n, new: moving_average(c, new, n, 1 - c.momentum)),
    ),
    Fault(
        "not updated",
        "the running statistic is not updated in training",
        f"Store it back: {KEEP}.",
        _of_batch(lambda c, n, new: c.settings[n]),
    ),
    Fault(
        "batch stored",
        "the running statistic is that of the last batch: the average is missing",
        f"{KEEP}.",
        _of_batch(lambda c, n, new: new),
    ),
    Fault(
        "momentum fixed",
        "momentum is always 0.9: the given one is not used",
        "Take momentum from the parameters.",
        _of_batch(lambda c, n, new: moving_average(c, new, n, 0.9)),
    ),
    Fault(
        "sum without 1 - momentum",
        "the batch is added with weight 1 instead of 1 - momentum",
        f"{KEEP}.",
        _of_batch(lambda c, n, new: c.momentum * c.settings[n] + new),
    ),
    Fault(
        "standard deviation stored",
        "the running variance holds the standard deviation",
        "Store the variance, before the root.",
        {"running_var": lambda c: moving_average(c, np.sqrt(batch_variance(c, 0)))},
    ),
    Fault(
        "variance not divided",
        "the running variance averages sums: the division by m is missing",
        "Divide by m, the number of values: np.mean of (x - mean)**2.",
        {
            "running_var": lambda c: moving_average(
                c, batch_variance(c, 0) * c.x.size / len(c.gamma)
            )
        },
    ),
    Fault(
        "standard deviation stored",
        "the running variance holds sqrt(var + eps)",
        "Store the variance, before eps and the root.",
        {"running_var": lambda c: moving_average(c, np.sqrt(batch_variance(c, 0) + c.eps))},
    ),
    Fault(
        "batch statistics in test mode",
        "in test mode the statistics of the batch are used",
        "In test mode use running_mean and running_var.",
        _test(lambda c: output_of(c, stats(c))),
    ),
    Fault(
        "eps missing",
        "eps is missing in test mode",
        "Divide by sqrt(running_var + eps).",
        _test(lambda c: _fixed(c, eps=0)),
    ),
    Fault(
        "eps fixed",
        "eps is always 1e-5 in test mode: the given one is not used",
        "Take eps from the parameters.",
        _test(lambda c: _fixed(c, eps=1e-5)),
    ),
    Fault(
        "no root",
        "in test mode it is divided by the variance, not by the standard deviation",
        "Divide by sqrt(running_var + eps).",
        _test(lambda c: c.gamma * (c.x - c.running_mean) / (c.running_var + c.eps) + c.beta),
    ),
    Fault(
        "eps outside the root",
        "in test mode eps is added to the standard deviation, not to the variance",
        "Divide by sqrt(running_var + eps).",
        _test(
            lambda c: c.gamma * (c.x - c.running_mean) / (np.sqrt(c.running_var) + c.eps) + c.beta
        ),
    ),
    Fault(
        "gamma and beta missing in test mode",
        "gamma and beta are missing in test mode",
        "y = gamma * x^ + beta in both modes.",
        _test(lambda c: (c.x - c.running_mean) / np.sqrt(c.running_var + c.eps)),
    ),
)


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
