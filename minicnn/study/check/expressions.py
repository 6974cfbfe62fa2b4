"""What a function of single numbers computes instead: the shortest formula that fits all values.

y and dx / dy are tried as a product of two of `atoms`, then as a sum or difference of two products.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from ...kernels.types import Array
from .judge import Trial
from .orders import Match
from .subject import Subject

CLOSE = 1e-9


def expression(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The formula of y or dx, where they are functions of single numbers."""
    operation = subject.operation
    if operation.source != "minicnn.kernels.reference.activation" or result not in ("y", "dx"):
        return None
    if any(np.shape(t.outcome.results[result]) != t.case.x.shape for t in trials):
        return None
    values = _values(trials)
    found, right = (
        np.concatenate([np.ravel(a) for a in arrays])
        for arrays in (
            [t.outcome.results[result] / (t.case.dy if result == "dx" else 1) for t in trials],
            [t.right[result] / (t.case.dy if result == "dx" else 1) for t in trials],
        )
    )
    sides = {"": np.full(found.shape, True)}
    sides |= {" for negative x": values["x"] < 0, " for positive x": values["x"] > 0}
    off = ~np.isclose(found, right, rtol=CLOSE, atol=CLOSE)
    low, high = values["x"][off].min(initial=0), values["x"][off].max(initial=0)
    if off.sum() > 4 and (off == ((values["x"] >= low) & (values["x"] <= high))).all():
        sides[f" for x from {low:.2g} to {high:.2g}"] = off
    for where, side in sides.items():
        if where and not np.allclose(found[~side], right[~side], rtol=CLOSE, atol=CLOSE):
            continue
        text = _formula(found[side], {name: a[side] for name, a in values.items()})
        if text:
            used = [f"{name} = {what}" for name, what in MEANINGS.items() if _uses(text, name)]
            inner = f"({text})" if " " in text else text
            what = f"dy * {inner}" if result == "dx" else text
            says = f"it is {what}{where}" + (f", with {', '.join(used)}" if used else "")
            return "expression", says, f"{operation.formulas[result]}."
    return None


MEANINGS = {
    "s": "sigmoid(x)",
    "t": "tanh(x)",
    "P": "the normal distribution function",
    "p": "the normal density",
    "f'": "the right derivative",
}


def _uses(text: str, name: str) -> bool:
    return name in text.replace("(", " ").replace(")", " ").split()


def _values(trials: list[Trial]) -> dict[str, Array]:
    """The atoms at all inputs: x, the right y and derivative, constants, and common functions."""
    from ...kernels.reference.activation import normal_cdf

    def joined(of: Callable[[Trial], Any]) -> Array:
        return np.concatenate([np.ravel(np.broadcast_to(of(t), t.case.x.shape)) for t in trials])

    x = joined(lambda t: t.case.x)
    found = {"x": x, "x**2": x * x, "y": joined(lambda t: t.right["y"])}
    found |= {"(1 - y)": 1 - found["y"], "(1 + y)": 1 + found["y"]}
    with np.errstate(all="ignore"):
        found["y / x"] = found["y"] / x
    found["f'"] = joined(lambda t: t.right["dx"] / t.case.dy)
    for name, value in trials[0].case.settings.items():
        if np.isscalar(value):
            found[name] = joined(partial(_setting, name))
    with np.errstate(all="ignore"):
        s, t = 1 / (1 + np.exp(-x)), np.tanh(x)
        found |= {"exp(x)": np.exp(x), "exp(-x)": np.exp(-x), "s": s, "(1 - s)": 1 - s}
        found |= {"t": t, "(1 - t)": 1 - t, "(1 + t)": 1 + t}
        found |= {"P": normal_cdf(x), "p": np.exp(-x * x / 2) / np.sqrt(2 * np.pi)}
        found |= {
            "(x + 3)/6": (x + 3) / 6,
            "|x|": np.abs(x),
            "sqrt(f')": np.sqrt(np.abs(found["f'"])),
        }
    return found


def _setting(name: str, t: Trial) -> Any:
    return t.case.settings[name]


def _formula(target: Array, values: Mapping[str, Array]) -> str:
    """The shortest sum of products that equals the target, or ""."""
    if not len(target) or not np.isfinite(target).all():
        return ""
    terms: dict[str, Array] = {"1": np.ones_like(target)} | dict(values)
    for a, b in combinations_with_replacement(values, 2):
        terms[f"{a} * {b}" if a != b else f"{a}**2"] = values[a] * values[b]
    names = [name for name, a in terms.items() if np.isfinite(a).all()]
    table = np.array([terms[name] for name in names])
    scale = np.abs(target).max() or 1.0

    def fits(rows: Array) -> Array:
        return (np.abs(rows - target) <= CLOSE * scale).all(axis=-1)

    for factor, text in ((1, "{}"), (-1, "-{}"), (2, "2 * {}"), (0.5, "{} / 2"), (3, "3 * {}")):
        single = np.flatnonzero(fits(factor * table))
        if len(single):
            return text.format(names[single[0]])
    for factor, text in ((1, "{} + {}"), (-1, "{} - {}"), (2, "{} + 2 * {}"), (0.5, "{} + {} / 2")):
        for index, row in enumerate(table):
            both = np.flatnonzero(fits(row + factor * table))
            if len(both):
                return text.format(names[index], names[both[0]])
    return ""
