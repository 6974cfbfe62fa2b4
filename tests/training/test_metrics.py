"""Evaluation: counts by hand, and that it leaves the model as it was."""

from xml.etree import ElementTree

import numpy as np
import pytest

from minicnn import training
from minicnn.data import Dataset
from minicnn.errors import DivergedError
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training.losses import MAPLoss, SoftmaxCrossEntropy
from minicnn.training.metrics import Evaluation, rank


def identity_network(n):
    """A network whose logits are its input's n pixels."""
    network = Sequential(Flatten(), Linear(n, n, bias=False))
    network[1].weight.value[...] = np.eye(n)
    return network


def test_evaluate_by_hand():
    logits = np.zeros((4, 1, 7, 1), np.float32)
    logits[[0, 1, 2, 3], 0, [0, 1, 2, 2], 0] = 5
    labels = np.array([0, 1, 2, 6])
    logits[3, 0, :, 0] = [9, 8, 7, 6, 5, 4, 3]  # the label 6 is last of seven
    dataset = Dataset(logits, labels, tuple("abcdefg"))
    network = identity_network(7).train()
    network[1].eval()
    result = training.evaluate(network, dataset, batch_size=3)
    assert [layer.training for layer in (network, *network)] == [True, True, False]
    assert result.accuracy == 0.75
    assert result.top5 == 0.75
    assert result.confusion[6, 0] == 1
    assert result.confusion.trace() == 3
    np.testing.assert_array_equal(result.per_class[[0, 6]], [1, 0])
    assert np.isnan(result.per_class[3])
    expected = [
        -np.log(np.exp(v[t]) / np.exp(v).sum())
        for v, t in zip(logits[:, 0, :, 0].astype(float), labels, strict=True)
    ]
    assert result.loss == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_no_result(value):
    logits = np.zeros((4, 1, 7, 1), np.float32)
    logits[3, 0, 2] = value
    dataset = Dataset(logits, np.zeros(4, int), tuple("abcdefg"))
    with pytest.raises(DivergedError, match="outputs are not finite"):
        training.evaluate(identity_network(7), dataset, batch_size=3)


def test_rank_of_ties():
    """A network that says the same of all classes is right only about the first."""
    ranks = rank(np.full((3, 4), 0.25), np.array([0, 1, 3]))
    np.testing.assert_array_equal(ranks, [0, 3, 3])


def test_rank_of_nan_is_the_last():
    nothing = np.full((2, 7), np.nan, np.float32)
    np.testing.assert_array_equal(rank(nothing, np.array([0, 3])), [6, 6])
    partly = np.array([[0.5, np.nan, 0.2], [0.5, np.nan, 0.2]])
    np.testing.assert_array_equal(rank(partly, np.array([0, 1])), [1, 2])


def test_nearest_code_is_most_probable():
    distances = np.array([[3.0, 1.0, 2.0]])
    assert MAPLoss().probabilities(distances).argmax() == 1
    assert SoftmaxCrossEntropy().probabilities(distances).argmax() == 0
    np.testing.assert_allclose(MAPLoss().probabilities(distances).sum(), 1)


def test_a_network_of_imagenet_has_the_names_of_its_classes():
    from minicnn import models
    from minicnn.layers.init import skip_init
    from minicnn.training.metrics import classes_of

    with skip_init():
        network = models.create("alexnet", hidden=8)
        ten = models.create("alexnet", hidden=8, num_classes=10)
        lenet = models.create("lenet5")
    assert network.classes == () and classes_of(network)[:2] == ("tench", "goldfish")
    assert classes_of(ten) == classes_of(lenet) == ()
    network.trained_on = "own data"
    assert classes_of(network) == (), "it was trained here, on images whose classes had no names"
    ten.classes = ("n01440764", "my cat")
    assert classes_of(ten) == ("tench", "my cat")


