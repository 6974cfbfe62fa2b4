"""Factors with a meaning: the batch size, the size of the window, the stride, their quotients."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ...kernels.types import Array
from .case import Case
from .judge import Trial, is_close
from .orders import Match

ADVICE = "Look for that factor, or for a sum where a mean is needed, or the reverse."
SIMPLE = {-1.0: "the sign is wrong", 2.0: "it is doubled", 0.5: "it is halved"}


def lengths(c: Case) -> dict[str, float]:
    """What a sum may be divided or multiplied by mistakenly, as text and number."""
    n, last = len(c.x), c.x.shape[-1]
    found: dict[str, float] = {"N, the batch size": n}
    if c.x.ndim == 4:
        found |= {"C, the number of channels": last, "H": c.x.shape[1], "W": c.x.shape[2]}
        found["H * W, the number of pixels"] = c.x[0, ..., 0].size
        found["N * C"], found["C * H * W"] = n * last, c.x[0].size
        found["N * H * W"] = c.x[..., 0].size
    elif c.output == "loss":
        found["C, the number of classes"], found["N * C"] = last, n * last
    else:
        found["D, the number of features"] = c.x[0].size
    if c.dy.ndim == 4 and c.dy.shape != c.x.shape:
        found["H_out * W_out, the number of places"] = c.dy[0, ..., 0].size
        found["N * H_out * W_out"] = c.dy[..., 0].size
        found |= {"H_out": c.dy.shape[1], "W_out": c.dy.shape[2]}
        found["F, the number of filters"] = c.dy.shape[3]
    if "w" in c.arrays and c.w.ndim == 2:
        found["D, the number of features"] = c.w.shape[0]
        found["M, the number of outputs"] = c.w.shape[1]
    if "w" in c.arrays and c.w.ndim == 3:  # one filter per channel
        found["kH * kW, the size of the kernel"] = c.w.size // last
    if "w" in c.arrays and c.w.ndim == 4:
        found["kH * kW, the size of the kernel"] = c.w[..., 0, 0].size
        found["kH * kW * C, the weights of a filter"] = c.w[..., 0].size
        found |= {"kH": c.w.shape[0], "kW": c.w.shape[1]}
    if "kernel" in c.settings:
        (height, width), area = c.kernel, c.kernel[0] * c.kernel[1]
        found |= {"kH * kW, the size of the window": area, "kH": height, "kW": width}
        found |= {"kH squared": height**2, "kW squared": width**2, "kH + kW": height + width}
    if "stride" in c.settings:
        found |= {"the stride": c.stride, "the stride squared": c.stride**2}
    for name in ("groups", "scale", "p", "alpha", "slope", "k", "size", "beta", "momentum"):
        if np.isscalar(c.settings.get(name)):
            found[name] = c.settings[name]
    if "scale" in c.settings:
        found["the scale squared"] = c.scale**2
    return found


def factor_of(found: Array, right: Array) -> float | None:
    """The number by which `found` is a multiple of `right`; None if it is not."""
    if np.shape(found) != np.shape(right) or not np.isfinite(right).all():
        return None
    if not np.abs(right).max(initial=0) or np.asarray(found).dtype.kind not in "fiu":
        return None
    factor = float((found * right).sum() / (right * right).sum())
    return factor if factor and is_close(found, factor * right, 1e-7) else None


def shared_lengths(trials: list[Trial]) -> dict[str, Array]:
    """The lengths that all cases have, with a number per case."""
    tables = [lengths(t.case) for t in trials]
    names = [name for name in tables[0] if all(name in table for table in tables)]
    return {name: np.array([float(table[name]) for table in tables]) for name in names}


STATISTICS: dict[str, Callable[[Array], float]] = {
    "the largest {}": np.max,
    "the smallest {}": np.min,
    "the mean of {}": np.mean,
    "the sum of {}": np.sum,
    "the largest |{}|": lambda a: np.abs(a).max(),
    "the standard deviation of {}": np.std,
    "the norm of {}": lambda a: np.sqrt((a * a).sum()),
}


def _statistics(trials: list[Trial]) -> dict[str, Array]:
    """Numbers of the inputs, and the loss, that a result may be multiplied by."""
    found = {
        text.format(name): np.array([float(of(t.case.arrays[name])) for t in trials])
        for name in trials[0].case.arrays
        for text, of in STATISTICS.items()
    }
    if all("loss" in t.right for t in trials):
        found["the loss"] = np.array([float(t.right["loss"]) for t in trials])
    return found


def named_factor(trials: list[Trial], factors: Sequence[float | None]) -> str | None:
    """What the factors of the trials are, "" if all are 1; None if they have no meaning."""
    known = np.array([np.nan if f is None else f for f in factors])
    if not len(known) or not np.isfinite(known).all():
        return None
    for value, text in {1.0: "", **SIMPLE}.items():
        if np.allclose(known, value, rtol=1e-6):
            return text
    if len(known) < 2:
        return None
    values = shared_lengths(trials)
    with np.errstate(all="ignore"):
        ways = [*_ways(values), *_ways(_statistics(trials))]
    for text, expected in ways:
        if np.ptp(expected) and np.allclose(known, expected, rtol=1e-6):
            return text
    pairs = [
        (a, b)
        for a in values
        for b in values
        if a != b and np.ptp(values[a] / values[b]) and np.allclose(known, values[a] / values[b])
    ]
    whole = [pair for pair in pairs if ", the" in pair[0]]
    if len(pairs) == 1 or whole:
        (above, below), end = (whole or pairs)[0], "is needed"
        return f"it is divided by {below}, where {above}, {end}".replace(",, ", ", ")
    if (known < 0).all():
        positive = named_factor(trials, list(-known))
        return positive and positive.replace("it is", "it has the wrong sign and is", 1)
    return None


def _ways(values: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    for name, value in values.items():
        yield f"it is multiplied by {name}", value
        yield f"it is divided by {name}", 1 / value
    for name, value in values.items():
        yield f"it has the wrong sign and is multiplied by {name}", -value
        yield f"it has the wrong sign and is divided by {name}", -1 / value
        yield f"it is doubled and divided by {name}", 2 / value


def factor(result: str, trials: list[Trial]) -> Match | None:
    """A factor with a name between the result and the right one."""
    factors = [factor_of(t.outcome.results[result], t.right[result]) for t in trials]
    says = named_factor(trials, factors)
    return ("factor", says, ADVICE) if says else None


def constant(result: str, trials: list[Trial]) -> Match | None:
    """The factor between the result and the right one, if it is the same in every geometry."""
    judged = [t for t in trials if result in t.right and result in t.outcome.results]
    factors = [factor_of(t.outcome.results[result], t.right[result]) for t in judged]
    known = np.array([np.nan if f is None else f for f in factors])
    if not len(known) or not np.isfinite(known).all() or np.ptp(known) > 1e-6 * abs(known[0]):
        return None
    if abs(known[0] - 1) < 1e-6 or (len(known) < 2 and known[0] not in SIMPLE):
        return None
    says = f"it is {known[0]:.6g} times the right one in every geometry"
    return "factor", says, "Look for a factor that does not belong there, or that is missing."


def added(result: str, trials: list[Trial]) -> Match | None:
    """The result is the right one and a multiple of an input, or a constant, on top."""
    if any(np.shape(t.outcome.results[result]) != np.shape(t.right[result]) for t in trials):
        return None
    rests = [t.outcome.results[result] - t.right[result] for t in trials]
    if all(np.size(rest) == 1 for rest in rests):
        return _penalty([float(rest) for rest in rests], trials)
    for name in (*trials[0].case.arrays, "dy", "1"):
        factors = []
        for t, rest in zip(trials, rests, strict=True):
            array = t.case.dy if name == "dy" else t.case.arrays.get(name, np.ones_like(rest))
            factors.append(factor_of(rest, array))
        known = np.array([np.nan if f is None else f for f in factors])
        if np.isfinite(known).all() and np.ptp(known) < 1e-6 * abs(known[0]):
            what = f"{known[0]:.6g}" if name == "1" else f"{known[0]:.6g} times {name}"
            what = name if abs(known[0] - 1) < 1e-6 and name != "1" else what
            says = f"{what} is added to it"
            return "added", says, "Start from zeros, and add only the terms of the formula."
    return None


PENALTIES: dict[str, Callable[[Array], float]] = {
    "the sum of x**2": lambda x: float((x * x).sum()),
    "the mean of x**2": lambda x: float((x * x).mean()),
    "the sum of |x|": lambda x: float(np.abs(x).sum()),
}


def _penalty(rests: Sequence[float], trials: list[Trial]) -> Match | None:
    """A multiple of a sum over x on top of a loss."""
    for what, of in PENALTIES.items():
        factors = np.array([r / of(t.case.x) for r, t in zip(rests, trials, strict=True)])
        if len(factors) > 1 and np.ptp(factors) < 1e-6 * abs(factors[0]):
            says = f"{factors[0]:.6g} times {what} is added to it"
            return "added", says, "A penalty of the weights is added outside of this function."
    return None
