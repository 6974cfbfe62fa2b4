"""Mistakes in the running statistics of batch norm, and in its test mode."""

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form
from .normalization import batch_mean, batch_variance, moving_average, output_of, stats


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


def _divided(length: Callable[[Case], float], c: Case, name: str, new: Array) -> Array:
    return moving_average(c, new / length(c), name)


def _other_spread(squares: bool, c: Case) -> Array:
    rows = c.x.reshape(-1, c.x.shape[-1])
    spread = rows**2 if squares else np.abs(rows - rows.mean(axis=0))
    return moving_average(c, spread.mean(axis=0))


WEIGHTS: dict[str, Callable[[float], float]] = {
    "0": lambda m: 0,
    "1": lambda m: 1,
    "momentum": lambda m: m,
    "1 - momentum": lambda m: 1 - m,
}


def _weighted(old: str, new: str, c: Case, name: str, batch: Array) -> Array:
    return WEIGHTS[old](c.momentum) * c.settings[name] + WEIGHTS[new](c.momentum) * batch


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
        "momentum twice",
        "both the old value and the batch are weighted by momentum",
        f"{KEEP}.",
        _of_batch(lambda c, n, new: c.momentum * (c.settings[n] + new)),
    ),
    Fault(
        "sum without 1 - momentum",
        "the batch is added with weight 1 instead of 1 - momentum",
        f"{KEEP}.",
        _of_batch(lambda c, n, new: c.momentum * c.settings[n] + new),
    ),
    *(
        Fault(
            "other weights",
            f"the old value is multiplied by {old}, and the batch's by {new}",
            f"{KEEP}.",
            _of_batch(partial(_weighted, old, new)),
        )
        for old, new in product(WEIGHTS, WEIGHTS)
        if (old, new) != ("momentum", "1 - momentum")
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
        "eps stored",
        "the running variance holds var + eps",
        "Store the variance; eps is added where it is used.",
        {"running_var": lambda c: moving_average(c, batch_variance(c, 0) + c.eps)},
    ),
    *(
        Fault(
            "divided twice",
            f"the batch's statistic is divided by {what} once too often",
            f"{KEEP}.",
            _of_batch(partial(_divided, length)),
        )
        for what, length in (
            ("N", lambda c: len(c.x)),
            ("m, the number of values that share it,", lambda c: c.x.size / len(c.gamma)),
        )
    ),
    *(
        Fault(
            "mean of squares" if squares else "absolute deviation",
            f"the running variance averages {what}",
            "Store the mean of (x - mean)**2.",
            {"running_var": partial(_other_spread, squares)},
        )
        for squares, what in ((True, "the mean of x**2"), (False, "the mean of |x - mean|"))
    ),
    Fault(
        "mean not subtracted",
        "in test mode the running mean is not subtracted",
        "x^ = (x - running_mean) / sqrt(running_var + eps).",
        _test(lambda c: c.gamma * c.x / np.sqrt(c.running_var + c.eps) + c.beta),
    ),
    Fault(
        "gamma missing",
        "gamma is missing in test mode",
        "y = gamma * x^ + beta in both modes.",
        _test(lambda c: _fixed(c.but(gamma=np.ones_like(c.gamma)), c.eps)),
    ),
    Fault(
        "gamma missing",
        "gamma multiplies the running mean only in test mode: x is not multiplied by it",
        "y = gamma * (x - running_mean) / sqrt(running_var + eps) + beta.",
        _test(lambda c: (c.x - c.gamma * c.running_mean) / np.sqrt(c.running_var + c.eps) + c.beta),
    ),
    Fault(
        "beta missing",
        "beta is missing in test mode",
        "y = gamma * x^ + beta in both modes.",
        _test(lambda c: _fixed(c, c.eps) - c.beta),
    ),
    Fault(
        "not divided",
        "in test mode it is not divided by the standard deviation",
        "x^ = (x - running_mean) / sqrt(running_var + eps).",
        _test(lambda c: c.gamma * (c.x - c.running_mean) + c.beta),
    ),
    Fault(
        "identity in test mode",
        "in test mode x is returned unchanged",
        "y = gamma * (x - running_mean) / sqrt(running_var + eps) + beta.",
        _test(lambda c: c.x),
    ),
    Fault(
        "batch mean in test mode",
        "in test mode the mean is that of the batch, not the running one",
        "In test mode use running_mean and running_var.",
        _test(lambda c: _fixed(c.but(running_mean=batch_mean(c)), c.eps)),
    ),
    Fault(
        "batch variance in test mode",
        "in test mode the variance is that of the batch, not the running one",
        "In test mode use running_mean and running_var.",
        _test(lambda c: _fixed(c.but(running_var=batch_variance(c, 0)), c.eps)),
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