def test_evaluate_finds_the_labels_of_some_of_imagenets_classes():
    """Two classes of a folder are 0 and 1 there, and 1 and 999 among the outputs of a network."""
    weight = np.zeros((1, 1000), np.float32)
    weight[0, 999] = 1

    class Recipe:
        data = "imagenet"
        preprocess = None

    network = Sequential(Flatten(), Linear(1, 1000), input_shape=(1, 1, 1))
    network[1].weight.value[...], network[1].bias.value[...] = weight, 0
    network.recipe = Recipe()
    images = np.ones((3, 1, 1, 1), np.float32)
    found = Dataset(images, np.array([1, 1, 0]), ("goldfish", "toilet tissue"))
    result = training.evaluate(network, found)
    assert result.accuracy == pytest.approx(2 / 3) and result.classes[999] == "toilet tissue"
    assert result.confusion[1, 999] == 1 and result.confusion[999, 999] == 2


def test_multi_label_by_hand():
    """Three images, four questions; the accuracy counts answers, the confusion is per class."""
    logits = np.array([[2, -1, -1, -1], [2, 2, -1, -1], [-1, -1, 2, 3]], np.float32)
    truth = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]], np.float32)
    dataset = Dataset(logits.reshape(3, 1, 4, 1), truth, tuple("abcd"))
    result = training.evaluate(identity_network(4), dataset, loss=training.BinaryCrossEntropy())
    assert result.accuracy == pytest.approx(10 / 12)
    assert result.top5 is None
    np.testing.assert_array_equal(result.confusion[0], [[1, 1], [0, 1]])
    np.testing.assert_array_equal(result.confusion[3], [[1, 0], [1, 1]])
    np.testing.assert_allclose(result.per_class, [2 / 3, 1, 1, 2 / 3])
    p = 1 / (1 + np.exp(-logits.astype(float)))
    expected = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()
    assert result.loss == pytest.approx(expected, rel=1e-6)


def test_soft_targets_by_hand():
    """The truth is the largest target."""
    logits = np.array([[2, 0, 0], [0, 2, 0]], np.float32)
    targets = np.array([[0.4, 0.5, 0.1], [0.2, 0.7, 0.1]], np.float32)
    dataset = Dataset(logits.reshape(2, 1, 3, 1), targets)
    result = training.evaluate(identity_network(3), dataset)
    assert result.accuracy == 0.5
    np.testing.assert_array_equal(result.confusion, [[0, 0, 0], [1, 1, 0], [0, 0, 0]])
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert result.loss == pytest.approx(-(targets * log_p).sum(axis=1).mean(), rel=1e-6)


def test_the_loss_of_evaluation_is_plain():
    """The model's own loss without smoothing; a loss that is given is taken as it is."""
    model, smoothed = identity_network(3), SoftmaxCrossEntropy(label_smoothing=0.5)
    model.loss = smoothed
    data = np.eye(3, dtype=np.float32).reshape(3, 1, 3, 1), np.arange(3)
    expected = training.evaluate(model, data, loss=SoftmaxCrossEntropy()).loss
    assert training.evaluate(model, data).loss == expected
    assert training.evaluate(model, data, loss=smoothed).loss > expected


def test_an_evaluation_is_shown_with_its_confusions():
    counts = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    result = Evaluation(0.25, 0.875, None, counts, ("<script>", "dog", "none"))
    lines = [line.split() for line in str(result).splitlines()]
    assert lines == [
        ["<script>", "dog", "none", "accuracy"],
        ["<script>", "3", "1", "·", "75.00%"],
        ["dog", "·", "4", "·", "100.00%"],
        ["none", "·", "·", "·"],
        ["test", "loss", "0.2500,", "top-1", "87.50%"],
    ]
    page = result._repr_html_()
    assert "<script>" not in page
    table = ElementTree.fromstring(f"<div>{page}</div>").find("table")
    assert [cell.text for cell in table.findall("tr")[1]] == ["<script>", "3", "1", "·", "75.00%"]


@pytest.mark.parametrize("shape", [(21, 21), (3, 2, 2)])
def test_of_many_classes_and_many_labels_only_the_headline_is_shown(shape):
    names = tuple(map(str, range(shape[0])))
    result = Evaluation(0.25, 0.5, 0.75, np.ones(shape, int), names)
    assert str(result) == "test loss 0.2500, top-1 50.00%, top-5 75.00%"
    assert result._repr_html_() == f"<p>{result}</p>"
