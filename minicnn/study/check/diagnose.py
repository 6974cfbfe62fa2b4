"""Which mistake it is: the faulty form whose numbers match in every geometry."""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np

from ...kernels.types import Array
from .case import Fault, Form, Operation
from .factors import constant, factor_of, named_factor
from .judge import SINGLE, TOLERANCE, Trial, is_close
from .mixtures import term_factors
from .operations.generic import generic_faults
from .orders import Match
from .regions import clues, left_out
from .relations import related
from .report import Check, Finding
from .subject import Subject, from_layout


def diagnose(subject: Subject, check: Check, trials: list[Trial]) -> None:
    """Fill the findings and clues of a check whose rows are judged."""
    operation = subject.operation
    wrong = [row.result for row in check.rows if row.verdict == "wrong"]
    if not wrong:
        return
    order = _exchanged(subject, wrong, trials)
    if order:
        check.findings.append(
            Finding(
                "order",
                sorted(set(wrong) & set(operation.gradients)),
                f"backward returns {', '.join(order)} instead of {', '.join(operation.gradients)}",
                "Return the gradients in the order of the arguments of forward.",
                [],
            )
        )
        wrong = [r for r in wrong if r not in operation.gradients]
    matches = {result: _matches(subject, result, trials) for result in wrong}
    follows = _follow_from_forward(subject, wrong, matches, trials)
    names = [m[0] for r in wrong if r not in follows for m in matches[r]]
    rests: list[str] = []
    y_is_named = any(matches[r] for r in ("y", "loss") if r in wrong)
    for result in wrong:
        if result in follows:
            continue
        found = sorted(matches[result], key=lambda m: -names.count(m[0]))[:1]
        for name, says, advice in found:
            _add(check, Finding(name, [result], says, advice, [operation.formulas[result]]))
        if not found and result in operation.gradients and y_is_named:
            rests.append(result)
        elif not found:
            check.clues += clues(subject, result, trials)
    if rests:
        joined = " and ".join(rests)
        check.remarks.append(
            f"{joined} may be wrong because of the forward: repair "
            "the forward first, and check again."
        )
    if follows:
        joined = " and ".join(follows)
        check.remarks.append(
            f"{joined} {'fit' if len(follows) > 1 else 'fits'} the forward that you wrote: "
            "repair the forward, and check again."
        )


def _add(check: Check, finding: Finding) -> None:
    for known in check.findings:
        if (known.name, known.says) == (finding.name, finding.says):
            known.results += finding.results
            known.formulas += finding.formulas
            return
    check.findings.append(finding)


def _exchanged(subject: Subject, wrong: list[str], trials: list[Trial]) -> Any:
    """The order in which backward returned the gradients, if in it they would be right."""
    names = subject.operation.gradients
    gradients = {r for r in wrong if r in names}
    judged = [t for t in trials if set(names) <= set(t.outcome.returned)]
    if len(gradients) < 2 or not judged:
        return None
    for order in permutations(names):
        places = list(zip(names, order, strict=True))
        if {a for a, b in places if a != b} == gradients and all(
            is_close(_read(subject, b, t.outcome.returned[a]), t.right[b], TOLERANCE)
            for t in judged
            for a, b in places
        ):
            return order
    return None


def _read(subject: Subject, name: str, array: Array) -> Array:
    return from_layout(subject.operation, name, array, subject.layout)


def _matches(subject: Subject, result: str, trials: list[Trial]) -> list[Match]:
    """The mistakes that give these numbers: of the catalogue, a relation, or two mistakes."""
    operation = subject.operation
    seen = [t for t in trials if result in t.right and result in t.outcome.results]
    found = _of_catalogue(operation, result, trials, _single)
    found = found or [m for m in (constant(result, seen),) if m]
    found = found or _of_catalogue(operation, result, trials, _composite)[:1]
    if found:
        return found
    apart = [t for t in seen if "has_ties" not in t.case.settings]
    apart = seen if all(t.is_right(result) for t in apart) else apart
    for judged in (seen, apart) if len(apart) < len(seen) else (seen,):
        for find in (related, left_out, _with_factor):
            match = find(subject, result, judged)
            if match:
                return [match]
    found = _of_catalogue(operation, result, trials, _double)[:1]
    match = None if found or operation.is_random else term_factors(subject, result, apart)
    return [match] if match else found


