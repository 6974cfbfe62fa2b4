"""Where a result is wrong: in the last rows, where x is negative, in some of the geometries.

This names no cause unless the values there are all 0: then a loop ends too early.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from ...kernels.types import Array
from .case import Case
from .factors import factor_of
from .judge import LOOSE, TOLERANCE, Trial, is_close
from .mixtures import factors_clue
from .orders import Match
from .questions import WORDS
from .subject import Subject

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
    "a kernel wider than high": lambda c: _kernel(c)[1] > _kernel(c)[0],
    "a kernel higher than wide": lambda c: _kernel(c)[1] < _kernel(c)[0],
    "an output wider than high": lambda c: c.dy.shape[2] > c.dy.shape[1],
    "an output higher than wide": lambda c: c.dy.shape[2] < c.dy.shape[1],
    "equal maxima": lambda c: "has_ties" in c.settings,
    "more than one image": lambda c: len(c.x) > 1,
    "more than one channel": lambda c: c.x.shape[-1] > 1,
    "windows of different sizes": lambda c: any(
        n % m for n, m in zip(c.x.shape[1:3], c.output_size, strict=True)
    ),
}


def _kernel(c: Case) -> tuple[int, int]:
    return c.kernel if "kernel" in c.settings else c.w.shape[:2]


def left_out(subject: Subject, result: str, trials: list[Trial]) -> Match | None:
    """The result is right but for slices at one end of an axis, which are all 0."""
    for text, inside in _ends(subject, result, trials):
        if all(not t.outcome.results[result][inside(t)].any() for t in trials):
            says = f"it is right but for {text}, where it is 0: these are never computed"
            return "left out", says, "Loop to the end of each axis: range(n), not range(n - 1)."
    return None


def _wrong(t: Trial, result: str) -> Array:
    found, right = t.outcome.results[result], t.right[result]
    return ~(np.abs(found - right) <= TOLERANCE * (np.abs(right).max(initial=0) or 1))


def _ends(
    subject: Subject, result: str, trials: list[Trial]
) -> Iterator[tuple[str, Callable[[Trial], Array]]]:
    """The ends of one axis, or of rows and columns, that hold all wrong values of all trials.

    With each, a function that gives the mask of these values.
    """
    wrong = [t for t in trials if not t.is_right(result)]
    found = [np.asarray(t.outcome.results[result]) for t in wrong]
    if any(f.shape != t.right[result].shape for f, t in zip(found, wrong, strict=True)):
        return
    if not wrong or any(f.ndim != 4 or f.dtype.kind not in "fiu" for f in found):
        return
    letters = ["kH", "kW", "C", "F"] if result in subject.operation.filters else list("NHWC")
    for axes in ((0,), (1,), (2,), (3,), (1, 2)):
        for end in ("first", "last"):
            inside = partial(_inside, result, axes, end)
            shares = [inside(t) for t in wrong]
            pairs = zip(wrong, shares, strict=True)
            if all(not (_wrong(t, result) & ~m).any() for t, m in pairs) and not all(
                m.all() for m in shares
            ):
                yield f"the {end} {' and '.join(WORDS[letters[a]] for a in axes)}", inside


def _inside(result: str, axes: tuple[int, ...], end: str, t: Trial) -> Array:
    """True in the first or last slice along any of the axes."""
    mask = np.zeros(t.right[result].shape, bool)
    for axis in axes:
        mask[(slice(None),) * axis + (0 if end == "first" else -1,)] = True
    return mask if not t.is_right(result) else np.zeros_like(mask)


def clues(subject: Subject, result: str, trials: list[Trial]) -> list[str]:
    """In which geometries the result is wrong, and in which of its parts."""
    seen = [t for t in trials if result in t.right and result in t.outcome.results]
    wrong = [t for t in seen if not t.is_right(result)]
    if not wrong:
        return []  # it failed elsewhere, which the row says
    found = []
    right = [t for t in seen if t.is_right(result)]
    for text, has in PROPERTIES.items():
        try:
            if (
                right
                and all(map(has, (t.case for t in wrong)))
                and not any(map(has, (t.case for t in right)))
            ):
                found.append(f"{result} is wrong exactly in the geometries with {text}.")
        except (AttributeError, IndexError):
            continue
    found += [f"{result} is wrong only in {text}." for text, _ in _ends(subject, result, wrong)]
    found += _by_sign(result, wrong)
    found += _by_value(result, wrong)
    found += _by_sum(subject, result, wrong)
    found += factors_clue(subject, result, wrong)
    return found or [f"The mistake in {result} is not in the catalogue; the example shows it."]


def _by_sign(result: str, wrong: list[Trial]) -> list[str]:
    """Whether it is wrong only where x is negative, or only where it is positive."""
    if any(np.shape(t.outcome.results[result]) != t.case.x.shape for t in wrong):
        return []
    if any(t.right[result].shape != t.case.x.shape for t in wrong):
        return []
    signs = {
        "negative": all(not (_wrong(t, result) & (t.case.x >= 0)).any() for t in wrong),
        "positive": all(not (_wrong(t, result) & (t.case.x <= 0)).any() for t in wrong),
    }
    return [f"{result} is wrong only where x is {sign}." for sign, only in signs.items() if only]


def _by_value(result: str, wrong: list[Trial]) -> list[str]:
    """Whether it is a multiple of the right one, or right but for its signs."""
    pairs = [(np.asarray(t.outcome.results[result]), t.right[result]) for t in wrong]
    if any(np.size(right) < 2 or found.dtype.kind not in "fi" for found, right in pairs):
        return []
    factors = [factor_of(found, right) for found, right in pairs]
    if all(factor is not None for factor in factors):
        numbers = ", ".join(f"{factor:.4g}" for factor in factors[:4])
        return [f"{result} is a multiple of the right one; the factors are {numbers}."]
    if all(is_close(np.abs(found), np.abs(right), LOOSE) for found, right in pairs):
        return [f"{result} is right but for the signs of some values."]
    return []


def _by_sum(subject: Subject, result: str, wrong: list[Trial]) -> list[str]:
    """The axes over which the sum is right: the values are only divided among other places."""
    pairs = [(np.asarray(t.outcome.results[result]), t.right[result]) for t in wrong]
    if any(found.shape != right.shape or right.ndim != 4 for found, right in pairs):
        return []
    letters = ["kH", "kW", "C", "F"] if result in subject.operation.filters else list("NHWC")
    for axes in ((0,), (1,), (2,), (3,), (1, 2), (0, 1, 2)):
        sums = [(found.sum(axes), right.sum(axes)) for found, right in pairs]
        if all(is_close(found, right, LOOSE) and right.size > 1 for found, right in sums):
            words = {**WORDS, "kH": "row", "kW": "column"}
            over = " and ".join(f"the {words[letters[a]]}s" for a in axes)
            return [f"The sum of {result} over {over} is right: its values are in other places."]
    return []
