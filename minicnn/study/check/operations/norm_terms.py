"""Mistakes in one of the three terms of a normalization's dx, and in one of its two statistics.

    dx = g / std - mean(g) / std - x^ * mean(g * x^) / std,  g = dy * gamma,  std = sqrt(var + eps)

Each term has a list of what it can be instead. One term, or two or all of them in the same way,
differ from the right ones.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form
from .normalization import Stats, count_of, mean_of, moving_average, output_of, stats

Term = Callable[[Case, Stats, Array, Callable[[Array], Array]], Array]  # of g and a mean


def _first(c: Case, s: Stats, g: Array, mean: Callable[[Array], Array]) -> Array:
    return s.inv_std * g


def _second(c: Case, s: Stats, g: Array, mean: Callable[[Array], Array]) -> Array:
    return -s.inv_std * mean(g)


def _third(c: Case, s: Stats, g: Array, mean: Callable[[Array], Array]) -> Array:
    return -s.inv_std * s.normalized * mean(g * s.normalized)


TERMS: dict[str, Term] = {
    "dy*gamma": _first,
    "mean(dy*gamma)": _second,
    "x^ * mean(dy*gamma * x^)": _third,
}
# What can be wrong in a term: its numbers from the term, the case and the statistics.
Variant = Callable[[Term, Case, Stats], Array]


def _scaled(factor: Callable[[Case, Stats], object], term: Term, c: Case, s: Stats) -> Array:
    return np.asarray(factor(c, s)) * term(c, s, c.dy * c.gamma, s.mean)


def _with_g(power: int, term: Term, c: Case, s: Stats) -> Array:
    return term(c, s, c.dy * c.gamma**power, s.mean)


def _with_axes(axes: tuple[int, ...], term: Term, c: Case, s: Stats) -> Array:
    return term(c, s, c.dy * c.gamma, lambda a: mean_of(a, axes, s.split))


def _outside(power: int, term: Term, c: Case, s: Stats) -> Array:
    """gamma multiplies the term from outside, and is within it to the given power."""
    return np.asarray(c.gamma * term(c, s, c.dy * c.gamma**power, s.mean))


def _summed_over(axes: tuple[int, ...], term: Term, c: Case, s: Stats) -> Array:
    """The sum is over other axes, the divisor is the right one."""
    factor = count_of(c.x, axes, s.split) / s.size
    return term(c, s, c.dy * c.gamma, lambda a: factor * mean_of(a, axes, s.split))


def _unscaled(axes: tuple[int, ...], term: Term, c: Case, s: Stats) -> Array:
    """A mean term as it is computed by steps, with 1 / std inside, and the sum over other axes."""
    if term is _second:
        within = mean_of(c.dy * c.gamma * s.inv_std, axes, s.split)
        return np.asarray(-within * count_of(c.x, axes, s.split) / s.size)
    crossed = mean_of(c.dy * c.gamma * s.centered, axes, s.split)
    crossed = crossed * count_of(c.x, axes, s.split) / s.size
    return np.asarray(-(s.inv_std**2) * s.normalized * crossed)


SCALES: dict[str, tuple[str, Callable[[Case, Stats], object]]] = {
    "missing": ("is missing", lambda c, s: 0),
    "sign": ("has the wrong sign", lambda c, s: -1),
    "half": ("is halved", lambda c, s: 0.5),
    "twice": ("is doubled", lambda c, s: 2),
    "times m": ("is multiplied by m, the number of values that share a mean", lambda c, s: s.size),
    "divided by m": (
        "is divided by m, the number of values that share a mean, once too often",
        lambda c, s: 1 / s.size,
    ),
    "times std": (
        "lacks the factor 1 / sqrt(var + eps)",
        lambda c, s: 1 / s.inv_std,
    ),
    "times var": (
        "is multiplied by sqrt(var + eps), where it is to be divided by it",
        lambda c, s: 1 / s.inv_std**2,
    ),
    "divided by std": (
        "has a factor 1 / sqrt(var + eps) too many",
        lambda c, s: s.inv_std,
    ),
    "divided by var": (
        "has a factor 1 / (var + eps) too many",
        lambda c, s: s.inv_std**2,
    ),
    "eps missing": (
        "lacks eps in one factor 1 / sqrt(var + eps)",
        lambda c, s: 1 / s.inv_std / np.sqrt(1 / s.inv_std**2 - c.eps),
    ),
    "eps twice": (
        "has eps twice in one factor 1 / sqrt(var + eps)",
        lambda c, s: 1 / np.sqrt(1 + c.eps * s.inv_std**2),
    ),
    "eps outside": (
        "has a factor 1 / (sqrt(var) + eps)",
        lambda c, s: 1 / s.inv_std / (np.sqrt(1 / s.inv_std**2 - c.eps) + c.eps),
    ),
}
NAMES = {2: "ND", 4: "NHWC", 5: "NHWGc"}  # 5: with the channels split into groups
OVER = {"N": "the batch", "H": "the rows", "W": "the columns", "C": "the channels", "D": "features"}
OVER |= {"G": "the groups", "c": "the channels of a group"}


def _over(axes: tuple[int, ...], ndim: int) -> str:
    if len(axes) == ndim:
        return "everything"
    return " and ".join(OVER[NAMES[ndim][a]] for a in axes).replace("features", "the features")


def _variants(ndim: int) -> Iterator[tuple[str, str, Variant]]:
    for name, (says, factor) in SCALES.items():
        yield name, says, partial(_scaled, factor)
    yield "gamma missing", "lacks gamma", partial(_with_g, 0)
    yield "gamma twice", "is multiplied by gamma twice", partial(_with_g, 2)
    yield (
        "gamma outside",
        "is multiplied by gamma after the mean, not before",
        partial(_outside, 0),
    )
    yield (
        "gamma outside, too",
        "is multiplied by gamma again after the mean",
        partial(_outside, 1),
    )
    for count in range(1, ndim + 1):
        for axes in combinations(range(ndim), count):
            says = f"has its mean over {_over(axes, ndim)}"
            yield f"mean over {_over(axes, ndim)}", says, partial(_with_axes, axes)
            says = f"is summed over {_over(axes, ndim)}, but divided by m"
            yield f"mean by steps, summed over {_over(axes, ndim)}", says, partial(_unscaled, axes)
            yield f"mean, summed over {_over(axes, ndim)}", says, partial(_summed_over, axes)
    for text, length in _counts(ndim):
        says = f"is divided by {text} instead of m, the number of values that share a mean"
        yield f"divided by {text}", says, partial(_scaled, partial(_instead, length))


def _instead(length: Callable[[Case], int], c: Case, s: Stats) -> float:
    return s.size / length(c)


def _counts(ndim: int) -> list[tuple[str, Callable[[Case], int]]]:
    if ndim == 2:
        return [
            ("N", lambda c: len(c.x)),
            ("D", lambda c: c.x.shape[1]),
            ("N*D", lambda c: c.x.size),
        ]
    return [
        ("N", lambda c: len(c.x)),
        ("C", lambda c: c.x.shape[3]),
        ("H*W", lambda c: c.x[0, ..., 0].size),
        ("N*H*W", lambda c: c.x[..., 0].size),
        ("C*H*W", lambda c: c.x[0].size),
        ("N*C*H*W", lambda c: c.x.size),
        ("N*C", lambda c: len(c.x) * c.x.shape[3]),
    ]


def _sum(changed: dict[str, Variant], c: Case) -> Array:
    s = stats(c)
    return sum(
        (changed[name](term, c, s) if name in changed else term(c, s, c.dy * c.gamma, s.mean))
        for name, term in TERMS.items()
    )  # type: ignore[return-value]


FORMULA = "dx = (g - mean(g) - x^ * mean(g * x^)) / sqrt(var + eps) with g = dy*gamma."


def term_faults(ndim: int) -> tuple[Fault, ...]:
    """One term, or several in the same way, differ."""
    found = []
    for count in (1, 2, 3):
        for chosen in combinations(TERMS, count):
            for name, says, variant in _variants(ndim):
                if name.startswith("mean") and chosen[0] == "dy*gamma":
                    continue  # it has no mean
                if count == 3 and name in ("missing", "sign"):
                    continue
                if name.startswith("mean by steps") and count > 1:
                    continue
                what = f"the term {chosen[0]} {says}"
                if count == 2:
                    what = f"each of the terms {' and '.join(chosen)} {says}"
                if count == 3:
                    what = f"each of the three terms {says}"
                forms: dict[str, Form] = {"dx": partial(_sum, dict.fromkeys(chosen, variant))}
                found.append(Fault(f"{name}: {', '.join(chosen)}", what, FORMULA, forms))
    return tuple(found)


def pairs_of_terms(ndim: int) -> Iterator[Fault]:
    """Two terms differ, each in its own way."""
    # with images, other axes are tried in one term only: there are too many pairs of them
    variants = [v for v in _variants(ndim) if ndim == 2 or not v[0].startswith("mean")]
    for a, b in combinations(TERMS, 2):
        for name, says, variant in variants:
            for other, also, second in variants:
                if name != other and not (name.startswith("mean") and a == "dy*gamma"):
                    yield Fault(
                        f"{name}: {a} + {other}: {b}",
                        f"the term {a} {says}, and the term {b} {also}",
                        FORMULA,
                        {"dx": partial(_sum, {a: variant, b: second})},
                    )


# -- statistics ------------------------------------------------------------------------------------


def _stats_around(c: Case, mean: Array, variance: Callable[[Array], Array]) -> Stats:
    centered = c.x - mean
    return stats(c)._replace(centered=centered, inv_std=1 / np.sqrt(variance(centered) + c.eps))


def _other_mean(axes: tuple[int, ...], factor: Callable[[Case], float], c: Case) -> Stats:
    """The mean over other axes; the variance is that of x minus this mean."""
    right = stats(c)
    return _stats_around(c, factor(c) * mean_of(c.x, axes, right.split), lambda a: right.mean(a**2))


def _other_variance(axes: tuple[int, ...], factor: Callable[[Case], float], c: Case) -> Stats:
    right = stats(c)
    mean = c.x - right.centered
    return _stats_around(c, mean, lambda a: factor(c) * mean_of(a**2, axes, right.split))


def _mean_only(axes: tuple[int, ...], factor: Callable[[Case], float], c: Case) -> Stats:
    """The mean over other axes; the variance is the right one."""
    right = stats(c)
    return right._replace(centered=c.x - factor(c) * mean_of(c.x, axes, right.split))


def _own_variance(axes: tuple[int, ...], factor: Callable[[Case], float], c: Case) -> Stats:
    """np.var over other axes, with its own mean."""
    right = stats(c)
    spread = (c.x - mean_of(c.x, axes, right.split)) ** 2
    mean = c.x - right.centered
    return _stats_around(c, mean, lambda a: factor(c) * mean_of(spread, axes, right.split))


def _both(axes: tuple[int, ...], factor: Callable[[Case], float], c: Case) -> Stats:
    """Mean and variance over the same other axes."""
    split = stats(c).split
    mean = factor(c) * mean_of(c.x, axes, split)
    return _stats_around(c, mean, lambda a: factor(c) * mean_of(a**2, axes, split))


def running(name: str, make: Callable[[Case], Stats], c: Case) -> Array:
    """The running statistic with that of the batch from wrong statistics."""
    s = make(c)
    new = c.x - s.centered if name == "running_mean" else 1 / s.inv_std**2 - c.eps
    rows = np.broadcast_to(new, c.x.shape).reshape(-1, c.x.shape[-1])
    return moving_average(c, rows[0], name)


def statistic_faults(ndim: int) -> tuple[Fault, ...]:
    """The mean or the variance is taken over other axes, or divided by another number."""
    found = []
    ways = (
        ("mean is", _other_mean),
        ("mean in x^, not in the variance, is", _mean_only),
        ("variance is", _other_variance),
        ("variance is", _own_variance),
        ("mean and the variance are", _both),
    )
    for what, make in ways:
        for count in range(1, ndim + 1):
            for axes in combinations(range(ndim), count):
                over = _over(axes, ndim)
                own = partial(make, axes, lambda c: 1)
                found.append(_statistic(f"{what} over {over}", f"taken over {over}", what, own))
                for text, length in _counts(ndim):
                    own = partial(make, axes, partial(_ratio, axes, length))
                    says = f"summed over {over} and divided by {text}"
                    found.append(_statistic(f"{what} over {over} by {text}", says, what, own))
    return tuple(found)


def _ratio(axes: tuple[int, ...], length: Callable[[Case], int], c: Case) -> float:
    return count_of(c.x, axes, c.settings.get("split")) / length(c)


def _statistic(name: str, says: str, what: str, make: Callable[[Case], Stats]) -> Fault:
    forms: dict[str, Form] = {"y": lambda c: output_of(c, make(c))}
    forms |= {r: partial(running, r, make) for r in ("running_mean", "running_var")}
    advice = "Take the mean and the variance over the same values, and divide by their number."
    return Fault(name, f"the {what} {says}", advice, forms)


def sum_faults(ndim: int) -> tuple[Fault, ...]:
    """dgamma or dbeta summed over other axes, with and without axes of length 1."""
    found = []
    right = tuple(range(ndim - 1))
    sums: dict[str, Callable[[Case], Array]] = {
        "dgamma": lambda c: c.dy * stats(c).normalized,
        "dbeta": lambda c: c.dy,
    }
    for count in range(1, ndim + 1):
        for axes in combinations(range(ndim), count):
            if axes == right:
                continue
            for layout in ((0, 3, 1, 2), (0, 1, 2, 3)) if ndim == 4 else ((0, 1),):
                for keep, mean in product((False, True), repeat=2):
                    forms: dict[str, Form] = {
                        name: partial(_summed, of, axes, layout, (keep, mean))
                        for name, of in sums.items()
                    }
                    what = "it is a mean over" if mean else "it is summed over"
                    found.append(
                        Fault(
                            f"summed over {_over(axes, ndim)}",
                            f"{what} {_over(axes, ndim)}",
                            "gamma and beta have one value per channel: sum over all other axes.",
                            forms,
                        )
                    )
    return tuple(found)


def _summed(
    of: Callable[[Case], Array],
    axes: tuple[int, ...],
    layout: tuple[int, ...],
    how: tuple[bool, bool],
    c: Case,
) -> Array:
    """The sum over other axes; how: with axes of length 1, and as a mean."""
    places, (keep, mean) = tuple(layout.index(a) for a in axes), how
    a = of(c).transpose(layout)
    return np.asarray((a.mean if mean else a.sum)(axis=places, keepdims=keep))


def own_sums_in_dx(c: Case) -> Array:
    """dx made of a dgamma that was summed over everything."""
    s, g = stats(c), c.dy * c.gamma
    crossed = c.gamma * (c.dy * s.normalized).sum() / s.size
    return s.inv_std * (g - s.mean(g) - s.normalized * crossed)


OWN_SUMS = Fault(
    "dgamma of everything",
    "dgamma is summed over the features, too, and dx is computed from it",
    "dgamma has one value per feature: np.sum(dy * x^, axis=0).",
    {
        "dx": own_sums_in_dx,
        "dgamma": lambda c: np.asarray((c.dy * stats(c).normalized).sum()),
    },
)


def more_faults(ndim: int) -> tuple[Fault, ...]:
    """All of these mistakes, for inputs of 2 or 4 axes."""
    own = (OWN_SUMS,) if ndim == 2 else ()
    sums = sum_faults(min(ndim, 4))
    return statistic_faults(ndim) + own + sums + term_faults(ndim)
