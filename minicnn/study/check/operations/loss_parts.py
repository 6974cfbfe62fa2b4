"""Mistakes in one or two parts of softmax cross-entropy: the probabilities, the label, the divisor.

loss = sum_n -log p[n, label[n]] / N,  dx = (p - onehot(labels)) / N
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault

Part = tuple[str, Callable[[Case], Array]]  # what is wrong, and the numbers


def _exp(c: Case, axis: int | None = 1) -> Array:
    return np.exp(c.x - c.x.max(axis=axis, keepdims=True))


def one_hot(c: Case) -> Array:
    """1 at the labels."""
    return (np.arange(c.x.shape[1]) == c.labels[:, None]).astype(np.float64)


def _over(c: Case, divisor: Callable[[Array], Array]) -> Array:
    e = _exp(c)
    return e / divisor(e)[:, None]


def _at_label(c: Case, value: Array | float) -> Array:
    return np.asarray(one_hot(c) * value)


def _diagonal(c: Case) -> Array:
    n, k = c.x.shape
    return np.asarray(np.arange(n)[:, None] % k == np.arange(k)).astype(np.float64)


_softmax = reference.softmax


def _probability(c: Case, labels: Array) -> Array:
    return np.asarray(_softmax(c.x)[np.arange(len(c.x)), labels])


PROBABILITIES: tuple[Part, ...] = (
    ("exp(x) is not divided by its sum", _exp),
    ("softmax sums over the batch, not over the classes", lambda c: _softmax(c.x.T).T),
    ("softmax sums over the batch and the classes", lambda c: _exp(c, None) / _exp(c, None).sum()),
    (
        "softmax sums over the batch, not over the classes, and the maxima are those of the rows",
        lambda c: _exp(c) / _exp(c).sum(0),
    ),
    (
        "the maximum is subtracted in the numerator only",
        lambda c: _exp(c) / np.exp(c.x).sum(1, keepdims=True),
    ),
    ("exp(x) is divided by its mean, not by its sum", lambda c: _over(c, lambda e: e.mean(1))),
    ("exp(x) is divided by N, not by its sum", lambda c: _exp(c) / len(c.x)),
    (
        "the label's probability stands in every column",
        lambda c: np.ones_like(c.x) * _probability(c, c.labels)[:, None],
    ),
    ("exp(-x) stands where exp(x) is needed", lambda c: _softmax(-c.x)),
    ("the logarithm of p stands where p is needed", lambda c: np.log(_softmax(c.x))),
    ("the scores stand where probabilities are needed", lambda c: c.x),
)
LABELS: tuple[Part, ...] = (
    ("p at the label is subtracted, not 1", lambda c: _at_label(c, _softmax(c.x))),
    ("dx at the label is set to -1, not reduced by 1", lambda c: _at_label(c, 1 + _softmax(c.x))),
    ("dx at the label is set to 1, not reduced by 1", lambda c: _at_label(c, _softmax(c.x) - 1)),
    ("the 1 at the label is not subtracted", lambda c: _at_label(c, 0)),
    ("the 1 at the label is added", lambda c: _at_label(c, -1)),
    ("1 is subtracted at the class before the label", lambda c: np.roll(one_hot(c), -1, axis=1)),
    ("1 is subtracted at the class after the label", lambda c: np.roll(one_hot(c), 1, axis=1)),
    ("1 is subtracted everywhere, not only at the label", lambda c: np.ones_like(c.x)),
    (
        "1 is subtracted in the labels' columns of all examples: dx[:, labels] -= 1",
        lambda c: np.ones_like(c.x) * one_hot(c).max(0),
    ),
    ("1 is subtracted at column n of example n, not at its label", _diagonal),
    (
        "1 is subtracted at the first example's label in every example",
        lambda c: np.ones_like(c.x) * one_hot(c)[:1],
    ),
)
DIVISORS: tuple[Part, ...] = (
    ("the division by N is missing", lambda c: np.ones(())),
    ("it is divided by the number of classes, not by N", lambda c: np.asarray(c.x.shape[1])),
    ("it is divided by N twice", lambda c: np.asarray(len(c.x) ** 2)),
    ("it is divided by N and by the number of classes", lambda c: np.asarray(c.x.size)),
)
ADVICE = "p = exp(x) / sum(exp(x)) in each row; dx = p; dx[np.arange(N), labels] -= 1; dx /= N."
LOSS_ADVICE = "loss = -log(p[np.arange(N), labels]).sum() / N, with p = exp(x) / sum(exp(x))."


def _dx(p: Part | None, label: Part | None, divisor: Part | None, c: Case) -> Array:
    return np.asarray(
        ((p[1](c) if p else reference.softmax(c.x)) - (label[1](c) if label else one_hot(c)))
        / (divisor[1](c) if divisor else len(c.x))
    )


def _loss(p: Part | None, divisor: Part | None, c: Case) -> Array:
    logs = -np.log((p[1] if p else lambda c: _softmax(c.x))(c)[np.arange(len(c.x)), c.labels])
    return np.asarray(logs.sum() / (divisor[1](c) if divisor else len(c.x)))


def _one_example(which: int, mean: bool, c: Case) -> Array:
    log = np.log(reference.softmax(c.x)[which, c.labels[which]])
    return np.asarray(-log / (len(c.x) if mean else 1))


def _entropy(p: Array) -> Array:
    return np.asarray(-(p * np.log(p)).mean())


LOSSES: tuple[Part, ...] = (
    (
        "the first example's label is used for every example",
        lambda c: -np.log(_probability(c, c.labels[0])).mean(),
    ),
    (
        "the class before the label is used: the labels are off by one",
        lambda c: -np.log(_probability(c, c.labels - 1)).mean(),
    ),
    (
        "the class after the label is used: the labels are off by one",
        lambda c: -np.log(_probability(c, (c.labels + 1) % c.x.shape[1])).mean(),
    ),
    (
        "the labels' columns of all examples are averaged: log_p[:, labels]",
        lambda c: -np.log(_softmax(c.x))[:, c.labels].mean(),
    ),
    (
        "it is the mean over all classes, not the value at the label",
        lambda c: -np.log(_softmax(c.x)).mean(),
    ),
    (
        "it is the mean of 1 - p: the logarithm is missing",
        lambda c: 1 - _probability(c, c.labels).mean(),
    ),
    (
        "the logarithm is taken after the mean: -log(mean(p))",
        lambda c: -np.log(_probability(c, c.labels).mean()),
    ),
    (
        "the largest probability is used, not that of the label",
        lambda c: -np.log(_softmax(c.x).max(axis=1)).mean(),
    ),
    (
        "1 - p stands in the logarithm instead of p",
        lambda c: -np.log(1 - _probability(c, c.labels)).mean(),
    ),
    (
        "p is multiplied by its logarithm: that is an entropy",
        lambda c: _entropy(_probability(c, c.labels)),
    ),
    (
        "it is the squared distance of p from the label's 1, not a logarithm",
        lambda c: ((_softmax(c.x) - one_hot(c)) ** 2).sum(1).mean(),
    ),
    (
        "it is the mean of (p - onehot)**2 over all classes, not a logarithm",
        lambda c: ((_softmax(c.x) - one_hot(c)) ** 2).mean(),
    ),
    (
        "the score of the label is subtracted only: the logarithm of the sum is missing",
        lambda c: -c.x[np.arange(len(c.x)), c.labels].mean(),
    ),
)


# loss = (a - b) / N, a from the scores minus their maximum, b from the label's
LOGS: tuple[Part, ...] = (
    ("", lambda c: np.log(_exp(c).sum(1))),
    ("the sum of exp starts at 1, not at 0", lambda c: np.log(1 + _exp(c).sum(1))),
    ("the logarithm is that of the mean of exp", lambda c: np.log(_exp(c).mean(1))),
    ("the logarithm of the sum is missing", lambda c: _exp(c).sum(1)),
    ("the sum leaves out the label", lambda c: np.log((_exp(c) * (1 - one_hot(c))).sum(1))),
    ("the maximum is not subtracted in the sum of exp", lambda c: np.log(np.exp(c.x).sum(1))),
    ("the logarithm of the sum is not there", lambda c: np.zeros(len(c.x))),
)
SCORES: tuple[Part, ...] = (
    ("", lambda c: _label_score(c) - c.x.max(1)),
    ("the maximum is not subtracted from the label's score", lambda c: _label_score(c)),
    ("the label's score is added, not subtracted", lambda c: c.x.max(1) - _label_score(c)),
    ("the label's score is not subtracted", lambda c: np.zeros(len(c.x))),
    ("the score of the first class stands for the label's", lambda c: c.x[:, 0] - c.x.max(1)),
    ("exp of the label's score is subtracted", lambda c: np.exp(_label_score(c) - c.x.max(1))),
)


def _label_score(c: Case) -> Array:
    return np.asarray(c.x[np.arange(len(c.x)), c.labels])


def _difference(log: Part, score: Part, c: Case) -> Array:
    return np.asarray((log[1](c) - score[1](c)).mean())


def part_faults() -> Iterator[Fault]:
    """One part of dx or of the loss is wrong, or two."""
    for p in (*PROBABILITIES, None):
        for label in (*LABELS, None):
            for divisor in (*DIVISORS, None):
                wrong = [part[0] for part in (p, label, divisor) if part]
                if len(wrong) in (1, 2):
                    says = "; and ".join(wrong)
                    yield Fault(says, says, ADVICE, {"dx": partial(_dx, p, label, divisor)})
    in_every_column = PROBABILITIES[[p[0][:11] for p in PROBABILITIES].index("the label's")]
    for p in (None, *PROBABILITIES):
        for divisor in (None, *DIVISORS):
            says = "; and ".join(part[0] for part in (p, divisor) if part)
            if not says or p is in_every_column:  # of which the loss reads the label's only
                continue
            yield Fault(says, says, LOSS_ADVICE, {"loss": partial(_loss, p, divisor)})
    for says, loss in LOSSES:
        yield Fault(says, says, LOSS_ADVICE, {"loss": loss})
    for log, score in list(product(LOGS, SCORES))[1:]:
        says = "; and ".join(part[0] for part in (log, score) if part[0])
        yield Fault(says, says, LOSS_ADVICE, {"loss": partial(_difference, log, score)})
    for which, name in ((-1, "last"), (0, "first")):
        for mean in (True, False):
            says = f"only the {name} example counts"
            forms = {"loss": partial(_one_example, which, mean)}
            yield Fault(says, f"{says}: sum over the batch", LOSS_ADVICE, forms)
