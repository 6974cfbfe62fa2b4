"""The digits that are part of the package: their number, sizes and values."""

from importlib import resources

import numpy as np
import pytest

from minicnn import data


def test_digits():
    train, test = data.digits()
    assert train.images.shape == (1438, 32, 32, 1)
    assert test.images.shape == (359, 32, 32, 1)
    assert np.bincount(test.labels).min() > 20
    small, _ = data.digits(size=8)
    assert small.images.shape == (1438, 8, 8, 1)
    assert set(np.unique(small.images)) <= {min(16 * v, 255) for v in range(17)}
    assert resources.files("minicnn.data").joinpath("digits.npz").stat().st_size < 100_000


def test_digits_are_scikit_learns():
    load_digits = pytest.importorskip(
        "sklearn.datasets", reason="scikit-learn is not installed"
    ).load_digits
    theirs = load_digits()
    train, test = data.digits(size=8)
    is_test = np.arange(1797) % 5 == 4
    for part, rows in ((train, ~is_test), (test, is_test)):
        np.testing.assert_array_equal(
            part.images[..., 0], np.minimum(theirs.images[rows] * 16, 255)
        )
        np.testing.assert_array_equal(part.labels, theirs.target[rows])
