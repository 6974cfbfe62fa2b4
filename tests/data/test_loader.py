"""Batches: every image once per epoch, in an order that the seed determines."""

import numpy as np
import pytest

from minicnn.data import Dataset, Loader, Preprocess
from minicnn.errors import DataError


def dataset(n):
    return Dataset(np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1), np.arange(n) % 2, ("a", "b"))


def read(loader):
    return [x[:, 0, 0, 0].tolist() for x, _ in loader]


def test_loader_covers_everything_in_a_new_order():
    loader = Loader(dataset(10), 4, shuffle=True, seed=3)
    assert len(loader) == 3
    first, second = read(loader), read(loader)
    assert [len(b) for b in first] == [4, 4, 2]
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(10))
    assert first != second
    again = Loader(dataset(10), 4, shuffle=True, seed=3)
    assert [read(again), read(again)] == [first, second]
    assert read(Loader(dataset(10), 4, shuffle=True, seed=4)) != first
    assert sum(read(Loader(dataset(10), 4)), []) == list(range(10))


def test_loader_goes_on_from_any_position():
    options = {
        "shuffle": True,
        "seed": 3,
        "augment": lambda images, generator: (
            images + generator.integers(0, 9, images.shape, np.uint8)
        ),
    }
    whole = Loader(dataset(10), 4, **options)
    batches = [batch for _ in range(3) for batch in read(whole)]
    for epoch in range(3):
        for batch in range(3):
            loader = Loader(dataset(10), 4, **options)
            loader.epoch, loader.batch = epoch, batch
            assert read(loader) == batches[3 * epoch + batch : 3 * epoch + 3]
            assert (loader.epoch, loader.batch) == (epoch + 1, 0)


def test_loader_passes_errors_on():
    with pytest.raises(DataError, match="the images are 1x1 pixels"):
        read(Loader(dataset(4), 2, Preprocess(size=(0, 0))))
    with pytest.raises(ValueError, match="batch_size=0"):
        Loader(dataset(4), 0)
