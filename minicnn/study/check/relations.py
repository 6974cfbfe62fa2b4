"""Mistakes that any operation can have: a factor, wrong places, an array read in the wrong order.

They are tried after the catalogue. Each is a relation between the numbers seen and the right ones
that holds in every geometry.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, permutations

import numpy as np

from ...kernels.types import Array
from .case import Case
from .judge import TOLERANCE, Trial, is_close
from .subject import Subject, from_layout, to_layout

Match = tuple[str, str, str]  # name, says, advice
Change = Callable[[Array], Array]
LOOSE = 10 * TOLERANCE


def related(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The first relation that holds in all trials; None if none does."""
    seen = [t for t in trials if result in t.right and result in t.outcome.results]
    seen.sort(key=lambda t: (t.is_right(result), -len(set(np.shape(t.right[result])))))
    if not seen or seen[0].is_right(result):
        return None
    for find in (_shape, _factor, _added, _places, _result_changed, _scaled, _inputs):
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


# -- a factor --------------------------------------------------------------------------------------


def _lengths(c: Case) -> dict[str, float]:
    """What a sum may be divided or multiplied by mistakenly, as text and number."""
    n, last = len(c.x), c.x.shape[-1]
    found: dict[str, float] = {"N, the batch size": n}
    if c.x.ndim == 4:
        found |= {"C, the number of channels": last, "H": c.x.shape[1], "W": c.x.shape[2]}
        found["H * W, the number of pixels"] = c.x[0, ..., 0].size
        found["N * C"], found["C * H * W"] = n * last, c.x[0].size
    elif c.output == "loss":
        found["C, the number of classes"] = last
    else:
        found["D, the number of features"] = c.x[0].size
    if c.dy.ndim == 4 and c.dy.shape != c.x.shape:
        found["H_out * W_out, the number of places"] = c.dy[0, ..., 0].size
        found["N * H_out * W_out"] = c.dy[..., 0].size
        found["F, the number of filters"] = c.dy.shape[3]
    if "w" in c.arrays and c.w.ndim == 2:
        found["D, the number of features"] = c.w.shape[0]
        found["M, the number of outputs"] = c.w.shape[1]
    if "w" in c.arrays and c.w.ndim == 4:
        found["kH * kW, the size of the kernel"] = c.w[..., 0, 0].size
        found["kH * kW * C, the weights of a filter"] = c.w[..., 0].size
    if "kernel" in c.settings:
        found["kH * kW, the size of the window"] = c.kernel[0] * c.kernel[1]
    if "stride" in c.settings:
        found |= {"the stride": c.stride, "the stride squared": c.stride**2}
    for name in ("groups", "scale", "p", "alpha", "slope", "k"):
        if name in c.settings:
            found[name] = c.settings[name]
    return found


