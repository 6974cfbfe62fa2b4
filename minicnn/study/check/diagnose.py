"""Which mistake it is: the faulty form whose numbers match in every geometry."""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np

from ...kernels.types import Array
from .case import Case, Fault, Form, Operation
from .judge import SINGLE, TOLERANCE, Trial, is_close
from .operations.generic import TRANSFORMS, generic_faults
from .relations import Match, factor_of, related
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
            check.clues += _clues(result, trials)
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
    found = _of_catalogue(operation, result, trials, _single)
    if found:
        return found
    factor = _constant_factor(result, trials)
    if factor:
        return [factor]
    found = _of_catalogue(operation, result, trials, _composite)[:1]
    if found:
        return found
    other = related(subject, result, trials)
    return [other] if other else _of_catalogue(operation, result, trials, _double)[:1]


def _of_catalogue(
    operation: Operation,
    result: str,
    trials: list[Trial],
    forms: Callable[[Operation, str], Iterator[tuple[Match, Form]]],
) -> list[Match]:
    """The forms that give these numbers, those that explain the most geometries first."""
    seen = [(t, t.outcome.results[result]) for t in trials if result in t.outcome.results]
    seen = [(t, v) for t, v in seen if result in t.right]
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
    """Two mistakes in one result: a changed question with another form, or a general one on top."""
    for fault in operation.pairs():
        if result in fault.forms:
            yield (fault.name, fault.says, fault.advice), fault.forms[result]
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


def _constant_factor(result: str, trials: list[Trial]) -> Match | None:
    """The factor between the result and the right one, if it is the same in every geometry."""
    factors = [
        factor_of(t.outcome.results[result], t.right[result])
        for t in trials
        if result in t.right and result in t.outcome.results
    ]
    known = [f for f in factors if f is not None]
    if not known or len(known) < len(factors) or np.ptp(known) > 1e-6 * abs(known[0]):
        return None
    if abs(known[0] - 1) < 1e-6:
        return None
    says = f"it is {known[0]:.6g} times the right one in every geometry"
    return "factor", says, "Look for a factor that does not belong there, or that is missing."
