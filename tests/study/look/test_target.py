"""Classes and scores."""

import numpy as np
import pytest

from minicnn.data import synsets
from minicnn.errors import ShapeError
from minicnn.layers import Conv2d, Linear, Network
from minicnn.study.look import target
from minicnn.training import BinaryCrossEntropy, MAPLoss

from .twins import chain, network


def test_classes_by_name_number_or_probability():
    model = Network(Linear(2, 3))
    likely = np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]])
    model.classes = ("7", "cat", "dog")
    assert target.class_indices(model, None, likely).tolist() == [1, 0]
    assert target.class_indices(model, "cat", likely).tolist() == [1, 1]
    assert target.class_indices(model, "7", likely).tolist() == [0, 0], "a name before a number"
    assert target.class_indices(model, "2", likely).tolist() == [2, 2]
    assert target.class_indices(model, np.array([2, 0]), likely).tolist() == [2, 0]
    assert target.class_name(model, 2) == "dog"
    model.classes = ()
    assert target.class_name(model, 2) == "2"
    model.classes = ("n02119789", "n01440764", "dog")
    assert target.class_index(model, "n01440764", 3) == target.class_index(model, "tench", 3) == 1
    assert synsets.readable(model.classes)[1] == "tench"


def test_the_sign_of_a_score():
    model = Network(Linear(2, 3))
    outputs = np.zeros((2, 3), np.float32)
    assert target.score_sign(model, outputs) == 1
    model.loss = BinaryCrossEntropy()
    assert target.score_sign(model, outputs) == 1
    model.loss = MAPLoss()
    assert target.score_sign(model, outputs) == -1


def test_scores_and_probabilities():
    model, x = network(chain)
    logits = model.eval()(x)
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = target.scored(model, x, [3, 0, 1])
    for i, (own, k) in enumerate(zip(found, (3, 0, 1), strict=True)):
        assert (own.index, own.name) == (k, str(k))
        assert own.score == pytest.approx(logits[i, k], rel=1e-9)
        assert own.probability == pytest.approx(likely[i, k], rel=1e-5)
    (best,) = target.scored(model, x[1])
    assert best.index == logits[1].argmax()
    with pytest.raises(ShapeError, match=r"returned \(1, 2, 2, 3\); expected scores"):
        target.scored(Network(Conv2d(1, 3, 1)), np.zeros((2, 2, 1), np.float32))


def test_outputs_that_are_not_finite():
    model, x = network(chain)
    model.fc2.bias.value[1] = np.inf
    with pytest.raises(ValueError, match="the network returns NaN or infinity for image 0"):
        target.scored(model, x)


def test_the_place_of_a_unit():
    y = np.zeros((2, 2, 3, 4))
    y[0, 1, 2, 3] = y[1, 0, 1, 3] = y[1, 1, 1, 3] = 5
    assert target.unit_places("a", y, 3) == [(1, 2, 3), (0, 1, 3)], "the first of equals"
    assert target.unit_places("a", y, (1, 0, 2)) == [(1, 0, 2)] * 2
    assert target.unit_places("a", y[:, 0, 0], 2) == [(2,)] * 2
