"""Explanations for a training that goes wrong."""

import numpy as np
import pytest

from minicnn import layers, training
from minicnn.data import Dataset
from minicnn.training.diagnose import never_predicted
from minicnn.training.metrics import Evaluation


def evaluation(confusion):
    confusion = np.array(confusion)
    accuracy = float(confusion.trace() / confusion.sum())
    return Evaluation(0.0, accuracy, None, confusion, tuple("abcdefgh"[: len(confusion)]))


def test_a_class_that_is_never_predicted():
    sentence = never_predicted(evaluation([[40, 0, 0], [10, 0, 30], [2, 0, 38]]))
    assert sentence is not None
    assert "never predicts b, though" in sentence


def test_several_classes():
    confusion = np.diag([900] + [0] * 7)
    confusion[1:, 0] = 50
    sentence = never_predicted(evaluation(confusion))
    assert sentence is not None
    assert "never predicts b, c, d, e, f and 2 more, though" in sentence


@pytest.mark.parametrize(
    "confusion",
    [
        [[40, 0, 0], [10, 1, 30], [2, 0, 38]],  # each is predicted
        [[40, 0, 0], [10, 0, 5], [2, 0, 38]],  # few images of b
        [[40, 0, 0], [40, 0, 0], [40, 0, 0]],  # nothing is learned yet
    ],
)
def test_no_warning(confusion):
    assert never_predicted(evaluation(confusion)) is None


def test_fit_names_the_class_whose_unit_has_died():
    """Of three gray levels; the ReLU at the end gives 0 for the second one."""
    labels = np.arange(240) % 3
    images = np.repeat(labels - 1.0, 4).reshape(-1, 2, 2, 1).astype(np.float32)
    gray = Dataset(images, labels, ("dark", "medium", "bright"))
    model = layers.Sequential(
        flatten=layers.Flatten(), linear=layers.Linear(4, 3, activation="relu")
    )
    model.linear.weight.value[...] = [[-1, 0, 1]]
    model.linear.bias.value[...] = [0, -1, 0]
    with pytest.warns(UserWarning, match="never predicts medium") as said:
        training.fit(model, gray, gray, epochs=1, lr=1e-3, batch_size=60, progress=False)
    assert said[0].filename == __file__
