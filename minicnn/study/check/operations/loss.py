"""Softmax cross-entropy and the multiclass hinge loss: definition, cases, mistakes.

The loss is a mean over the batch; it has no upstream gradient.
"""

from collections.abc import Callable

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, number
from .loss_parts import one_hot, part_faults


def _case(x: Array, labels: Array) -> Case:
    return Case({"x": x}, {"labels": labels}, np.ones(()), "loss")


def cases(generator: np.random.Generator) -> list[Case]:
    """Scores of several sizes."""
    return [
        _case(scale * generator.standard_normal((n, k)), generator.integers(0, k, n))
        for n, k, scale in ((5, 4, 1), (3, 6, 3), (1, 3, 1), (4, 2, 2))
    ]


def softmax_cases(generator: np.random.Generator) -> list[Case]:
    """The same, and scores at which exp overflows."""
    x = np.array([[1000.0, 998.0, 999.5], [-1000.0, -1001.0, -999.0]])
    return [*cases(generator), _case(x, np.array([1, 2]))]


def small() -> list[Case]:
    """Two or three classes, scores that are small integers."""
    return [
        _case(np.array([[0.0, 0.0]]), np.array([0])),
        _case(np.array([[2.0, 1.0]]), np.array([1])),
        _case(np.array([[0.0, 0.0], [1.0, 3.0]]), np.array([0, 0])),
        _case(np.array([[2.0, 1.0, 3.0], [0.0, 4.0, 1.0]]), np.array([0, 2])),
        _case(np.array([[1000.0, 999.0]]), np.array([0])),
    ]


def truth(c: Case, observed: Results) -> Results:
    """The reference's loss and gradient."""
    loss, dx = reference.softmax_cross_entropy(c.x, c.labels)
    return {"loss": np.asarray(loss), "dx": dx}


def _logs(c: Case) -> Array:
    """-log of the probability of each label."""
    return -np.log(reference.softmax(c.x)[np.arange(len(c.x)), c.labels])


def terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The probabilities that make the loss, or one element of dx."""
    p = reference.softmax(c.x)
    if result == "loss":
        inside = " + ".join(f"-log({number(row[k])})" for row, k in zip(p, c.labels, strict=True))
        return f"({inside}) / {len(p)}"
    n, k = index
    label = " - 1" if c.labels[n] == k else ""
    return f"(softmax {number(p[n, k])}{label}) / {len(p)}"


def _mean(c: Case) -> float:
    return float(truth(c, {})["loss"])


def _gradient(form: Callable[[Case, Array, Array], Array]) -> dict:
    return {"dx": lambda c: form(c, reference.softmax(c.x), one_hot(c))}


def _loss(form: Callable[[Case], object]) -> dict:
    return {"loss": lambda c: np.asarray(form(c))}


def _overflowing(c: Case) -> Array:
    with np.errstate(all="ignore"):
        e = np.exp(c.x)
        return e / e.sum(axis=1, keepdims=True)


def _overflowing_logs(c: Case) -> Array:
    """log p as x - log(sum(exp(x))), without the shift."""
    with np.errstate(all="ignore"):
        return c.x - np.log(np.exp(c.x).sum(axis=1, keepdims=True))


_SHIFT = (
    "overflow",
    "exp overflows or vanishes for large scores, and the result is not a number",
    "Subtract the largest score of each row first: x - x.max(axis=1, keepdims=True).",
)


def _of_labels(c: Case, logs: Array) -> Array:
    return np.asarray(-logs[np.arange(len(c.x)), c.labels].mean())


SOFTMAX_LOSS = Operation(
    name="softmax_loss",
    title="softmax cross-entropy",
    source="minicnn.kernels.reference.loss",
    formulas={
        "loss": "loss = 1/N * sum_n -log softmax(x[n])[label[n]]",
        "dx": "dx = (softmax(x) - onehot(labels)) / N",
    },
    cases=softmax_cases,
    small=small,
    truth=truth,
    terms=terms,
    gradients=("dx",),
    more=tuple(part_faults()),
    faults=(
        Fault(
            *_SHIFT,
            {
                "loss": lambda c: _of_labels(c, np.log(_overflowing(c))),
                "dx": lambda c: (_overflowing(c) - one_hot(c)) / len(c.x),
            },
        ),
        Fault(
            *_SHIFT,
            {
                "loss": lambda c: _of_labels(c, _overflowing_logs(c)),
                "dx": lambda c: (np.exp(_overflowing_logs(c)) - one_hot(c)) / len(c.x),
            },
        ),
        Fault(
            "sum for mean",
            "the loss is a sum over the batch, not a mean",
            "Divide by N, in the loss and in dx.",
            _loss(lambda c: _logs(c).sum()),
        ),
        Fault(
            "divided twice",
            "it is divided by N twice",
            "Divide by N once.",
            _loss(lambda c: _logs(c).mean() / len(c.x))
            | _gradient(lambda c, p, t: (p - t) / len(p) ** 2),
        ),
        Fault(
            "sign",
            "the sign is wrong: the logarithm of a probability is negative",
            "loss = -log(p[label]).",
            _loss(lambda c: -_logs(c).mean()),
        ),
        Fault(
            "base",
            "the logarithm has the base 2",
            "Use the natural logarithm, np.log.",
            _loss(lambda c: _logs(c).mean() / np.log(2)),
        ),
        Fault(
            "base",
            "the logarithm has the base 10",
            "Use the natural logarithm, np.log.",
            _loss(lambda c: _logs(c).mean() / np.log(10)),
        ),
        Fault(
            "no logarithm",
            "it is the mean of 1 - p or of p: the logarithm is missing",
            "loss = -log(p[label]).",
            _loss(lambda c: np.exp(-_logs(c)).mean()),
        ),
        Fault(
            "all classes",
            "the logarithms of all classes are added, not only that of the label",
            "Only the probability of the label enters: p[np.arange(N), labels].",
            _loss(lambda c: -np.log(reference.softmax(c.x)).sum() / len(c.x)),
        ),
        Fault(
            "all classes",
            "the mean is taken over the logarithms of all classes, not only those of the labels",
            "Only the probability of the label enters: p[np.arange(N), labels].",
            _loss(lambda c: -np.log(reference.softmax(c.x)).mean()),
        ),
        Fault(
            "mean over classes",
            "the mean runs over the classes, too",
            "Divide by N only.",
            _loss(lambda c: _logs(c).sum() / c.x.size),
        ),
        Fault(
            "label not subtracted",
            "the 1 at the label is not subtracted",
            "dx[n, label] -= 1, before the division by N.",
            _gradient(lambda c, p, t: p / len(p)),
        ),
        Fault(
            "without 1/N",
            "the division by N is missing in dx",
            "The loss is a mean: dx /= N.",
            _gradient(lambda c, p, t: p - t),
        ),
        Fault(
            "1 after the division",
            "the 1 at the label is subtracted after the division by N",
            "Subtract first, then divide both by N.",
            _gradient(lambda c, p, t: p / len(p) - t),
        ),
        Fault(
            "division of the 1 only",
            "only the 1 at the label is divided by N",
            "Subtract first, then divide both by N.",
            _gradient(lambda c, p, t: p - t / len(p)),
        ),
        Fault(
            "label added",
            "the 1 at the label is added",
            "dx[n, label] -= 1.",
            _gradient(lambda c, p, t: (p + t) / len(p)),
        ),
        Fault(
            "only the label",
            "only the label's score has a gradient",
            "The other scores enter through the denominator of softmax.",
            _gradient(lambda c, p, t: t * (p - 1) / len(p)),
        ),
        Fault(
            "derivative of softmax",
            "p * (1 - p) is the derivative of softmax itself, without the logarithm",
            "With the logarithm it simplifies to p - onehot.",
            _gradient(lambda c, p, t: p * (1 - p) / len(p)),
        ),
    ),
)


# -- multiclass hinge loss -------------------------------------------------------------------------


def _margins(c: Case, delta: float = 1.0, own: bool = False) -> Array:
    right = c.x[np.arange(len(c.x)), c.labels][:, None]
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


SVM_LOSS = Operation(
    name="svm_loss",
    title="multiclass hinge loss",
    source="Weston & Watkins 1999",
    formulas={
        "loss": "loss = 1/N * sum_n sum_{k != label} max(0, x[n, k] - x[n, label] + 1)",
        "dx": "dx[n, k] = [margin > 0] / N,  dx[n, label] = -(number of margins > 0) / N",
    },
    cases=cases,
    small=lambda: [_case(c.x + 0.25 * np.arange(c.x.shape[1]), c.labels) for c in small()[:4]],
    truth=svm_truth,
    terms=svm_terms,
    gradients=("dx",),
    faults=(
        Fault(
            "label counted",
            "the label's own margin is counted, too: each example adds 1",
            "Leave out k = label: set its margin to 0.",
            _loss(lambda c: _margins(c, own=True).sum() / len(c.x)),
        ),
        Fault(
            "sum for mean",
            "the loss is a sum over the batch, not a mean",
            "Divide by N, in the loss and in dx.",
            _loss(lambda c: _margins(c).sum()),
        ),
        Fault(
            "no margin",
            "the margin of 1 is missing",
            "max(0, x[k] - x[label] + 1).",
            _loss(lambda c: _margins(c, 0).sum() / len(c.x)),
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
