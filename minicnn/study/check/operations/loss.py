"""Softmax cross-entropy: definition, cases, mistakes.

The loss is a mean over the batch; it has no upstream gradient.
"""

from collections.abc import Callable

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, number
from .loss_parts import one_hot, part_faults


def make(x: Array, labels: Array) -> Case:
    """A case of scores and labels."""
    return Case({"x": x}, {"labels": labels}, np.ones(()), "loss")


def cases(generator: np.random.Generator) -> list[Case]:
    """Scores of several sizes."""
    return [
        make(scale * generator.standard_normal((n, k)), generator.integers(0, k, n))
        for n, k, scale in ((5, 4, 1), (3, 6, 3), (1, 3, 1), (4, 2, 2))
    ]


def softmax_cases(generator: np.random.Generator) -> list[Case]:
    """The same, and scores at which exp overflows."""
    x = np.array([[1000.0, 998.0, 999.5], [-1000.0, -1001.0, -999.0]])
    return [*cases(generator), make(x, np.array([1, 2]))]


def small() -> list[Case]:
    """Two or three classes, scores that are small integers."""
    return [
        make(np.array([[0.0, 0.0]]), np.array([0])),
        make(np.array([[2.0, 1.0]]), np.array([1])),
        make(np.array([[0.0, 0.0], [1.0, 3.0]]), np.array([0, 0])),
        make(np.array([[2.0, 1.0, 3.0], [0.0, 4.0, 1.0]]), np.array([0, 2])),
        make(np.array([[1000.0, 999.0]]), np.array([0])),
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


def of_loss(form: Callable[[Case], object]) -> dict:
    """The form as one of the loss."""
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


def _terms_of_dx(c: Case) -> dict[str, Array]:
    n = len(c.x)
    return {"p / N": reference.softmax(c.x) / n, "onehot(labels) / N": -one_hot(c) / n}


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
    sums={"dx": {"": _terms_of_dx}},
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
            of_loss(lambda c: _logs(c).sum()),
        ),
        Fault(
            "divided twice",
            "it is divided by N twice",
            "Divide by N once.",
            of_loss(lambda c: _logs(c).mean() / len(c.x))
            | _gradient(lambda c, p, t: (p - t) / len(p) ** 2),
        ),
        Fault(
            "sign",
            "the sign is wrong: the logarithm of a probability is negative",
            "loss = -log(p[label]).",
            of_loss(lambda c: -_logs(c).mean()),
        ),
        Fault(
            "base",
            "the logarithm has the base 2",
            "Use the natural logarithm, np.log.",
            of_loss(lambda c: _logs(c).mean() / np.log(2)),
        ),
        Fault(
            "base",
            "the logarithm has the base 10",
            "Use the natural logarithm, np.log.",
            of_loss(lambda c: _logs(c).mean() / np.log(10)),
        ),
        Fault(
            "no logarithm",
            "it is the mean of 1 - p or of p: the logarithm is missing",
            "loss = -log(p[label]).",
            of_loss(lambda c: np.exp(-_logs(c)).mean()),
        ),
        Fault(
            "all classes",
            "the logarithms of all classes are added, not only that of the label",
            "Only the probability of the label enters: p[np.arange(N), labels].",
            of_loss(lambda c: -np.log(reference.softmax(c.x)).sum() / len(c.x)),
        ),
        Fault(
            "all classes",
            "the mean is taken over the logarithms of all classes, not only those of the labels",
            "Only the probability of the label enters: p[np.arange(N), labels].",
            of_loss(lambda c: -np.log(reference.softmax(c.x)).mean()),
        ),
        Fault(
            "mean over classes",
            "the mean runs over the classes, too",
            "Divide by N only.",
            of_loss(lambda c: _logs(c).sum() / c.x.size),
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
