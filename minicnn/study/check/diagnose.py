"""Which mistake it is: the faulty form whose numbers match in every geometry."""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np

from ...kernels.types import Array
from .case import Case, Fault, Form, Operation
from .judge import SINGLE, TOLERANCE, Trial, is_close
from .operations.generic import TRANSFORMS, generic_faults
from .report import Check, Finding
from .subject import Subject, from_layout

Match = tuple[str, str, str]  # name, says, advice


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
    matches = {result: _matches(operation, result, trials) for result in wrong}
    follows = _follow_from_forward(subject, wrong, matches, trials)
    names = [m[0] for r in wrong if r not in follows for m in matches[r]]
    for result in wrong:
        if result in follows:
            continue
        found = sorted(matches[result], key=lambda m: -names.count(m[0]))[:1]
        for name, says, advice in found:
            _add(check, Finding(name, [result], says, advice, [operation.formulas[result]]))
        factor = None if found else _constant_factor(result, trials)
        if factor:
            says = f"it is {factor:.6g} times the right one in every geometry"
            advice = "Look for a factor that does not belong there, or that is missing."
            _add(check, Finding("factor", [result], says, advice, [operation.formulas[result]]))
        elif not found:
            check.clues += _clues(result, trials)
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


def _matches(operation: Operation, result: str, trials: list[Trial]) -> list[Match]:
    """The mistakes that give these numbers, those that explain the most geometries first."""
    seen = [(t, t.outcome.results[result]) for t in trials if result in t.outcome.results]
    seen = [(t, v) for t, v in seen if result in t.right]
    if not any(not t.is_right(result) for t, _ in seen):
        return []
    found: list[tuple[int, Match]] = []
    for match, form in _single(operation, result):
        count = _explained(form, seen, result)
        if count:
            found.append((count, match))
    if not found:
        for match, form in _double(operation, result):
            count = _explained(form, seen, result)
            if count:
                found.append((count, match))
                break
    best = max((count for count, _ in found), default=0)
    return list(dict.fromkeys(match for count, match in found if count == best))


def _single(operation: Operation, result: str) -> Iterator[tuple[Match, Form]]:
    for fault in [*operation.faults, *generic_faults(operation)]:
        if result in fault.forms:
            yield (fault.name, fault.says, fault.advice), fault.forms[result]


def _double(operation: Operation, result: str) -> Iterator[tuple[Match, Form]]:
    """Two mistakes in one result: a changed question with another form, or a general one on top."""
    general = {fault.name: fault for fault in generic_faults(operation)}
    own = [fault for fault in operation.faults if result in fault.forms]

    def both(a: Fault, b: Fault) -> Match:
        return f"{a.name} + {b.name}", f"{a.says}; and {b.says}", f"{a.advice} {b.advice}"

    for first in own:
        for second in own if first.change else ():
            if second is not first:
                yield both(first, second), _composed(first.change, second.forms[result])
    for name, transform in TRANSFORMS.items():
        for first in own if name in general and result in general[name].forms else ():
            yield both(first, general[name]), _transformed(transform, first.forms[result])


def _composed(change: Any, form: Form) -> Form:
    return lambda c: form(change(c))


def _transformed(transform: Callable[[Case, Array], Array], form: Form) -> Form:
    return lambda c: transform(c, form(c))


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


# -- what can be said where no form matches --------------------------------------------------------

PROPERTIES: dict[str, Callable[[Case], bool]] = {
    "a stride above 1": lambda c: c.stride > 1,
    "padding": lambda c: c.padding > 0,
    "no padding": lambda c: c.padding == 0,
    "overlapping windows": lambda c: c.stride < max(_kernel(c)),
    "windows that leave a rest": lambda c: any(
        (n + 2 * c.padding - k) % c.stride for n, k in zip(c.x.shape[1:3], _kernel(c), strict=True)
    ),
    "a kernel that is not square": lambda c: _kernel(c)[0] != _kernel(c)[1],
    "an image that is not square": lambda c: c.x.shape[1] != c.x.shape[2],
    "equal maxima": lambda c: "has_ties" in c.settings,
    "more than one image": lambda c: len(c.x) > 1,
    "more than one channel": lambda c: c.x.shape[-1] > 1,
}


def _kernel(c: Case) -> tuple[int, int]:
    return c.kernel if "kernel" in c.settings else c.w.shape[:2]


def _clues(result: str, trials: list[Trial]) -> list[str]:
    """The property of the geometries in which the result is wrong."""
    seen = [t for t in trials if result in t.right and result in t.outcome.results]
    wrong = [t for t in seen if not t.is_right(result)]
    if not wrong:
        return []  # it failed elsewhere, which the row says
    clues = []
    right = [t for t in seen if t.is_right(result)]
    for text, has in PROPERTIES.items():
        try:
            if (
                right
                and all(map(has, (t.case for t in wrong)))
                and not any(map(has, (t.case for t in right)))
            ):
                clues.append(f"{result} is wrong exactly in the geometries with {text}.")
        except (AttributeError, IndexError):
            continue
    return clues or [f"The mistake in {result} is not in the catalogue; the example shows it."]


def _constant_factor(result: str, trials: list[Trial]) -> float | None:
    """The factor between the result and the right one, if it is the same in every geometry."""
    factors = [
        _factor(t.outcome.results[result], t.right[result])
        for t in trials
        if result in t.right and result in t.outcome.results
    ]
    known = [f for f in factors if f is not None]
    if not known or len(known) < len(factors) or np.ptp(known) > 1e-6 * abs(known[0]):
        return None
    return None if abs(known[0] - 1) < 1e-6 else known[0]


def _factor(found: Array, right: Array) -> float | None:
    if np.shape(found) != np.shape(right) or not np.abs(right).max():
        return None
    factor = float((found * right).sum() / (right * right).sum())
    return factor if is_close(found, factor * right, 1e-7) and factor else None
