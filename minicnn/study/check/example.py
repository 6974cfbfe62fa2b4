"""The smallest case by hand in which a result is wrong, with the sum that makes the right one."""

import numpy as np

from ...kernels.types import Array
from .case import Case, number
from .judge import SINGLE, is_close
from .report import Example
from .subject import Subject, index_in_layout, to_layout


def smallest(subject: Subject, result: str) -> Example | None:
    """The first small case in which the subject's result is wrong; None if there is none."""
    operation = subject.operation
    for case in filter(subject.accepts, operation.small()):
        outcome = subject.run(case)
        right = operation.truth(case, outcome.results)
        found = outcome.results.get(result)
        if result not in right or found is None or is_close(found, right[result], SINGLE):
            continue
        lines = _setup(subject, case, result)
        if np.shape(found) != np.shape(right[result]):
            shapes = [_shape(subject, result, np.asarray(a)) for a in (right[result], found)]
            lines.append(f"{result} has the shape {shapes[0]}; yours has {shapes[1]}")
            return Example(result, lines)
        with np.errstate(all="ignore"):
            differs = ~(
                np.abs(found - right[result]) <= SINGLE * (np.abs(right[result]).max() or 1)
            )
        index = tuple(int(i) for i in np.argwhere(differs)[0])
        place = index_in_layout(operation, result, index, subject.layout)
        name = f"{result}[{', '.join(map(str, place))}]" if place else result
        value = number(right[result][index])
        terms = operation.terms(case, result, index, right)
        is_sum = terms != value and ", because" not in terms
        lines.append(f"{name} = {terms} = {value}" if is_sum else f"{name} = {terms}")
        lines.append(f"yours: {_safe(found[index])}")
        return Example(result, lines)
    return None


def _safe(value: float) -> str:
    return number(value) if np.isfinite(value) else str(float(value))


def _shape(subject: Subject, name: str, array: Array) -> str:
    return str(to_layout(subject.operation, name, array, subject.layout).shape)


def _setup(subject: Subject, case: Case, result: str) -> list[str]:
    """The inputs as the student sees them; arrays of zero axes and unused dy are left out."""
    arrays = dict(case.arrays)
    if result.startswith("d") and case.output == "y":
        arrays["dy"] = case.dy
    lines = [
        _array(
            "dout" if name == "dy" else name, to_layout(subject.operation, name, a, subject.layout)
        )
        for name, a in arrays.items()
    ]
    settings = {k: v for k, v in case.settings.items() if k not in ("has_ties", "axes", "split")}
    shown = [
        f"{'window' if k == 'kernel' else k} = {_text(v)}"
        for k, v in settings.items()
        if not (k in ("padding",) and v == 0) and not k.startswith("running")
    ]
    if case.output == "y_test" or result.startswith("running"):
        shown += [
            f"{k} = {_text(settings[k])}" for k in ("running_mean", "running_var") if k in settings
        ]
    return lines + ([", ".join(shown)] if shown else [])


def _text(value: object) -> str:
    if isinstance(value, np.ndarray):
        return _rows(value)
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def _array(name: str, array: Array) -> str:
    """`x[0, 0] = [[1 2] [3 4]]`: leading axes of length 1 become an index."""
    leading = 0
    while leading < array.ndim - 1 and array.shape[leading] == 1:
        leading += 1
    place = f"[{', '.join('0' * leading)}]" if leading else ""
    return f"{name}{place} = {_rows(array.reshape(array.shape[leading:]))}"


def _rows(array: Array) -> str:
    if array.ndim == 0:
        return number(array)
    return "[" + " ".join(number(v) if array.ndim == 1 else _rows(v) for v in array) + "]"
