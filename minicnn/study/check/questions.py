"""The right answer to another question: another setting, or an input that is changed.

Padding 0, stride 1, 1 - momentum, the first channel for all, only the last filter, neighbors
exchanged: if the result is right for the changed case, the change is the mistake.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations

import numpy as np

from ...kernels.types import Array
from .case import Case
from .orders import Change, Match, own_axis_names
from .subject import Subject

Question = tuple[Match, Callable[[Case], Case]]

NUMBERS: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("always 0", lambda v: 0 * v),
    ("always 1", lambda v: 0 * v + 1),
    ("doubled", lambda v: 2 * v),
    ("halved", lambda v: v / 2),
    ("always 0.5", lambda v: 0 * v + 0.5),
    ("squared", lambda v: v**2),
    ("negated", lambda v: -v),
    ("taken as its root", lambda v: abs(v) ** 0.5),
    ("taken as 1 - {}", lambda v: 1 - v),
    ("taken as 1 / {}", lambda v: 1 / v),
    ("taken as {} - 1", lambda v: v - 1),
    ("taken as {} + 1", lambda v: v + 1),
)
PAIRS: tuple[tuple[str, Callable[[tuple[int, int]], tuple[int, int]]], ...] = (
    ("square: its height is used for both", lambda v: (v[0], v[0])),
    ("square: its width is used for both", lambda v: (v[1], v[1])),
    ("exchanged: height for width", lambda v: (v[1], v[0])),
)
WORDS = {"N": "image", "H": "row", "W": "column", "C": "channel", "F": "filter"}
WORDS |= {"D": "feature", "M": "output", "kH": "row of the kernel", "kW": "column of the kernel"}


def _only(which: int, axis: int, a: Array) -> Array:
    kept = np.zeros_like(a)
    index = (slice(None),) * axis + (which,)
    kept[index] = a[index]
    return kept


def _without(which: int, axis: int, a: Array) -> Array:
    left = a.copy()
    left[(slice(None),) * axis + (which,)] = 0
    return left


def _for_all(which: int, axis: int, a: Array) -> Array:
    return np.repeat(np.take(a, [which], axis), a.shape[axis], axis)


def _reduced(reduce: Callable[..., Array], axis: int, a: Array) -> Array:
    return np.repeat(reduce(a, axis=axis, keepdims=True), a.shape[axis], axis)


def _rolled(by: int, axis: int, a: Array) -> Array:
    return np.roll(a, by, axis)


ALONG: tuple[tuple[str, Callable[[int, Array], Array]], ...] = (
    ("the first {word} of {name} is used for all", partial(_for_all, 0)),
    ("the last {word} of {name} is used for all", partial(_for_all, -1)),
    ("only the first {word} of {name} counts", partial(_only, 0)),
    ("only the last {word} of {name} counts", partial(_only, -1)),
    ("the first {word} of {name} is left out", partial(_without, 0)),
    ("the last {word} of {name} is left out", partial(_without, -1)),
    ("each {word} of {name} stands where the next is needed", partial(_rolled, 1)),
    ("each {word} of {name} stands where the previous is needed", partial(_rolled, -1)),
    ("the {word}s of {name} are summed first", partial(_reduced, np.sum)),
    ("the mean over the {word}s of {name} is used", partial(_reduced, np.mean)),
)


BOTH: tuple[tuple[str, Callable[[int, int, Array], Array]], ...] = (
    ("the {end} row and the {end} column of {name} are left out", _without),
    ("only the {end} row and column of {name} counts", _only),
    ("the {end} row and column of {name} is used for all", _for_all),
)


def _along_both(name: str, axes: tuple[int, int]) -> Iterator[Question]:
    """The rows and the columns of an array at once."""
    for text, change in BOTH:
        for end in ("first", "middle", "last"):
            says = text.format(end=end, name=name)
            own = partial(_on_both, change, end, axes)
            yield ("along axes", says, f"Use all of {name}."), changed(name, own)


def _on_both(
    change: Callable[[int, int, Array], Array], end: str, axes: tuple[int, int], a: Array
) -> Array:
    for axis in axes:
        a = change({"first": 0, "middle": a.shape[axis] // 2, "last": -1}[end], axis, a)
    return a


def questions(subject: Subject, result: str, case: Case) -> Iterator[Question]:
    """All changes of one setting or one input."""
    for name, value in case.settings.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            for text, number in NUMBERS:
                says = f"{name} is {text.format(name)}"
                yield ("setting", says, f"Use {name} as it is given."), _setting(name, number)
        elif name in ("kernel", "output_size"):
            for text, pair in PAIRS:
                what = "the window" if name == "kernel" else "the output"
                match = "setting", f"{what} is {text}", "Height belongs to rows, width to columns."
                yield match, _setting(name, pair)
    arrays = dict(case.arrays)
    if result in subject.operation.gradients and "loss" not in subject.operation.formulas:
        arrays["dy"] = case.dy
    for name, array in arrays.items():
        axes = own_axis_names(subject, name, array)
        if array.ndim == 4:
            yield from _along_both(name, (0, 1) if name in subject.operation.filters else (1, 2))
        for axis in range(array.ndim):
            word = WORDS.get(axes[axis], "value" if array.ndim == 1 else f"slice of {axes[axis]}")
            for text, change in ALONG:
                says = text.format(word=word, name=name)
                match = "along an axis", says, f"Use each {word} of {name} in its own place."
                yield match, changed(name, partial(change, axis))


def exchanged(subject: Subject, result: str, case: Case) -> Iterator[Question]:
    """An input or another result stands where an input of the same shape is needed."""
    right = subject.operation.right
    found = {**case.arrays, **right(case)}
    found = {name: a for name, a in found.items() if name != result and np.ndim(a)}
    needed = dict(case.arrays)
    if result in subject.operation.gradients and "loss" not in subject.operation.formulas:
        needed["dy"] = found["dy"] = case.dy
    for name, array in needed.items():
        for other, own in found.items():
            if other != name and np.shape(own) == np.shape(array) and np.size(own) > 1:
                says = f"{other} stands where {name} is needed"
                match = "another array", says, f"{subject.operation.formulas[result]}."
                yield match, partial(_with_other, right, name, other)

    for name, other in combinations(needed, 2):
        if np.shape(needed[name]) == np.shape(needed[other]) and np.size(needed[name]) > 1:
            match = "another array", f"{name} and {other} are exchanged", "Exchange them."
            yield match, partial(_swapped, name, other)


def _array(c: Case, name: str) -> Array:
    return c.dy if name == "dy" else c.arrays[name]


def _swapped(name: str, other: str, c: Case) -> Case:
    if np.shape(_array(c, name)) != np.shape(_array(c, other)):
        raise ValueError("another shape")
    return c.but(**{name: _array(c, other), other: _array(c, name)})


def _with_other(
    right: Callable[[Case], Mapping[str, Array]], name: str, other: str, c: Case
) -> Case:
    own = right(c)[other] if other not in ("dy", *c.arrays) else _array(c, other)
    if np.shape(own) != np.shape(_array(c, name)):
        raise ValueError("another shape")
    return c.but(**{name: own})


def _setting(name: str, change: Callable) -> Callable[[Case], Case]:
    def other(c: Case) -> Case:
        old = c.settings[name]
        new = change(old)
        if isinstance(old, int) and new == int(new):
            new = int(new)
        return c.but(**{name: new})

    return other


def changed(name: str, change: Change) -> Callable[[Case], Case]:
    """The case with one array changed."""
    return lambda c: c.but(**{name: change(_array(c, name))})
