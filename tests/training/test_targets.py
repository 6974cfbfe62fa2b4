"""What losses accept as labels and targets."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.training.targets import check_labels, check_targets, labels_checked, most_probable


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


def test_labels_on_the_host_are_always_checked():
    with labels_checked(), pytest.raises(ShapeError, match="labels run from 0 to 3"):
        check_labels(np.zeros((2, 3)), np.array([0, 3]))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([[0.5, 0.5], [0.9, 0.0]], "row 1 of the targets sums to 0.9; expected 1"),
        ([[0.5, 0.5], [1.5, -0.5]], "targets run from -0.5 to 1.5; expected 0 to 1"),
        ([[0.5, 0.5], [np.nan, 0.5]], "targets run from nan to nan; expected 0 to 1"),
        ([[1, 0], [0, 1]], r"targets are int64 \(2, 2\); expected floats of shape \(2, 2\), or"),
        ([[0.5, 0.5]], r"targets are float64 \(1, 2\); expected floats of shape \(2, 2\)"),
        ([0, 2], "labels run from 0 to 2; the network has classes 0 to 1"),
    ],
)
def test_targets_are_checked(targets, message):
    with pytest.raises(ShapeError, match=message):
        check_targets(np.zeros((2, 2)), targets, total=1.0)


def test_targets_of_a_squared_error():
    numbers = np.array([[-3.0, 7.0]])
    assert check_targets(np.zeros((1, 2)), numbers, limit=None) is numbers
    with pytest.raises(ShapeError, match="targets run from -inf to 7; expected finite numbers"):
        check_targets(np.zeros((1, 2)), np.array([[-np.inf, 7.0]]), limit=None)


def test_most_probable():
    labels = np.array([2, 0])
    assert most_probable(labels) is labels
    np.testing.assert_array_equal(most_probable(np.array([[0.2, 0.4, 0.4], [1, 0, 0]])), [1, 0])
