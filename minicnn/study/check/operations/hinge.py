"""The multiclass hinge loss: definition and mistakes."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, number
from .loss import cases, make, of_loss, small
from .loss_parts import one_hot


def _same(scores: Array) -> Array:
    return scores


def _margins(
    c: Case, delta: float = 1.0, own: bool = False, of: Callable[[Array], Array] = _same
) -> Array:
    """The margins; `of` changes the labels' scores `(N, 1)`."""
    right = of(c.x[np.arange(len(c.x)), c.labels][:, None])
    margins = np.maximum(0, c.x - right + delta)
    return margins if own else margins * (1 - one_hot(c))


def _hinge_gradient(c: Case) -> Array:
    over = (_margins(c) > 0).astype(np.float64)
    return over - one_hot(c) * over.sum(axis=1, keepdims=True)


def svm_truth(c: Case, observed: Results) -> Results:
    """The loss and gradient of Weston & Watkins 1999."""
    n = len(c.x)
    return {"loss": np.asarray(_margins(c).sum() / n), "dx": _hinge_gradient(c) / n}


def svm_terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The margins, or the number of classes beyond the margin."""
    margins = _margins(c)
    if result == "loss":
        inside = " + ".join(number(v) for v in margins[1 - one_hot(c) > 0])
        return f"({inside}) / {len(c.x)}"
    n, k = index
    count = int((margins[n] > 0).sum())
    if c.labels[n] == k:
        return f"-{count} / {len(c.x)}, as {count} classes are beyond the margin"
    return f"{int(margins[n, k] > 0)} / {len(c.x)}"


# -- parts: the margins, what is done with them, the divisor ---------------------------------------

MARGINS: dict[str, Callable[[Case], Array]] = {
    "": _margins,
    "the margin of 1 is missing": lambda c: _margins(c, 0),
    "the margin is added after the maximum with 0": lambda c: (
        (_margins(c, 0) + 1) * (1 - one_hot(c))
    ),
    "the margin is -1, not 1": lambda c: _margins(c, -1),
    "the label's own margin is counted, too": lambda c: _margins(c, own=True),
    "the mean of the labels' scores stands for each": lambda c: _margins(c, of=np.mean),
    "the largest of the labels' scores stands for each": lambda c: _margins(c, of=np.max),
    "the sum of the labels' scores stands for each": lambda c: _margins(c, of=np.sum),
    "the first example's label score stands for each": lambda c: _margins(c, of=lambda a: a[:1]),
    "the label's score is added, not subtracted": lambda c: _margins(c, of=np.negative),
    "the largest score stands for the label's": lambda c: (
        np.maximum(0, c.x - c.x.max(1, keepdims=True) + 1) * (1 - one_hot(c))
    ),
}
USES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "": (lambda m: m.sum(), lambda m: (m > 0) * 1.0),
    "the margins are squared": (lambda m: (m**2).sum(), lambda m: 2 * m),
    "only the largest margin of each example counts": (
        lambda m: m.max(axis=1).sum(),
        lambda m: 1.0 * ((m > 0) & (m == m.max(axis=1, keepdims=True))),
    ),
    "the margins are counted, not added": (lambda m: (m > 0).sum(), lambda m: (m > 0) * 1.0),
    "the margin stands where 1 is needed": (lambda m: m.sum(), lambda m: m),
}
LABELS: dict[str, Callable[[Case, Array], Array]] = {
    "": lambda c, over: over - one_hot(c) * over.sum(axis=1, keepdims=True),
    "the label's score gets no gradient": lambda c, over: over,
    "the label's score gets 1 more than its number": lambda c, over: (
        over - one_hot(c) * (over.sum(axis=1, keepdims=True) + 1)
    ),
    "the label's score gets 1 less than its number": lambda c, over: (
        over - one_hot(c) * (over.sum(axis=1, keepdims=True) - 1)
    ),
    "the label's score gets -1": lambda c, over: over - one_hot(c),
    "the label's score gets its number with a plus": lambda c, over: (
        over + one_hot(c) * over.sum(axis=1, keepdims=True)
    ),
    "only the label's score gets a gradient": lambda c, over: (
        -one_hot(c) * over.sum(axis=1, keepdims=True)
    ),
}
DIVISORS: dict[str, Callable[[Case], float]] = {
    "": lambda c: len(c.x),
    "the division by N is missing": lambda c: 1,
    "it is divided by N and by the number of classes": lambda c: c.x.size,
    "it is divided by the number of classes, not by N": lambda c: c.x.shape[1],
    "it is divided by N twice": lambda c: len(c.x) ** 2,
}


def _loss_of(margins: str, use: str, divisor: str, c: Case) -> Array:
    return np.asarray(USES[use][0](MARGINS[margins](c)) / DIVISORS[divisor](c))


def _dx_of(margins: str, use: str, label: str, divisor: str, c: Case) -> Array:
    return LABELS[label](c, USES[use][1](MARGINS[margins](c))) / DIVISORS[divisor](c)


def _parts() -> Iterator[Fault]:
    """One or two wrong parts of the loss, or of dx."""
    advice = "dx[n, k] = [margin > 0] / N, dx[n, label] -= the number of margins > 0, / N."
    for parts in product(MARGINS, USES, LABELS, DIVISORS):
        wrong = [part for part in parts if part]
        if len(wrong) in (1, 2):
            says = "; and ".join(wrong)
            yield Fault(says, says, advice, {"dx": partial(_dx_of, *parts)})
    for three in product(MARGINS, USES, DIVISORS):
        wrong = [part for part in three if part]
        if len(wrong) in (1, 2):
            says = "; and ".join(wrong)
            yield Fault(
                says, says, "Sum the margins, divide by N.", {"loss": partial(_loss_of, *three)}
            )


def _terms_of_dx(c: Case) -> dict[str, Array]:
    n, over = len(c.x), (_margins(c) > 0).astype(np.float64)
    count = one_hot(c) * over.sum(axis=1, keepdims=True)
    return {"1 / N beyond the margin": over / n, "the count / N at the label": -count / n}


SVM_LOSS = Operation(
    name="svm_loss",
    title="multiclass hinge loss",
    source="Weston & Watkins 1999",
    formulas={
        "loss": "loss = 1/N * sum_n sum_{k != label} max(0, x[n, k] - x[n, label] + 1)",
        "dx": "dx[n, k] = [margin > 0] / N,  dx[n, label] = -(number of margins > 0) / N",
    },
    cases=cases,
    small=lambda: [make(c.x + 0.25 * np.arange(c.x.shape[1]), c.labels) for c in small()[:4]],
    truth=svm_truth,
    terms=svm_terms,
    sums={"dx": {"": _terms_of_dx}},
    gradients=("dx",),
    more=tuple(_parts()),
    faults=(
        Fault(
            "label counted",
            "the label's own margin is counted, too: each example adds 1",
            "Leave out k = label: set its margin to 0.",
            of_loss(lambda c: _margins(c, own=True).sum() / len(c.x)),
        ),
        Fault(
            "sum for mean",
            "the loss is a sum over the batch, not a mean",
            "Divide by N, in the loss and in dx.",
            of_loss(lambda c: _margins(c).sum()),
        ),
        Fault(
            "no margin",
            "the margin of 1 is missing",
            "max(0, x[k] - x[label] + 1).",
            of_loss(lambda c: _margins(c, 0).sum() / len(c.x)),
        ),
        Fault(
            "without 1/N",
            "the division by N is missing in dx",
            "The loss is a mean: dx /= N.",
            {"dx": _hinge_gradient},
        ),
        Fault(
            "label not subtracted",
            "the label's score gets no gradient",
            "dx[n, label] -= the number of classes beyond the margin.",
            {"dx": lambda c: (_margins(c) > 0) / len(c.x)},
        ),
        Fault(
            "label subtracted once",
            "the label's score gets -1 instead of minus the number of classes beyond the margin",
            "dx[n, label] -= the number of classes beyond the margin.",
            {"dx": lambda c: ((_margins(c) > 0) - one_hot(c)) / len(c.x)},
        ),
    ),
)
