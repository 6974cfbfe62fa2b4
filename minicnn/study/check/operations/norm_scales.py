"""Normalizations that subtract or divide by another statistic: a median, a range, a norm."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form
from .norm_terms import SCALES, TERMS, running
from .normalization import (
    Stats,
    batch_mean,
    batch_variance,
    input_gradient,
    output_of,
    stats,
    sum_over_batch,
)

Reduce = Callable[..., Array]  # np.max and the like
RUNNING = ("running_mean", "running_var")
Statistic = Callable[[Case, Array], Array]  # of a case and an array like x


def _over(reduce: Reduce, c: Case, a: Array) -> Array:
    """The reduction over the values that share a mean, at the places of these values."""
    split = c.settings.get("split")
    parts = a if split is None else a.reshape(*a.shape[:-1], *split)
    reduced = reduce(parts, axis=c.axes, keepdims=True)
    return np.broadcast_to(reduced, parts.shape).reshape(a.shape)


def _of(reduce: Reduce, change: Callable[[Array], Array] = lambda a: a) -> Statistic:
    return lambda c, a: _over(reduce, c, change(a))


CENTERS: dict[str, Statistic] = {
    "mean": _of(np.mean),
    "0": lambda c, x: np.zeros_like(x),
    "median": _of(np.median),
    "min": _of(np.min),
    "max": _of(np.max),
    "sum": _of(np.sum),
    "running_mean": lambda c, x: np.broadcast_to(c.running_mean, x.shape),
}
SPREADS: dict[str, Statistic] = {  # of x minus its center
    "mean(d**2)": _of(np.mean, np.square),
    "sum(d**2)": _of(np.sum, np.square),
    "mean(|d|)": _of(np.mean, np.abs),
    "mean(|d|)**2": lambda c, d: _over(np.mean, c, np.abs(d)) ** 2,
    "sum(|d|)": _of(np.sum, np.abs),
    "max(|d|)": _of(np.max, np.abs),
    "max(d) - min(d)": _of(np.ptp),
    "max(d)": _of(np.max),
    "running_var": lambda c, d: np.broadcast_to(c.running_var, d.shape),
    "mean(d)": _of(np.mean),
    "sum(d)": _of(np.sum),
}
DIVISORS: dict[str, Callable[[Array, float], Array]] = {  # of a spread and eps
    "sqrt({} + eps)": lambda v, eps: np.sqrt(v + eps),
    "sqrt({}) + eps": lambda v, eps: np.sqrt(v) + eps,
    "sqrt({})": lambda v, eps: np.sqrt(v),
    "({} + eps)": lambda v, eps: v + eps,
    "({})": lambda v, eps: v,
    "sqrt({} + eps**2)": lambda v, eps: np.sqrt(v + eps**2),
    "sqrt({} + sqrt(eps))": lambda v, eps: np.sqrt(v + eps**0.5),
    "sqrt(max({}, eps))": lambda v, eps: np.sqrt(np.maximum(v, eps)),
    "max(sqrt({}), eps)": lambda v, eps: np.maximum(np.sqrt(v), eps),
    "1": lambda v, eps: np.ones_like(v),
}
ADVICE = "x^ = (x - mean) / sqrt(var + eps), var = mean((x - mean)**2)."


def _own(center: str, spread: str, divisor: str, c: Case) -> Stats:
    d = c.x - CENTERS[center](c, c.x)
    return stats(c)._replace(
        centered=d, inv_std=1 / DIVISORS[divisor](SPREADS[spread](c, d), c.eps)
    )


FORMS: dict[str, Callable[[Case, Stats], Array]] = {
    "y": output_of,
    "dx": input_gradient,
    "dgamma": lambda c, s: sum_over_batch(c.dy * s.normalized),
}


def scale_faults() -> Iterator[Fault]:
    """Every center with every spread and divisor."""
    for choice in product(CENTERS, SPREADS, DIVISORS):
        center, spread, divisor = choice
        forms: dict[str, Form] = {r: partial(_form, form, choice) for r, form in FORMS.items()}
        if spread == "mean(d**2)" and "sqrt" in divisor:
            forms |= {r: partial(running, r, partial(_own, *choice)) for r in RUNNING}
        what = "x" if center == "0" else f"(x - {center})"
        says = f"x^ is {what} / {divisor.format(spread)}, with d = {what}"
        yield Fault("another statistic", says, ADVICE, forms)


def _form(of: Callable[[Case, Stats], Array], choice: tuple[str, str, str], c: Case) -> Array:
    return of(c, _own(*choice, c))


# -- the terms of y and dx, whose factors are found by least squares -------------------------------


Sums = dict[str, Callable[[Case], dict[str, Array]]]


MEANS: dict[str, Callable[[Case, Array], Array]] = {  # of the case and 1 / std
    "": lambda c, inv_std: c.gamma * inv_std,
    "the mean is not scaled": lambda c, inv_std: np.ones(()),
    "the mean is multiplied by gamma only": lambda c, inv_std: c.gamma,
    "the mean is divided by std only": lambda c, inv_std: inv_std,
}
BETAS: dict[str, Callable[[Case, Array], Array]] = {
    "": lambda c, inv_std: c.beta,
    "beta is multiplied by gamma": lambda c, inv_std: c.beta * c.gamma,
    "beta is divided by std": lambda c, inv_std: c.beta * inv_std,
    "beta is scaled by gamma / std": lambda c, inv_std: c.beta * c.gamma * inv_std,
}


def _output_terms(mean: str, beta: str, c: Case) -> dict[str, Array]:
    if c.output == "y_test":
        center, inv_std = c.running_mean, 1 / np.sqrt(c.running_var + c.eps)
    else:
        s = stats(c)
        center, inv_std = c.x - s.centered, s.inv_std
    return {
        "gamma * x / std": c.gamma * inv_std * c.x,
        "gamma * mean / std": -center * MEANS[mean](c, inv_std),
        "beta": np.broadcast_to(BETAS[beta](c, inv_std), c.x.shape),
    }


def _output_sums() -> Sums:
    """The terms of y, and others for the mean and beta."""
    return {
        "; and ".join(filter(None, choice)): partial(_output_terms, *choice)
        for choice in product(MEANS, BETAS)
    }


GAMMAS = {  # its power before and after the means
    "": (1, 0),
    "gamma is missing": (0, 0),
    "gamma is multiplied after the means, not before": (0, 1),
    "gamma is multiplied twice": (2, 0),
}
ROOTS = {  # what is wrong with one factor 1 / sqrt(var + eps) of all terms
    "": "",
    "eps is missing in one factor 1 / sqrt(var + eps)": "eps missing",
    "eps is there twice in one factor 1 / sqrt(var + eps)": "eps twice",
    "one factor is 1 / (sqrt(var) + eps)": "eps outside",
    "one factor 1 / sqrt(var + eps) is missing": "times std",
    "one factor 1 / sqrt(var + eps) is too many": "divided by std",
    "it is multiplied by sqrt(var + eps), not divided": "times var",
}


def _gradient_terms(gamma: str, root: str, c: Case) -> dict[str, Array]:
    s, (before, after) = stats(c), GAMMAS[gamma]
    factor = np.asarray(SCALES[root][1](c, s)) if root else 1
    g = c.dy * c.gamma**before
    return {n: term(c, s, g, s.mean) * factor * c.gamma**after for n, term in TERMS.items()}


def _gradient_sums() -> Sums:
    """The three terms with other powers of gamma, and another root in front of them."""
    return {
        "; and ".join(filter(None, (gamma, says))): partial(_gradient_terms, gamma, root)
        for gamma, (says, root) in product(GAMMAS, ROOTS.items())
    }


SUMS: dict[str, Sums] = {
    "y": _output_sums(),
    "dx": _gradient_sums(),
}


def _running_terms(name: str, new: Callable[[Case], Array], c: Case) -> dict[str, Array]:
    return {
        f"momentum * {name}": c.momentum * c.settings[name],
        f"(1 - momentum) * {name.removeprefix('running_')}": (1 - c.momentum) * new(c),
    }


RUNNING_SUMS: dict[str, Sums] = {
    "y_test": _output_sums(),
    "running_mean": {"": partial(_running_terms, "running_mean", batch_mean)},
    "running_var": {
        "": partial(_running_terms, "running_var", lambda c: batch_variance(c, 0)),
        "the variance is divided by m - 1": partial(
            _running_terms, "running_var", lambda c: batch_variance(c, 1)
        ),
    },
}