def _with_factor(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """A form of the catalogue, multiplied by a factor with a name."""
    operation = subject.operation
    judged = sorted(trials, key=lambda t: t.is_right(result))
    judged = [t for t in judged if np.size(t.outcome.results[result])]
    if operation.is_random or all(np.size(t.right[result]) == 1 for t in judged):
        return None
    if all(t.is_right(result) for t in judged):
        return None
    own = [
        ((f.name, f.says, f.advice), f.forms[result])
        for f in (*operation.faults, *operation.more)
        if result in f.forms
    ]
    for (name, says, advice), form in own:
        if _ratio(form, judged[0], result) is None:
            continue
        text = named_factor(judged, [_ratio(form, t, result) for t in judged])
        if text:
            return f"{name} + factor", f"{says}; and {text}", advice
    return None


def _ratio(form: Form, t: Trial, result: str) -> float | None:
    """The factor between the numbers seen and the form's; None if there is none."""
    try:
        return factor_of(t.outcome.results[result], np.asarray(form(t.case)))
    except Exception:  # the form has no numbers in this geometry
        return None


def _of_catalogue(
    operation: Operation,
    result: str,
    trials: list[Trial],
    forms: Callable[[Operation, str], Iterator[tuple[Match, Form]]],
) -> list[Match]:
    """The forms that give these numbers, those that explain the most geometries first."""
    seen = [(t, t.outcome.results[result]) for t in trials if result in t.outcome.results]
    seen = [(t, v) for t, v in seen if result in t.right]
    seen.sort(key=lambda pair: pair[0].is_right(result))  # a wrong geometry excludes most forms
    if not any(not t.is_right(result) for t, _ in seen):
        return []
    counts = [(_explained(form, seen, result), match) for match, form in forms(operation, result)]
    best = max((count for count, _ in counts), default=0)
    return list(dict.fromkeys(match for count, match in counts if count == best > 0))


def _single(operation: Operation, result: str) -> Iterator[tuple[Match, Form]]:
    for fault in [*operation.faults, *generic_faults(operation)]:
        if result in fault.forms:
            yield (fault.name, fault.says, fault.advice), fault.forms[result]


def _composite(operation: Operation, result: str) -> Iterator[tuple[Match, Form]]:
    for fault in operation.more:
        if result in fault.forms:
            yield (fault.name, fault.says, fault.advice), fault.forms[result]


def _double(operation: Operation, result: str) -> Iterator[tuple[Match, Form]]:
    """Two mistakes in one result: a changed question with another form."""
    for fault in operation.pairs():
        if result in fault.forms:
            yield (fault.name, fault.says, fault.advice), fault.forms[result]
    own = [fault for fault in operation.faults if result in fault.forms]

    def both(a: Fault, b: Fault) -> Match:
        return f"{a.name} + {b.name}", f"{a.says}; and {b.says}", f"{a.advice} {b.advice}"

    for first in own:
        for second in own if first.change else ():
            if second is not first:
                yield both(first, second), _composed(first.change, second.forms[result])


def _composed(change: Any, form: Form) -> Form:
    return lambda c: form(change(c))


def _explained(form: Form, seen: list[tuple[Trial, Array]], result: str) -> int:
    """In how many wrong geometries the form gives the numbers seen; 0 if it fails in any.

    A geometry in which the form has no numbers, such as a transposed kernel that is not square,
    neither confirms nor denies it.
    """
    count = 0
    for trial, value in seen:
        try:
            with np.errstate(all="ignore"):
                expected = np.asarray(form(trial.case))
        except Exception:
            continue
        tolerance = SINGLE if np.asarray(value).dtype == np.float32 else 10 * TOLERANCE
        if not is_close(value, expected, tolerance):
            if "has_ties" in trial.case.settings:
                continue  # which of equal maxima gets dy is a mistake, or a choice, of its own
            return 0
        count += not trial.is_right(result)
    return count


def _follow_from_forward(
    subject: Subject, wrong: list[str], matches: dict[str, list[Match]], trials: list[Trial]
) -> list[str]:
    """The wrong gradients that are nevertheless those of the student's own, wrong, forward."""
    if not {"y", "loss"} & set(wrong) or subject.operation.is_random:
        return []
    return [
        result
        for result in wrong
        if result in subject.operation.gradients and _fits(subject, result, trials)
    ]


def _fits(subject: Subject, result: str, trials: list[Trial]) -> bool:
    """True if a gradient agrees with central differences of the subject's own forward."""
    generator = np.random.default_rng(1)
    judged = [
        t for t in trials if result in t.outcome.results and "has_ties" not in t.case.settings
    ]
    judged = [t for t in judged if not t.is_right(result)][:3]
    for trial in judged:
        name, case = result.removeprefix("d"), trial.case
        gradient = trial.outcome.results[result]
        array = case.arrays[name]
        if np.shape(gradient) != array.shape:
            return False
        direction, eps = generator.standard_normal(array.shape), 1e-5
        above = subject.output(case.but(**{name: array + eps * direction}))
        below = subject.output(case.but(**{name: array - eps * direction}))
        if above is None or below is None or above.shape != case.dy.shape:
            return False
        numeric = float(((above - below) * case.dy).sum()) / (2 * eps)
        exact = float((gradient * direction).sum())
        if not np.isclose(numeric, exact, rtol=1e-5, atol=1e-7):
            return False
    return bool(judged)
