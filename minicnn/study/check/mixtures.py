"""Results that are the right terms with wrong factors.

    y = 1 * (x * w) + 1 * b          dx = 1 * g / std - 1 * mean(g) / std - ...

In each geometry the factors are found by least squares. A mistake has a name if the terms make up
the whole result and each factor has a meaning: 0, -1, 2, N, 1 / stride, ...
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from ...kernels.types import Array
from .case import NEUTRAL, Case
from .factors import named_factor
from .judge import LOOSE, Trial, is_close
from .orders import Match
from .relations import input_changes
from .subject import Subject

Terms = Callable[[Case], Mapping[str, Array]]
ADVICE = "Compare each term with the formula: its sign, its divisor, and what is summed."


def term_factors(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The right terms with factors that have a meaning."""
    for says, terms in _decompositions(subject, result, trials):
        found = _factors(result, trials, terms)
        if found is None:
            continue
        own, columns = found
        texts = {name: _named(own, list(column)) for name, column in columns.items()}
        wrong = [f"the term {name}: {text}" for name, text in texts.items() if text]
        is_form = says.endswith(",")  # another form of the right sum, not a mistake
        if None not in texts.values() and (wrong or (says and not is_form)):
            whole = "; and ".join([says] * bool(says) + wrong).replace(",; and", "")
            advice = f"{subject.operation.formulas[result]}. {ADVICE}"
            return "factors of terms", whole, advice
    return None


def factors_clue(subject: Subject, result: str, trials: list[Trial]) -> list[str]:
    """The factors of the first wrong geometry, if the right terms make up the result in all."""
    for says, terms in _decompositions(subject, result, trials):
        found = _factors(result, trials, terms)
        if found is not None and len(found[1]) > 1:
            own = "; ".join(f"{column[0]:.4g} times {name}" for name, column in found[1].items())
            where = f", if {says}" if says else ""
            return [f"{result} has the right terms with other factors{where}, such as {own}."]
    return []


def _decompositions(
    subject: Subject, result: str, trials: list[Trial]
) -> Iterator[tuple[str, Terms]]:
    """The terms of the result in words and numbers; first the right ones, then wrong ones."""
    operation = subject.operation
    yield from operation.sums.get(result, {}).items()
    bias = [name for name in ("b", "beta") if name in operation.small()[0].arrays]
    if result == "y" and bias and "y" not in operation.sums:

        def of_bias(change: Callable[[Case], Case], c: Case) -> dict[str, Array]:
            own = change(c)
            rest = own.but(**{bias[0]: NEUTRAL[bias[0]](own.arrays[bias[0]])})
            y = operation.right(rest)["y"]
            return {"without the bias": y, bias[0]: operation.right(own)["y"] - y}

        def of_product(c: Case) -> dict[str, Array]:
            return {"(y - b) * b": np.prod(list(of_bias(lambda c: c, c).values()), axis=0)}

        yield "", partial(of_bias, lambda c: c)
        yield "the bias is multiplied, not added", of_product
        for (_, says, _), change in input_changes(subject, result, trials):
            yield says, partial(of_bias, change)


def _factors(
    result: str, trials: list[Trial], terms: Terms
) -> tuple[list[Trial], dict[str, Array]] | None:
    """Trials, and each term's factor in them; None if the terms do not make up the result.

    A trial whose values are too few for the number of terms has no say.
    """
    judged: list[Trial] = []
    rows: list[Array] = []
    names: list[str] = []
    for t in trials:
        try:
            parts = terms(t.case)
        except Exception:  # a change that the definition does not take
            return None
        seen = np.asarray(t.outcome.results[result])
        shape = t.right[result].shape
        if seen.shape != shape or not np.isfinite(seen).all():
            return None
        table = np.array([np.broadcast_to(a, shape).ravel() for a in parts.values()]).T
        factors, _, rank, _ = np.linalg.lstsq(table, seen.ravel())
        if not is_close(seen.ravel(), table @ factors, LOOSE):
            return None
        if len(table) > rank == len(parts):
            names = list(parts)
            judged.append(t)
            rows.append(np.where(np.abs(factors) < 1e-9, 0, factors))
    if len(rows) < 2:
        return None
    return judged, dict(zip(names, np.array(rows).T, strict=True))


def _named(trials: list[Trial], factors: list[float]) -> str | None:
    """What is wrong with a term's factors, "" if they are 1; None if they have no meaning."""
    if not any(factors):
        return "it is missing"
    text = named_factor(trials, factors)
    if text is None and np.ptp(factors) < 1e-7 * abs(factors[0]):
        return f"it is multiplied by {factors[0]:.6g}"
    return text
