"""Losses: softmax minus label, with smoothing, weights, targets and auxiliary classifiers."""

import numpy as np
import pytest

from minicnn.layers import AuxiliaryNetwork, Linear, Sequential
from minicnn.study import explain, trace
from minicnn.training import AuxiliaryLoss, MAPLoss, MeanSquaredError, SoftmaxCrossEntropy
from minicnn.training.losses import BinaryCrossEntropy
from tests.study.explain.numbers import check_all

LOSSES = {
    "softmax": SoftmaxCrossEntropy(),
    "smoothed": SoftmaxCrossEntropy(label_smoothing=0.2),
    "weighted": SoftmaxCrossEntropy(class_weights=[1, 0.5, 0, 3]),
    "both": SoftmaxCrossEntropy(label_smoothing=0.1, class_weights=[1, 0.5, 2, 3]),
    "squares": MeanSquaredError(),
    "binary": BinaryCrossEntropy(),
}
TARGETS = np.array([[0.5, 0.5, 0, 0], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]])


def network(loss):
    net = Sequential(fc=Linear(5, 4))
    net.fc.weight.value *= 3
    net.__dict__["loss"] = loss
    return net


@pytest.mark.parametrize("labels", [np.array([3, 0, 2]), TARGETS])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, labels):
    net = network(LOSSES[name])
    found = check_all(net, (3, 5), count=12, labels=labels, training=True, path="loss")
    assert set(found) == {("loss", "x"), ("loss", "y"), ("loss", "dx")}


def test_the_loss_of_1998():
    check_all(network(MAPLoss(0.1)), (3, 5), count=12, labels=[0, 1, 3], path="loss")


def test_softmax_minus_label():
    traced = trace(network(SoftmaxCrossEntropy()).astype(float), np.ones((2, 5)), labels=[1, 3])
    e = explain(traced, "loss", "dx", (1, 3))
    assert [term.label for term in e.terms] == ["softmax(x)[1, 3] · 1/2", "-target[1, 3] · 1/2"]
    assert e.terms[1].value == -0.5
    assert e.note == "Image 1 has the label 3."
    assert e.formula == "dx[n,c] = (softmax(x)[n,c] - target[n,c]) / N"
    assert explain(traced, "loss", "dx", (1, 1)).terms[1].value == 0
    e = explain(traced, "loss", "y", ())
    assert e.title == "loss: y"
    assert len(e.terms) == 2


def test_a_head_has_a_part_of_the_loss():
    net = AuxiliaryNetwork(a=Linear(5, 6), b=Linear(6, 4), heads={"a": Linear(6, 4)})
    net.loss = AuxiliaryLoss(0.3)
    found = check_all(net, (3, 5), count=6, labels=[0, 1, 3], training=True)
    assert [f.name for f in found["loss.aux1", "dx"].terms[0].factors][-1] == "weight of the head"
    assert len(found["a", "dy"].terms) == 2
    assert [t.factors[0].path for t in found["a", "dy"].terms] == ["b", "aux1"]
    assert found["aux1", "x"].terms[0].factors[0].path == "a"
    assert found["aux1", "dy"].terms[0].factors[0].path == "loss.aux1"
    assert found["loss.aux1", "x"].terms[0].factors[0].path == "aux1"


def test_a_function_of_the_users_own_has_no_explanation():
    net = network(lambda y, labels: (np.float64(0), np.ones_like(y)))
    e = explain(trace(net.astype(float), np.ones((2, 5))), "loss", "dx", (0, 0))
    assert (e.kind, e.engine) == ("none", 1)
