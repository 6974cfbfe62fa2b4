"""Losses: terms per image and class, and the gradient: softmax minus label."""

import numpy as np

from ...kernels.reference import activation, loss
from ...training.losses import BinaryCrossEntropy, MAPLoss, MeanSquaredError, SoftmaxCrossEntropy
from ..trace import LossRecord
from .explanation import Factor, Index, Parts, Read
from .table import explains
from .terms import Column, constant, element, elements, flat, number, products, term_of


@explains(SoftmaxCrossEntropy, what="y")
def cross_entropy(record: LossRecord, index: Index) -> Parts:
    """The classes with a target of 0 have no term."""
    targets = _targets(record)
    probabilities = loss.softmax(_outputs(record))
    n, c = np.nonzero(targets)
    logarithms = _log_softmax(record)
    return Parts(
        "loss = Σ(n,c) target[n,c] · -log softmax(x)[n,c] / N",
        products(
            elements("target", targets, n, c),
            elements("-log softmax(x)", -logarithms, n, c),
            constant(f"1/{len(probabilities)}", 1 / len(probabilities)),
        ),
        loss.softmax_cross_entropy,
        reads=_read(record, index),
        note=_smoothing(record),
    )


@explains(SoftmaxCrossEntropy, what="dx")
def softmax_minus_label(record: LossRecord, index: Index) -> Parts:
    """The probability minus the target."""
    targets = _targets(record)
    count = number(f"1/{len(targets)}", 1 / len(targets))
    total = float(targets[index[0]].sum())
    of_row = [] if record.layer.class_weights is None else [number("Σ(k) target[n,k]", total)]
    formula = "(softmax(x)[n,c] - target[n,c]) / N"
    if of_row:
        formula = "(softmax(x)[n,c] · Σ(k) target[n,k] - target[n,c]) / N"
    return Parts(
        f"dx[n,c] = {formula}{_weighted(record)}",
        [
            term_of(_softmax(record, index), *of_row, count, *_factor(record)),
            term_of(Factor("-target", index, -float(targets[index])), count, *_factor(record)),
        ],
        loss.softmax_cross_entropy,
        reads=_read(record, index),
        note=" ".join(filter(None, (_label(record, index), _smoothing(record)))),
    )


@explains(MeanSquaredError, what="y")
def squared_error(record: LossRecord, index: Index) -> Parts:
    """The squared differences of all elements."""
    x, targets = _outputs(record), _targets(record)
    difference = elements("x - target", x - targets, *_all(x))
    return Parts(
        "loss = Σ(n,c) (x[n,c] - target[n,c])² / (N·K)",
        products(difference, difference, constant(f"1/{x.size}", 1 / x.size)),
        loss.mean_squared_error,
        reads=_read(record, index),
    )


@explains(MeanSquaredError, what="dx")
def twice_the_error(record: LossRecord, index: Index) -> Parts:
    """The difference, doubled."""
    share = number(f"2/{record.x.size}", 2 / record.x.size)
    return Parts(
        f"dx[n,c] = 2 (x[n,c] - target[n,c]) / (N·K){_weighted(record)}",
        [
            term_of(element("x", record.x, index), share, *_factor(record)),
            term_of(_minus_target(record, index), share, *_factor(record)),
        ],
        loss.mean_squared_error,
        reads=_read(record, index),
    )


@explains(BinaryCrossEntropy, what="y")
def binary_cross_entropy(record: LossRecord, index: Index) -> Parts:
    """One term per image and class."""
    x, targets = _outputs(record), _targets(record)
    losses = np.maximum(x, 0) - x * targets + np.log1p(np.exp(-abs(x)))
    return Parts(
        "loss = Σ(n,c) (-t log p - (1 - t) log(1 - p)) / (N·K), p = sigmoid(x[n,c])",
        products(elements("loss", losses, *_all(x)), constant(f"1/{x.size}", 1 / x.size)),
        loss.binary_cross_entropy,
        reads=_read(record, index),
    )


