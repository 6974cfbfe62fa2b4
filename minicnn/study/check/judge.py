"""Right or wrong: a subject is run over all geometries, and its results compared with the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.types import Array
from .case import Case, Operation, Results
from .report import Check, Row
from .subject import Failure, Outcome, Subject, describe, shape_of, to_layout

# float64 carries 16 digits. Another order of summation changes the last three or four of them, a
# mistake changes the first ones: every bound between is safe.
TOLERANCE = 1e-8
LOOSE = 10 * TOLERANCE  # of a number that a relation expects
SINGLE = 1e-4  # what float32 can keep in sums of a hundred products


@dataclass(eq=False)
class Trial:
    """One case: the question, the right results, and the outcome."""

    case: Case
    right: Results
    outcome: Outcome

    def is_right(self, result: str, tolerance: float = TOLERANCE) -> bool:
        """True if the result is there and right."""
        return is_close(self.outcome.results.get(result), self.right[result], tolerance)


def is_close(found: Any, right: Array, tolerance: float) -> bool:
    """True if the shapes are equal and the difference is small beside the largest right value."""
    if found is None or np.shape(found) != np.shape(right):
        return False
    if np.asarray(found).dtype.kind not in "fiub":
        return False
    if not np.size(right):
        return True
    if not np.isfinite(right).all():  # what a faulty form expects
        return bool(np.allclose(found, right, equal_nan=True))
    scale = float(np.abs(right).max()) or 1.0
    with np.errstate(all="ignore"):
        return bool((np.abs(found - right) <= tolerance * scale).all())


def run_cases(subject: Subject, cases: list[Case]) -> list[Trial]:
    """Every case that the subject accepts."""
    trials = []
    for case in filter(subject.accepts, cases):
        outcome = subject.run(case)
        right = subject.operation.truth(case, outcome.results)
        settled = subject.operation.settle(case, outcome.results)
        trials.append(Trial(settled, right, outcome))
    return trials


def judge(subject: Subject, seed: int = 0) -> tuple[Check, list[Trial]]:
    """The verdict on every result, without a diagnosis, and the trials that it rests on."""
    operation = subject.operation
    cases = operation.cases(np.random.default_rng(seed))
    trials = run_cases(subject, cases)
    check = Check(subject.name, operation.name, operation.title, subject.describe())
    for result in operation.formulas:
        row = _row(result, subject, trials)
        if row is not None:
            is_known = bool(row.note) and any(row.note == r.note for r in check.rows)
            row.note = "as above" if is_known and row.verdict == "error" else row.note
            check.rows.append(row)
    check.effects = _effects(subject, trials)
    check.remarks += _remarks(subject, trials)
    return check, trials


def _row(result: str, subject: Subject, trials: list[Trial]) -> Row | None:
    operation = subject.operation
    asked = [t for t in trials if result in t.right]
    refused = [t for t in asked if _refusal(t, result, operation)]
    asked = [t for t in asked if t not in refused]
    if not asked:
        return None
    found = [t for t in asked if result in t.outcome.results]
    if not found and result in operation.optional:
        return None
    right = sum(t.is_right(result) or t.is_right(result, SINGLE) for t in asked)
    row = Row(result, "right" if right == len(asked) else "wrong", right, len(asked))
    failures = [(t, f) for t in asked if (f := _failure(t, result))]
    if result not in operation.gradients:
        if any("forward" in t.outcome.missing for t in asked):
            row.verdict, row.note = "missing", "not written yet"
    elif any("backward" in t.outcome.missing for t in asked) and not found:
        row.verdict, row.note = "missing", "not written yet"
    elif not found and not failures:
        shapes_differ = any("y" in t.outcome.results for t in asked)
        if any("forward" in t.outcome.missing for t in asked):
            row.verdict, row.note = "missing", "not written yet"
        elif shapes_differ and not all(_same_shape(t) for t in asked):
            row.verdict, row.note = "not judged", "the output has a wrong shape: repair it first"
        else:
            row.verdict, row.note = "missing", "backward does not return it"
    if failures and row.verdict == "wrong":
        trial, fault = failures[0]
        if not found:
            row.verdict = "error"
        row.note = f"{describe(operation, trial.case, subject.layout)}: {fault}"
    elif row.verdict == "wrong":
        row.note = _worst(result, asked, subject)
    return row


def _same_shape(trial: Trial) -> bool:
    return shape_of(trial.outcome.results, "y") == trial.right["y"].shape


def _failure(trial: Trial, result: str) -> Failure | None:
    failures = trial.outcome.failures
    if "forward" in failures:
        return failures["forward"]
    return failures.get("backward") if result.startswith("d") else None


def _refusal(trial: Trial, result: str, operation: Operation) -> bool:
    fault = _failure(trial, result)
    return bool(fault and fault.is_refusal and operation.may_refuse(trial.case))


def _worst(result: str, trials: list[Trial], subject: Subject) -> str:
    """The first wrong geometry, with its error or its shape."""
    trial = next((t for t in trials if not t.is_right(result)), trials[0])
    found, right = trial.outcome.results.get(result), trial.right[result]
    where = f"for {describe(subject.operation, trial.case, subject.layout)}"
    if found is None:
        return f"nothing {where}"
    if np.shape(found) != np.shape(right):
        shapes = [
            to_layout(subject.operation, result, np.asarray(a), subject.layout).shape
            for a in (found, right)
        ]
        return f"shape {shapes[0]} instead of {shapes[1]} {where}"
    if np.asarray(found).dtype.kind not in "fiub":
        return f"an array of {np.asarray(found).dtype} {where}"
    if not np.isfinite(found).all():
        return f"not a number {where}"
    error = 100 * np.abs(found - right).max() / (np.abs(right).max() or 1)
    return f"off by {error:.{0 if error >= 10 else 2}{'f' if error >= 10 else 'g'}} % {where}"


def _effects(subject: Subject, trials: list[Trial]) -> list[str]:
    """Side effects: inputs changed, type lowered, state kept. Each is one sentence."""
    effects = [effect for t in trials for effect in t.outcome.effects]
    for t in trials:
        for result, found in t.outcome.results.items():
            if result not in t.right:
                continue
            kind = np.asarray(found).dtype
            if kind.kind == "f" and kind.itemsize < 8:
                effects.append(f"{result} is {kind}, although the inputs are float64")
            elif kind.kind == "f" and not t.is_right(result) and t.is_right(result, SINGLE):
                effects.append(f"{result} has only the digits of float32")
    if subject.operation.is_random and _one_mask(trials):
        effects.append("one mask serves the whole batch: draw a number for each value")
    if subject.operation.is_random and _one_number_per_example(trials):
        effects.append("each example is dropped or kept as a whole: draw a number for each value")
    complete = [t for t in trials if t.outcome.results and not t.outcome.failures]
    if complete and not subject.operation.is_random:
        first = complete[0]
        again = subject.run(first.case)
        if _differ(first.outcome, again):
            effects.append("the same call gives other numbers the second time: state is kept")
        elif len(complete) > 1:
            between = subject.interleaved(first.case, complete[1].case)
            if between is not None and _differ(first.outcome, between):
                effects.append(
                    "after another forward, backward gives other numbers: it must take what it "
                    "needs from its own cache"
                )
    return list(dict.fromkeys(effects))


def _one_mask(trials: list[Trial]) -> bool:
    masks = [t.outcome.results["y"] != 0 for t in trials if "y" in t.outcome.results]
    return any((mask == mask[:1]).all() and not mask.all() for mask in masks)


def _one_number_per_example(trials: list[Trial]) -> bool:
    masks = [t.outcome.results["y"] != 0 for t in trials if "y" in t.outcome.results]
    rows = [mask.reshape(len(mask), -1) for mask in masks]
    return any((row == row[:, :1]).all() and not row.all() for row in rows)


def _differ(a: Outcome, b: Outcome) -> bool:
    return any(
        name not in b.results
        or np.shape(b.results[name]) != np.shape(value)
        or not np.allclose(b.results[name], value, rtol=1e-9, atol=1e-12, equal_nan=True)
        for name, value in a.results.items()
        if np.asarray(value).dtype.kind != "O"
    )


def _remarks(subject: Subject, trials: list[Trial]) -> list[str]:
    remarks = []
    refused = [t for t in trials if _refusal(t, "dx", subject.operation)]
    if refused:
        fault = _failure(refused[0], "dx")
        remarks.append(
            f"It declines geometries whose windows leave a rest, such as "
            f"{describe(subject.operation, refused[0].case, subject.layout)} "
            f"(line {fault.line if fault else '?'}). The course allows that."
        )
    if subject.operation.name == "max_pool2d":
        remarks += _ties(trials)
    kept = [t for t in trials if "running_var" in t.outcome.results]
    is_course = subject.layout == "NCHW" and all(t.is_right("running_var") for t in kept)
    unbiased = is_course and any(map(_keeps_unbiased, kept))
    if unbiased:
        remarks.append(
            "running_var keeps the unbiased variance, as the paper and torch do. Courses keep the "
            "biased one; both are accepted."
        )
    return remarks


def _keeps_unbiased(t: Trial) -> bool:
    c = t.case
    new = (t.outcome.results["running_var"] - c.momentum * c.running_var) / (1 - c.momentum)
    return not np.allclose(new, c.x.reshape(-1, c.x.shape[-1]).var(axis=0))


def _ties(trials: list[Trial]) -> list[str]:
    """Which of equal maxima gets the gradient, if it is a choice of its own."""
    from ...kernels import reference

    for t in trials:
        if "has_ties" in t.case.settings and "dx" in t.outcome.results and t.is_right("dx"):
            c = t.case
            _, argmax = reference.max_pool2d(c.x, c.kernel, c.stride, c.padding)
            first = reference.max_pool2d_grad(
                c.dy, argmax, c.x.shape, c.kernel, c.stride, c.padding
            )
            if not np.allclose(first, t.outcome.results["dx"]):
                return [
                    "Of equal maxima it does not choose the first. That is a right choice, too: "
                    "the maximum has no derivative there."
                ]
    return []
