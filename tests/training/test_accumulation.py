"""Accumulation against one large batch, and the parts of an update against each other."""

from types import SimpleNamespace

import numpy as np
import pytest

import minicnn
from minicnn import training
from minicnn.data.shards import Shards
from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Parameter,
    Resample2d,
    Sequential,
)
from minicnn.training.accumulation import Accumulator

X = np.random.default_rng(0).random((40, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(40) % 3


def network(*more):
    minicnn.seed(0)
    return Sequential(Conv2d(1, 3, 3, activation="relu"), *more, Flatten(), Linear(12, 3))


def run(model=None, epochs=3, **options):
    model = model or network()
    options = {"batch_size": 8, "progress": False, "optimizer": "sgd", "lr": 0.1} | options
    data = X[: options.pop("images", 40)], LABELS[: options.pop("labels", 40)]
    return model, training.fit(model, (data[0], LABELS[: len(data[0])]), epochs=epochs, **options)


@pytest.mark.parametrize("images", [40, 37, 33])  # the last update is whole, short, of one image
@pytest.mark.parametrize("layer", [None, Dropout], ids=["plain", "dropout"])
def test_as_one_large_batch(images, layer, monkeypatch):
    """Also dropout's masks are those of the large batch."""
    monkeypatch.setattr("minicnn.training.trainer.ChanceLevelDetector.add", lambda *_: None)
    more = [layer(0.5)] if layer else []
    model, large = run(network(*more), epochs=2, images=images, batch_size=32)
    more = [layer(0.5)] if layer else []
    other, small = run(network(*more), epochs=2, images=images, accumulate=4)
    for ours, theirs in zip(other.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-4, atol=1e-6)
    for column in ("train_loss", "train_accuracy"):
        assert small.column(column) == pytest.approx(large.column(column), rel=1e-5)


def test_sums_are_those_of_shards_in_order():
    """The bits are those of adding the gradients of the shards, computed apart, from the left."""
    generator = np.random.default_rng(0)
    shards = generator.standard_normal((3, 5, 7)).astype(np.float32)
    parameter = Parameter(np.zeros((5, 7), np.float32))
    accumulator = Accumulator(network(), [parameter], SimpleNamespace(shards=Shards(24, 3)))
    for i, (shard, images) in enumerate(zip(shards, (8, 8, 5), strict=True)):
        parameter.grad = shard
        assert accumulator.add(images) == (i == 2)
    share = np.float32(5 / 8)
    total = ((shards[0] + shards[1]) + share * shards[2]) * np.float32(1 / (2 + 5 / 8))
    np.testing.assert_array_equal(parameter.grad, total)


def test_running_statistics_change_once_per_update():
    """With lr 0 they are those of one step of momentum to the mean of the shards' statistics."""
    norm = BatchNorm2d(1)
    model = Sequential(norm, Flatten(), Linear(16, 3))
    run(model, epochs=1, images=24, accumulate=3, lr=0.0, seed=3)
    order = np.random.default_rng([3, 0]).permutation(24)
    shards = X[order].reshape(3, -1)
    mean, var = shards.mean(axis=1), shards.var(axis=1, ddof=1)
    np.testing.assert_allclose(norm.running_mean, 0.1 * mean.mean(), rtol=1e-5)
    np.testing.assert_allclose(norm.running_var, 0.9 + 0.1 * var.mean(), rtol=1e-5)


def test_frozen_statistics_stay_to_the_bit():
    model = network(BatchNorm2d(3, activation="relu"))
    norm = model[1]
    norm.running_mean[...] = before = np.float32([0.1, 0.7, -0.3])
    model.freeze("1")
    run(model, epochs=1, accumulate=3)
    np.testing.assert_array_equal(norm.running_mean, before)


def test_constant_buffers_stay_to_the_bit():
    """A mean of equal numbers, taken with rounded weights, would drift by a bit per update."""
    rows = np.random.default_rng(0).standard_normal((2, 2), dtype=np.float32)
    model, _ = run(network(Resample2d(rows)), accumulate=3, batch_size=4)
    np.testing.assert_array_equal(model[1].rows, rows)


def test_the_schedule_counts_updates():
    """40 images in batches of 8, three of them per update: two updates per epoch."""
    rates = []

    class Note(training.Callback):
        def on_step_end(self, trainer, loss):
            rates.append((trainer.epoch, trainer.iteration, trainer.optimizer.lr))

    run(epochs=2, accumulate=3, schedule="step(1, 0.5)", callbacks=[Note()])
    assert rates == [(1, 1, 0.1), (1, 2, 0.1), (2, 3, 0.05), (2, 4, 0.05)]
