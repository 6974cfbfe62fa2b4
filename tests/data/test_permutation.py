"""An order of numbers that is computed in parts: a permutation, another one in each epoch."""

import numpy as np
import pytest

from minicnn.data import loader as loading
from minicnn.data.dataset import Dataset
from minicnn.data.loader import Loader
from minicnn.data.permutation import Permutation


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 100, 1000, 4096, 4097])
def test_each_number_once(n):
    order = Permutation(n, 3, 0)
    assert len(order) == n
    whole = order[:]
    np.testing.assert_array_equal(np.sort(whole), np.arange(n))
    parts = np.concatenate([order[first : first + 7] for first in range(0, n, 7)])
    np.testing.assert_array_equal(parts, whole)


def test_orders_look_random():
    """Places and values are uncorrelated, and so are the orders of epochs and seeds."""
    n = 20_000
    orders = [np.arange(n), *(Permutation(n, s, e)[:] for s, e in ((0, 0), (0, 1), (1, 0)))]
    correlations = np.corrcoef(orders)[np.triu_indices(len(orders), 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(n)
    steps = np.diff(orders[1])
    assert abs(np.corrcoef(steps[:-1], steps[1:])[0, 1] + 0.5) < 0.03  # as of independent numbers


def test_it_needs_no_memory_for_the_whole():
    order = Permutation(10**15, 0, 0)
    part = order[10**14 : 10**14 + 1000]
    assert len(set(part.tolist())) == 1000
    assert part.min() >= 0
    assert part.max() < 10**15


def test_large_sets_are_shuffled_so(monkeypatch):
    monkeypatch.setattr(loading, "MANY", 30)
    images = np.arange(40, dtype=np.float32).reshape(40, 1, 1, 1)
    dataset = Dataset(images, np.zeros(40, np.int64))
    loader = Loader(dataset, 6, shuffle=True, seed=5)
    for epoch in range(2):
        found = np.concatenate([x[:, 0, 0, 0] for x, _ in loader])
        np.testing.assert_array_equal(found, Permutation(40, 5, epoch)[:])
