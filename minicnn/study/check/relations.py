"""Mistakes that any operation can have: a factor, wrong places, an array read in the wrong order.

They are tried after the catalogue. Each is a relation between the numbers seen and the right ones,
or those of another question, that holds in every geometry.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import numpy as np

from ...kernels.types import Array
from .case import Case
from .expressions import expression
from .factors import added, factor, factor_of, named_factor, shared_lengths
from .judge import LOOSE, Trial, is_close
from .orders import Change, Match, changes, permuted, places
from .questions import Question, changed, exchanged, questions
from .subject import Subject, to_layout


def related(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The first relation that holds in all trials; None if none does."""
    seen = [t for t in trials if result in t.right and result in t.outcome.results]
    seen.sort(key=lambda t: (t.is_right(result), -len(set(np.shape(t.right[result])))))
    if not seen or seen[0].is_right(result):
        return None
    for find in (_shape, _factor, _added, _collapsed, places, permuted, _result_changed):
        match = find(subject, result, seen)
        if match:
            return match
    if subject.operation.is_random:
        return None
    for find in (expression, _scaled, _questions):
        match = find(subject, result, seen)
        if match:
            return match
    return None


def _shape(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    for t in trials:
        found, right = t.outcome.results[result], t.right[result]
        own = to_layout(subject.operation, result, np.asarray(right), subject.layout)
        if np.size(found) != own.size or not is_close(np.ravel(found), own.ravel(), LOOSE):
            return None
    says = "the numbers are right, but the shape is not"
    return "shape", says, f"Give {result} its shape with reshape, or sum without keepdims."


def _factor(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    return factor(result, trials)


def _added(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    return added(result, trials)


# -- functions of the right result, and of the inputs ----------------------------------------------


def _filled(reduce: Callable[[Array], object]) -> Change:
    return lambda a: np.full_like(a, reduce(a))


OTHERS: tuple[tuple[str, Change], ...] = (
    ("|{}|", np.abs),
    ("{}**2", np.square),
    ("sign({})", np.sign),
    ("exp({})", np.exp),
    ("the sum of all {}", _filled(np.sum)),
    ("the mean of all {}", _filled(np.mean)),
    ("the largest {}", _filled(np.max)),
    ("{} + 1", lambda a: a + 1),
    ("{} - mean({})", lambda a: a - a.mean()),
    ("max(0, {})", lambda a: np.maximum(a, 0)),
    ("min(0, {})", lambda a: np.minimum(a, 0)),
)


def _result_changed(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The result is a function of the right one, one of the inputs, or another result."""
    for text, change in OTHERS:
        if all(is_close(t.outcome.results[result], change(t.right[result]), LOOSE) for t in trials):
            says = f"{text.format(result, result)} is returned, where {result} is needed"
            return "changed", says, f"Return {result} itself."
    for name in trials[0].case.arrays:
        inputs = [t.case.arrays[name] for t in trials]
        pairs = zip(trials, inputs, strict=True)
        if all(is_close(t.outcome.results[result], a, LOOSE) for t, a in pairs):
            return "input", f"{name} is returned unchanged", "Compute the formula."
    for name in trials[0].right:
        if name != result and all(
            name in t.right and is_close(t.outcome.results[result], t.right[name], LOOSE)
            for t in trials
        ):
            says = f"it has the numbers of {name}"
            return "another result", says, f"Compute {result} by its own formula."
    return None


COLLAPSED: tuple[tuple[str, Callable[[Array, int], Array]], ...] = (
    ("the sum over {}", lambda a, axis: a.sum(axis, keepdims=True)),
    ("the mean over {}", lambda a, axis: a.mean(axis, keepdims=True)),
    ("the largest value over {}", lambda a, axis: a.max(axis, keepdims=True)),
    ("the first of {}", lambda a, axis: np.take(a, [0], axis)),
    ("the last of {}", lambda a, axis: np.take(a, [-1], axis)),
)


def _into_one(which: int, a: Array, axis: int) -> Array:
    """The sum over an axis at one place of it, 0 at the others."""
    sums = np.zeros_like(a)
    np.moveaxis(sums, axis, 0)[which] = a.sum(axis)
    return sums


INTO_ONE = (("first", 0), ("last", -1))
MEANINGS = ("the images", "the rows", "the columns", "the channels")


def _collapsed(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """Along one axis all values are the sum, the mean, the largest or one of the right ones."""
    if any(np.ndim(t.right[result]) != 4 for t in trials) or result in subject.operation.filters:
        return None
    for axis, over in enumerate(MEANINGS):
        for text, reduce in COLLAPSED:
            if all(
                np.shape(t.outcome.results[result]) == t.right[result].shape
                and is_close(
                    t.outcome.results[result],
                    np.broadcast_to(reduce(t.right[result], axis), t.right[result].shape),
                    LOOSE,
                )
                for t in trials
            ):
                says = f"{text.format(over)} stands everywhere along {over}"
                return "collapsed", says, f"Compute {result} for each of {over}."
        for end, which in INTO_ONE:
            if all(
                is_close(t.outcome.results[result], _into_one(which, t.right[result], axis), LOOSE)
                for t in trials
            ):
                says = f"the values of all {over[4:]} are added into the {end} of {over}"
                return "collapsed", says, f"Write {result} for each of {over}."
    return None


def _scaled(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """It is right for an input that is multiplied by a number, or that is a function of it."""
    ways: list[tuple[str, list[float]]] = [
        (f"{value:g}", [value] * len(trials)) for value in (0, -1, 2, 0.5)
    ]
    for name, values in shared_lengths(trials).items():
        whole = f"({name.split(',')[0]})" if " " in name.split(",")[0] else name
        ways += [(name, list(values)), (f"1 / {whole}", list(1 / values))]
    for name in trials[0].case.arrays:
        for text, factors in ways:
            if all(
                _agrees(subject, result, t, name, partial(np.multiply, f))
                for t, f in zip(trials, factors, strict=True)
            ):
                says = f"{name} is multiplied by {text}"
                if not factors[0]:
                    says = f"{name} is missing" if name != "x" else "it is as if x were 0"
                return "scaled", says, f"Use {name} as it is."
    gradients = subject.operation.gradients
    for name in (*trials[0].case.arrays, *(("dy",) if result in gradients else ())):
        for text, change in OTHERS:
            if all(_agrees(subject, result, t, name, change) for t in trials):
                says = f"{text.format(name, name)} stands where {name} is needed"
                return "changed", says, f"Use {name} itself."
    return None


# -- arrays read in the wrong order, and other questions -------------------------------------------


def input_changes(subject: Subject, result: str, trials: list[Trial]) -> Iterator[Question]:
    """An input whose values stand in wrong places."""
    operation = subject.operation
    for name in ("dy", *trials[0].case.arrays):
        if name == "dy" and (result not in operation.gradients or "loss" in operation.formulas):
            continue
        arrays = [t.case.dy if name == "dy" else t.case.arrays[name] for t in trials]
        if arrays[0].size < 2:
            continue
        flat = len({a.ndim for a in arrays}) > 1  # rows, whatever the shape of an example
        first = arrays[0].reshape(len(arrays[0]), -1) if flat else arrays[0]
        for match, change in changes(subject, name, first, name == "dy"):
            yield match, changed(name, partial(_of_rows, change) if flat else change)
        if flat:
            says = f"the values of {name} are flattened in the reverse order of axes"
            match = "order of rows", says, f"{name}.reshape(N, -1) keeps the order of the axes."
            yield match, changed(name, _reversed_rows)


def _of_rows(change: Change, array: Array) -> Array:
    return change(array.reshape(len(array), -1)).reshape(array.shape)


def _reversed_rows(a: Array) -> Array:
    """Each example flattened as with order="F"."""
    return np.stack([row.T.ravel().reshape(row.shape) for row in a])


def _agrees(subject: Subject, result: str, trial: Trial, name: str, change: Change) -> bool:
    found = _answered(subject, result, trial, changed(name, change))
    return found is not None and is_close(trial.outcome.results[result], found, LOOSE)


def _answered(
    subject: Subject, result: str, trial: Trial, change: Callable[[Case], Case]
) -> Array | None:
    """The right answer to the changed question; None if the definition does not take it."""
    try:
        return subject.operation.right(change(trial.case))[result]
    except Exception:
        return None


def _questions(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """It is right for another setting or a changed input, perhaps with a factor on top."""
    best: tuple[bool, Match] | None = None
    first = trials[0].case
    asked = chain(
        input_changes(subject, result, trials),
        questions(subject, result, first),
        exchanged(subject, result, first),
    )
    for (name, says, advice), change in asked:
        judged, factors = _multiples(subject, result, trials, change)
        if not judged:
            continue
        text = named_factor(judged, factors)
        if text == "":
            return name, says, advice
        if text and best is None and np.size(trials[0].right[result]) > 1:
            best = True, (f"{name} + factor", f"{says}; and {text}", advice)
    return best[1] if best else None


def _multiples(
    subject: Subject, result: str, trials: list[Trial], change: Callable[[Case], Case]
) -> tuple[list[Trial], list[float]]:
    """Trials and their multiples of the right answer to another question; none if one has none.

    A trial in which both are 0 has no say.
    """
    judged, factors = [], []
    for t in trials:
        found, answer = t.outcome.results[result], _answered(subject, result, t, change)
        if answer is None:
            return [], []
        if not np.any(answer) and not np.any(found) and np.shape(answer) == np.shape(found):
            continue
        factor = factor_of(found, answer)
        if factor is None:
            return [], []
        judged.append(t)
        factors.append(factor)
    return judged, factors