def _factor(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    factors = [factor_of(t.outcome.results[result], t.right[result]) for t in trials]
    known = np.array([np.nan if f is None else f for f in factors])
    if not np.isfinite(known).all() or np.ptp(known) < 1e-6:
        return None
    tables = [_lengths(t.case) for t in trials]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    values = {name: np.array([float(table[name]) for table in tables]) for name in shared}
    advice = "Look for that factor, or for a sum where a mean is needed, or the reverse."

    def fits(expected: Array) -> bool:
        return bool(np.allclose(known, expected, rtol=1e-6))

    for name, value in values.items():
        for text, expected in (("multiplied", value), ("divided", 1 / value)):
            if fits(expected):
                return "factor", f"it is {text} by {name}", advice
    pairs = [(a, b) for a in shared for b in shared if a != b and fits(values[a] / values[b])]
    if len(pairs) == 1:
        above, below = pairs[0]
        says = f"it is divided by {below}, where {above}, is needed"
        return "factor", says.replace(",, ", ", "), advice
    return None


def _added(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The result is the right one and a multiple of an input, or a constant, on top."""
    if any(np.shape(t.outcome.results[result]) != np.shape(t.right[result]) for t in trials):
        return None
    rests = [t.outcome.results[result] - t.right[result] for t in trials]
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
)


def _result_changed(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The result is a function of the right one, or one of the inputs."""
    for text, change in OTHERS:
        if all(is_close(t.outcome.results[result], change(t.right[result]), LOOSE) for t in trials):
            says = f"{text.format(result, result)} is returned, where {result} is needed"
            return "changed", says, f"Return {result} itself."
    for name in trials[0].case.arrays:
        inputs = [t.case.arrays[name] for t in trials]
        pairs = zip(trials, inputs, strict=True)
        if all(is_close(t.outcome.results[result], a, LOOSE) for t, a in pairs):
            return "input", f"{name} is returned unchanged", "Compute the formula."
    return None


def _scaled(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """It is right for an input that is multiplied by a number."""
    if subject.operation.is_random:
        return None
    tables = [_lengths(t.case) for t in trials]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    ways: list[tuple[str, list[float]]] = [
        (f"{value:g}", [value] * len(trials)) for value in (0, -1, 2, 0.5)
    ]
    ways += [(name, [float(table[name]) for table in tables]) for name in shared]
    ways += [(f"1 / {name}", [1 / float(table[name]) for table in tables]) for name in shared]
    for name in trials[0].case.arrays:
        for text, factors in ways:
            if all(
                _agrees(subject, result, t, name, partial(np.multiply, f))
                for t, f in zip(trials, factors, strict=True)
            ):
                says = f"{name} is multiplied by {text}" if factors[0] else f"{name} is missing"
                return "scaled", says, f"Use {name} as it is."
    for name in (
        *trials[0].case.arrays,
        *(("dy",) if result in subject.operation.gradients else ()),
    ):
        for text, change in OTHERS:
            if all(_agrees(subject, result, t, name, change) for t in trials):
                says = f"{text.format(name, name)} stands where {name} is needed"
                return "changed", says, f"Use {name} itself."
    return None


def factor_of(found: Array, right: Array) -> float | None:
    """The number by which `found` is a multiple of `right`; None if it is not."""
    if np.shape(found) != np.shape(right) or not np.abs(right).max():
        return None
    factor = float((found * right).sum() / (right * right).sum())
    return factor if is_close(found, factor * right, 1e-7) and factor else None


# -- places ----------------------------------------------------------------------------------------


def _letters(subject: Subject, name: str, array: Array) -> list[str]:
    """The names of the axes as the student has them."""
    if array.ndim == 4 and name in subject.operation.filters:
        own = ["kH", "kW", "C", "F"]
    elif array.ndim == 4:
        is_output = name in ("y", "dy") and "w" in subject.operation.small()[0].arrays
        own = ["N", "H", "W", "F" if is_output else "C"]
    else:
        own = [f"axis {i}" for i in range(array.ndim)]
    if array.ndim != 4:
        return own
    marks = np.arange(16).reshape(2, 2, 2, 2)
    turned = to_layout(subject.operation, name, marks, subject.layout)
    return [own[a] for a in sorted(range(4), key=lambda a: -_step(turned, marks, a))]


def _step(turned: Array, marks: Array, axis: int) -> int:
    """How far apart in `turned` neighbors along an axis of `marks` stand."""
    first, second = marks[0, 0, 0, 0], np.moveaxis(marks, axis, 0)[1, 0, 0, 0]
    places = list(turned.ravel())
    return places.index(second) - places.index(first)


def _changes(
    subject: Subject, name: str, array: Array, thorough: bool
) -> Iterator[tuple[Match, Change]]:
    """Ways to put the values of an array into wrong places.

    thorough: also from one wrong order to another one.
    """
    axes = _letters(subject, name, array)
    for count in range(1, array.ndim + 1):
        for flipped in combinations(range(array.ndim), count):
            text = " and ".join(axes[a] for a in flipped)
            match = (
                "reversed",
                f"{name} is reversed along {text}",
                f"Take {name} as it is: no [::-1] along {text}.",
            )
            yield match, _own(subject, name, partial(np.flip, axis=flipped))
    orders = list(permutations(range(array.ndim)))
    pairs = [(read, meant) for read in orders for meant in orders if read != meant]
    is_simple = [orders[0] in pair for pair in pairs]
    for wanted in (True, False) if thorough else (True,):
        for (read, meant), simple in zip(pairs, is_simple, strict=True):
            if simple == wanted:
                change = partial(_reread, read=read, meant=meant)
                yield _reordered(name, axes, read, meant), _own(subject, name, change)


def _reordered(name: str, axes: list[str], read: tuple[int, ...], meant: tuple[int, ...]) -> Match:
    order, taken = (", ".join(axes[a] for a in which) for which in (read, meant))
    return (
        "wrong order of axes",
        f"the values of {name} stand in the order ({order}), but are reshaped as if it were "
        f"({taken})",
        "reshape moves no values: transpose first, to the order of axes that the reshape names.",
    )


def _own(subject: Subject, name: str, change: Change) -> Change:
    """The change, made in the student's layout."""

    def changed(array: Array) -> Array:
        own = to_layout(subject.operation, name, array, subject.layout)
        return from_layout(subject.operation, name, change(own), subject.layout)

    return changed


def _reread(a: Array, read: tuple[int, ...], meant: tuple[int, ...]) -> Array:
    """The values in the order of axes `read`, taken for the order `meant`."""
    shape = [a.shape[axis] for axis in meant]
    return a.transpose(read).reshape(shape).transpose(np.argsort(meant))


def _places(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    pairs = [(np.asarray(t.outcome.results[result]), t.right[result]) for t in trials]
    turned = _turned(subject, result, pairs)
    if turned:
        return turned
    if not all(
        f.shape == r.shape
        and f.dtype.kind in "fi"
        and is_close(np.sort(f, None), np.sort(r, None), LOOSE)
        for f, r in pairs
    ):
        return None
    if max(r.ndim for _, r in pairs) > 4 or len({r.ndim for _, r in pairs}) > 1:
        return None
    for match, change in _changes(subject, result, pairs[0][1], True):
        if all(is_close(found, change(right), LOOSE) for found, right in pairs):
            return match
    says = "the numbers are right, but they stand in the wrong places"
    return "places", says, f"Compare the order of the axes with that of {result}."


def _turned(subject: Subject, result: str, pairs: list[tuple[Array, Array]]) -> Match | None:
    """The axes of the result are in another order."""
    own = [
        tuple(to_layout(subject.operation, result, a, subject.layout) for a in pair)
        for pair in pairs
        if np.ndim(pair[0]) == np.ndim(pair[1]) == np.ndim(pairs[0][1])
    ]
    if len(own) < len(pairs):
        return None
    letters = _letters(subject, result, pairs[0][1])
    for order in list(permutations(range(len(letters))))[1:]:
        if all(is_close(found, right.transpose(order), LOOSE) for found, right in own):
            axes = ", ".join(letters[a] for a in order)
            says = f"the numbers are right, but the axes of {result} are in the order ({axes})"
            return "axes", says, f"The order is ({', '.join(letters)})."
    return None


# -- arrays read in the wrong order ----------------------------------------------------------------


def _inputs(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    operation = subject.operation
    if operation.is_random:
        return None
    for name in ("dy", *trials[0].case.arrays):
        if name == "dy" and (result not in operation.gradients or "loss" in operation.formulas):
            continue
        arrays = [t.case.dy if name == "dy" else t.case.arrays[name] for t in trials]
        if arrays[0].size < 2:
            continue
        flat = len({a.ndim for a in arrays}) > 1  # rows, whatever the shape of an example
        first = arrays[0].reshape(len(arrays[0]), -1) if flat else arrays[0]
        for match, change in _changes(subject, name, first, name == "dy"):
            own = partial(_of_rows, change) if flat else change
            if all(_agrees(subject, result, t, name, own) for t in trials):
                return match
    return None


def _of_rows(change: Change, array: Array) -> Array:
    return change(array.reshape(len(array), -1)).reshape(array.shape)


def _agrees(subject: Subject, result: str, trial: Trial, name: str, change: Change) -> bool:
    case = trial.case
    own = change(case.dy if name == "dy" else case.arrays[name])
    try:
        expected = subject.operation.right(case.but(**{name: own}))[result]
    except Exception:  # a change that the definition does not take
        return False
    return is_close(trial.outcome.results[result], expected, LOOSE)
