"""Losses: a plain function is one."""

import numpy as np
import pytest

import minicnn
from minicnn import training
from minicnn.errors import ShapeError
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training.losses import check_labels, labels_checked, probabilities_of

X = np.random.default_rng(0).random((32, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(32) % 3


def run(**options):
    minicnn.seed(0)
    model = Sequential(Flatten(), Linear(16, 3))
    history = training.fit(
        model, (X, LABELS), (X, LABELS), epochs=2, batch_size=8, progress=False, **options
    )
    return model, history


def test_a_plain_function():
    expected, whole = run()
    model, history = run(loss=minicnn.softmax_cross_entropy)
    np.testing.assert_array_equal(model[1].weight.value, expected[1].weight.value)
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert history.column(name) == whole.column(name)


class Hinge:
    """Two classes from one output: its sign."""

    def __call__(self, outputs, labels):
        sign = (2.0 * labels - 1).astype(np.float32)[:, None]
        margin = 1 - sign * outputs
        return np.maximum(margin, 0).mean(), np.where(margin > 0, -sign, 0) / len(labels)

    def probabilities(self, outputs):
        p = 1 / (1 + np.exp(-outputs))
        return np.concatenate([1 - p, p], axis=1)


def test_a_loss_with_its_own_probabilities():
    """The classes are those of `probabilities`, however many outputs there are."""
    x = X.copy()
    x[::2] -= 1
    model = Sequential(Flatten(), Linear(16, 1))
    history = training.fit(model, (x, np.arange(32) % 2), epochs=20, loss=Hinge(), progress=False)
    assert history.rows[-1]["train_accuracy"] == 1.0


def test_probabilities_of_logits():
    logits = np.array([[0.0, np.log(3.0)]])
    np.testing.assert_allclose(
        probabilities_of(minicnn.softmax_cross_entropy, logits), [[0.25, 0.75]]
    )
    auxiliary = probabilities_of(minicnn.softmax_cross_entropy, (logits, -logits))
    np.testing.assert_allclose(auxiliary, [[0.25, 0.75]])


def test_labels_on_the_host_are_always_checked():
    with labels_checked(), pytest.raises(ShapeError, match="labels run from 0 to 3"):
        check_labels(np.zeros((2, 3)), np.array([0, 3]))
