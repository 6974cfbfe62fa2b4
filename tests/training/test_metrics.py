"""Evaluation: counts by hand, and that it leaves the model as it was."""

import numpy as np
import pytest

from minicnn import training
from minicnn.data import Dataset
from minicnn.errors import ShapeError
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training.losses import MAPLoss, SoftmaxCrossEntropy, check_labels
from minicnn.training.metrics import rank


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
    result = training.evaluate(network, dataset, batch_size=3)
    assert network.training
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


def test_rank_of_ties():
    """A network that says the same of all classes is right only about the first."""
    ranks = rank(np.full((3, 4), 0.25), np.array([0, 1, 3]))
    np.testing.assert_array_equal(ranks, [0, 3, 3])


def test_nearest_code_is_most_probable():
    distances = np.array([[3.0, 1.0, 2.0]])
    assert MAPLoss().probabilities(distances).argmax() == 1
    assert SoftmaxCrossEntropy().probabilities(distances).argmax() == 0
    np.testing.assert_allclose(MAPLoss().probabilities(distances).sum(), 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], "labels run from 0 to 3; the network has classes 0 to 2"),
        ([-1, 0], "labels run from -1 to 0"),
        ([0], r"expected integers of shape \(2,\)"),
        ([0.0, 1.0], "labels are float64"),
    ],
)
def test_labels_are_checked(labels, message):
    with pytest.raises(ShapeError, match=message):
        check_labels(np.zeros((2, 3)), labels)


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
