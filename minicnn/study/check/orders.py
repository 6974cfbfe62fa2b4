"""Values in the wrong places: reversed axes, a reshape where a transpose is needed."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, permutations

import numpy as np

from ...kernels.types import Array
from .judge import LOOSE, Trial, is_close
from .subject import Subject, from_layout, to_layout

Match = tuple[str, str, str]  # name, says, advice
Change = Callable[[Array], Array]


def own_axis_names(subject: Subject, name: str, array: Array) -> list[str]:
    """The names of the axes in minicnn's order."""
    if name in subject.operation.axes:
        return list(subject.operation.axes[name])
    if array.ndim == 4 and name in subject.operation.filters:
        return ["kH", "kW", "C", "F"]
    if array.ndim == 4:
        is_output = name in ("y", "dy") and "w" in subject.operation.small()[0].arrays
        return ["N", "H", "W", "F" if is_output else "C"]
    if array.ndim == 2:
        return ["D", "M"] if name in ("w", "dw") else ["N", "D"]
    return [f"axis {i}" for i in range(array.ndim)]


def axis_names(subject: Subject, name: str, array: Array) -> list[str]:
    """The names of the axes as the student has them."""
    own = own_axis_names(subject, name, array)
    if array.ndim != 4 or name in subject.operation.axes:
        return own
    marks = np.arange(16).reshape(2, 2, 2, 2)
    turned = to_layout(subject.operation, name, marks, subject.layout)
    return [own[a] for a in sorted(range(4), key=lambda a: -_step(turned, marks, a))]


def _step(turned: Array, marks: Array, axis: int) -> int:
    """How far apart in `turned` neighbors along an axis of `marks` stand."""
    first, second = marks[0, 0, 0, 0], np.moveaxis(marks, axis, 0)[1, 0, 0, 0]
    places = list(turned.ravel())
    return places.index(second) - places.index(first)


def changes(
    subject: Subject, name: str, array: Array, thorough: bool
) -> Iterator[tuple[Match, Change]]:
    """Ways to put the values of an array into wrong places.

    thorough: also from one wrong order to another one.
    """
    axes = axis_names(subject, name, array)
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


def places(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The numbers are right, but they stand in the wrong places."""
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
    if all(is_close(f, r.ravel().reshape(r.shape[::-1]).T, LOOSE) for f, r in pairs):
        says = f"the values of {result} are reshaped in the reverse order of axes, and transposed"
        return "wrong order of axes", says, f"{result}.reshape(shape) keeps the order of the axes."
    if len({r.ndim for _, r in pairs}) > 1:  # examples of any shape: rows
        pairs = [(f.reshape(len(f), -1), r.reshape(len(r), -1)) for f, r in pairs]
    for match, change in changes(subject, result, pairs[0][1], True):
        if all(is_close(found, change(right), LOOSE) for found, right in pairs):
            return match
    in_order = permuted(subject, result, trials)
    if in_order:
        return in_order
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
    letters = axis_names(subject, result, pairs[0][1])
    for order in list(permutations(range(len(letters))))[1:]:
        if all(is_close(found, right.transpose(order), LOOSE) for found, right in own):
            axes = ", ".join(letters[a] for a in order)
            says = f"the numbers are right, but the axes of {result} are in the order ({axes})"
            return "axes", says, f"The order is ({', '.join(letters)})."
    return None


# -- slices in another order -----------------------------------------------------------------------


def permuted(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The slices along one axis, such as the channels, stand in another order."""
    first = trials[0].right[result]
    if any(np.shape(t.outcome.results[result]) != t.right[result].shape for t in trials):
        return None
    if len({np.ndim(t.right[result]) for t in trials}) > 1 or first.ndim < 2:
        return None
    if any(2 * len(np.unique(t.right[result])) < t.right[result].size for t in trials):
        return None  # of few different values, rows are alike by accident
    names = axis_names(subject, result, first)
    own = [_in_own_layout(subject, result, t) for t in trials]
    for axis, letter in enumerate(names):
        orders = [_order(found, right, axis) for found, right in own]
        if all(order is not None and not any(order) for order in orders):
            says = f"the first value of {result} along {letter} stands at all places along {letter}"
            return "order along an axis", says, f"Write each value to its own place along {letter}."
        if all(order is not None for order in orders):
            order = ", ".join(map(str, orders[0] or []))
            says = f"the values along {letter} stand in another order, such as {order}"
            return "order along an axis", says, f"Write each value to its own place along {letter}."
    return None


def _in_own_layout(subject: Subject, result: str, t: Trial) -> tuple[Array, Array]:
    found, right = (
        to_layout(subject.operation, result, np.asarray(a), subject.layout)
        for a in (t.outcome.results[result], t.right[result])
    )
    return found, right


def _order(found: Array, right: Array, axis: int) -> list[int] | None:
    """The places in `right` of the slices of `found`; None if one is not there."""
    rows = np.moveaxis(found, axis, 0).reshape(found.shape[axis], -1)
    places = np.moveaxis(right, axis, 0).reshape(right.shape[axis], -1)
    bound = LOOSE * (np.abs(right).max() or 1)
    order = []
    for row in rows:
        same = np.flatnonzero((np.abs(places - row) <= bound).all(axis=1))
        if len(same) == 0:
            return None
        order.append(int(same[0]))
    return order