@explains(BinaryCrossEntropy, what="dx")
def sigmoid_minus_label(record: LossRecord, index: Index) -> Parts:
    """The probability of the class minus the target."""
    p = float(activation.sigmoid(_outputs(record)[index][None])[0])
    share = number(f"1/{record.x.size}", 1 / record.x.size)
    return Parts(
        f"dx[n,c] = (sigmoid(x)[n,c] - target[n,c]) / (N·K){_weighted(record)}",
        [
            term_of(Factor("sigmoid(x)", index, p), share, *_factor(record)),
            term_of(_minus_target(record, index), share, *_factor(record)),
        ],
        loss.binary_cross_entropy,
        reads=_read(record, index),
    )


@explains(MAPLoss, what="y")
def posterior(record: LossRecord, index: Index) -> Parts:
    """The distance to the code of the label, and the logarithm of the competition."""
    x, rows = _outputs(record), np.arange(len(record.x))
    share = constant(f"1/{len(x)}", 1 / len(x))
    logarithms = np.log(_competition(record))
    return Parts(
        "loss = Σ(n) (x[n,label] + log(exp(-j) + Σ(k) exp(-x[n,k]))) / N",
        [
            *products(elements("x", x, rows, record.labels), share),
            *products(Column("log(...)", rows[:, None], logarithms), share),
        ],
        loss.map_loss,
        reads=_read(record, index),
    )


@explains(MAPLoss, what="dx")
def label_minus_posterior(record: LossRecord, index: Index) -> Parts:
    """1 for the label, minus the share of the class."""
    n, c = index
    share = np.exp(-float(record.x[index])) / float(_competition(record)[n])
    count = number(f"1/{len(record.x)}", 1 / len(record.x))
    is_label = float(record.labels[n] == c)
    return Parts(
        "dx[n,c] = ([c = label] - exp(-x[n,c]) / (exp(-j) + Σ(k) exp(-x[n,k]))) / N"
        + _weighted(record),
        [
            term_of(number("[c = label]", is_label), count, *_factor(record)),
            term_of(Factor("-exp(-x)/(...)", index, -share), count, *_factor(record)),
        ],
        loss.map_loss,
        reads=_read(record, index),
        note=_label(record, index),
    )


def _outputs(record: LossRecord) -> np.ndarray:
    return record.x.astype(np.float64)


def _read(record: LossRecord, index: Index) -> tuple[Read, ...]:
    """The outputs of one image; of all images for the loss itself."""
    n, classes = record.x.shape
    rows = (index[0], index[0] + 1) if index else (0, n)
    return (Read(record.path, "x", (rows, (0, classes))),)


def _all(x: np.ndarray) -> list[np.ndarray]:
    return flat(*(np.arange(size) for size in x.shape))


def _targets(record: LossRecord) -> np.ndarray:
    """The targets `(N, K)`, smoothed and weighted as the loss has it."""
    smoothing = getattr(record.layer, "label_smoothing", 0.0)
    weights = getattr(record.layer, "class_weights", None)
    own = None if weights is None else np.array(weights)
    return loss.smoothed_targets(_outputs(record), record.labels, own, smoothing)


def _log_softmax(record: LossRecord) -> np.ndarray:
    x = _outputs(record)
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _softmax(record: LossRecord, index: Index) -> Factor:
    row = loss.softmax(_outputs(record)[index[0]])
    return Factor("softmax(x)", index, float(row[index[1]]))


def _minus_target(record: LossRecord, index: Index) -> Factor:
    return Factor("-target", index, -float(_targets(record)[index]))


def _competition(record: LossRecord) -> np.ndarray:
    """`exp(-j) + Σ(k) exp(-x[n,k])`, `(N,)`."""
    return np.exp(-record.layer.j) + np.exp(-_outputs(record)).sum(axis=1)


def _factor(record: LossRecord) -> list[Factor]:
    """The weight of an auxiliary classifier's loss."""
    return [] if record.factor == 1 else [number("weight of the head", record.factor)]


def _weighted(record: LossRecord) -> str:
    return "" if record.factor == 1 else f" · {record.factor:g}"


def _label(record: LossRecord, index: Index) -> str:
    if record.labels.ndim != 1:
        return ""
    label = int(record.labels[index[0]])
    return f"Image {index[0]} has the label {label}."


def _smoothing(record: LossRecord) -> str:
    smoothing, weights = record.layer.label_smoothing, record.layer.class_weights
    parts = [f"The targets are smoothed by {smoothing:g}."] if smoothing else []
    parts += ["The targets are multiplied by the weights of the classes."] if weights else []
    return " ".join(parts)
