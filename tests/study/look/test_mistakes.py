"""The images that a network gets wrong."""

import numpy as np
import pytest

from minicnn import data
from minicnn.layers import Flatten, Linear, Network
from minicnn.study import look


@pytest.fixture
def oracle():
    """A network whose logits are the pixels of an image of 1x3."""
    model = Network(flatten=Flatten(), fc=Linear(3, 3, bias=False), input_shape=(1, 3, 1))
    model.fc.weight.value[...] = np.eye(3)
    model.classes = ("ant", "bee", "cat")
    return model


LOGITS = np.array([[3, 0, 0], [0, 5, 0], [0, 0, 1], [0, 2, 0], [9, 8, 0]], np.float32)


def softmax(row):
    return np.exp(row) / np.exp(row).sum()


def test_the_most_certain_mistake_comes_first(oracle):
    images, labels = LOGITS.reshape(5, 1, 3, 1), np.array([0, 2, 0, 0, 1])
    found = look.mistakes(oracle, (images, labels))
    assert (found.images, found.wrong) == (5, 4)
    assert [m.image for m in found.examples] == [1, 3, 4, 2]
    worst = found.examples[0]
    assert (worst.name, worst.true, worst.predicted) == ("1", "cat", "bee")
    assert worst.probability == pytest.approx(softmax(LOGITS[1])[1], rel=1e-5)
    assert worst.true_probability == pytest.approx(softmax(LOGITS[1])[2], rel=1e-5)
    assert look.mistakes(oracle, (images, labels), count=2).examples == found.examples[:2]
    with pytest.raises(ValueError, match="count=-1: expected at least 0"):
        look.mistakes(oracle, (images, labels), count=-1)


def test_classes_are_matched_by_name(oracle):
    dataset = data.Dataset(LOGITS.reshape(5, 1, 3, 1), np.array([0, 1, 1, 1, 0]), ("cat", "bee"))
    found = look.mistakes(oracle, dataset)
    assert [(m.true, m.predicted) for m in found.examples] == [
        ("cat", "ant"),
        ("cat", "ant"),
        ("bee", "cat"),
    ]


def test_a_network_without_mistakes(oracle):
    found = look.mistakes(oracle, (LOGITS.reshape(5, 1, 3, 1), LOGITS.argmax(axis=1)))
    assert found == look.Mistakes(5, 0, ())
