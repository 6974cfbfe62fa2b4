"""The learning-rate finder: what it leaves behind, where it ends, and what it suggests."""

import numpy as np
import pytest

import minicnn
from minicnn import training
from minicnn.errors import TrainingError
from minicnn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, Sequential
from minicnn.training import lr_finder

X = np.random.default_rng(0).random((96, 6, 6, 1)).astype(np.float32)
LABELS = (X[:, :3].mean(axis=(1, 2, 3)) > X[:, 3:].mean(axis=(1, 2, 3))).astype(int)


def network():
    minicnn.seed(0)
    conv = Conv2d(1, 4, 3), BatchNorm2d(4, activation="relu")
    return Sequential(*conv, Flatten(), Dropout(0.2), Linear(64, 2))


def test_the_model_is_left_as_it_was():
    """Weights, statistics, mode, gradients, and the numbers that are drawn next."""
    model, untouched = network().eval(), network()
    minicnn.seed(7)
    expected = minicnn.rng.generator().random(5)
    minicnn.seed(7)
    sweep = training.find_lr(model, (X, LABELS), batch_size=16)
    np.testing.assert_array_equal(minicnn.rng.generator().random(5), expected)
    for name, value in untouched.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], value, err_msg=name)
    assert not model.training
    assert all(p._grad is None for p in model.parameters())
    assert 1e-6 < sweep.suggestion < sweep.rates[-1] <= 10
    again = training.find_lr(model, (X, LABELS), batch_size=16)
    np.testing.assert_array_equal(again.losses, sweep.losses)


def test_an_optimizer_is_left_as_it_was():
    model = network()
    optimizer = training.Adam(model.parameters(), 0.01)
    training.find_lr(model, (X, LABELS), batch_size=16, optimizer=optimizer)
    assert (optimizer.lr, optimizer.steps) == (0.01, 0)
    assert not any(array.any() for array in optimizer.state_dict().values())


def test_it_stops_where_the_loss_diverges():
    sweep = training.find_lr(network(), (X, LABELS), batch_size=16, end=1e6, steps=60)
    assert len(sweep.rates) == len(sweep.losses) < 60
    assert np.isfinite(sweep.losses).all()
    np.testing.assert_allclose(np.diff(np.log(sweep.rates)), np.log(1e12) / 59)


def test_the_first_rate_changes_nothing_yet():
    """The losses are those of a training with these rates."""
    model = network()
    sweep = training.find_lr(model, (X, LABELS), batch_size=16, start=1e-3, end=1.0, steps=16)
    rates = []

    class Rates(training.Schedule):
        def at(self, step, steps_per_epoch, epochs):
            return sweep.rates[min(step, 15)]

    class Note(training.Callback):
        def on_step_end(self, trainer, loss):
            rates.append(loss)

    rule = training.SGD(model.parameters(), lr=1.0, momentum=0.9)
    options = {"epochs": 3, "batch_size": 16, "progress": False, "callbacks": [Note()]}
    training.fit(model, (X, LABELS), optimizer=rule, schedule=Rates(), **options)
    np.testing.assert_array_equal(rates[:16], sweep.losses)


def test_the_suggestion_is_at_the_steepest_fall():
    """On a curve whose mean falls most at 1e-2, and then rises."""
    rates = np.logspace(-5, 1, 121)
    losses = 2 - 1 / (1 + (1e-2 / rates) ** 2) + rates
    found = lr_finder._suggest(rates, losses)
    assert found.suggestion == pytest.approx(1e-2, rel=0.15)


def test_smoothing_has_no_start():
    """Constant losses have that mean from the first step on."""
    np.testing.assert_allclose(lr_finder.smooth([3.0] * 7), 3.0)
    np.testing.assert_allclose(lr_finder.smooth([1.0, 2.0]), [1.0, (0.09 + 0.2) / 0.19])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0.0}, "start=0.0, end=10.0: expected 0 < start < end"),
        ({"start": 1.0, "end": 0.1}, "start=1.0, end=0.1: expected 0 < start < end"),
        ({"steps": 3}, "steps=3: expected an integer >= 16"),
        ({"optimizer": "sdg"}, "optimizer='sdg': expected one of sgd"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        training.find_lr(network(), (X, LABELS), **options)


def test_nothing_to_train():
    with pytest.raises(ValueError, match="SGD: all of its parameters are frozen"):
        training.find_lr(network().freeze("*"), (X, LABELS))


def test_a_network_that_gives_nan_from_the_start():
    model = network()
    model.parameters()[0].value[...] = np.inf
    with pytest.raises(TrainingError, match="the loss of the first batch is not finite"):
        training.find_lr(model, (X, LABELS), batch_size=16)


def test_a_loss_that_diverges_at_once():
    """It says so, and the model is as before."""
    model, untouched = network(), network()
    with pytest.raises(TrainingError, match="the loss diverges after .+ steps, at a learning rate"):
        training.find_lr(model, (X, LABELS), batch_size=16, start=1e20, end=1e30)
    for name, value in untouched.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], value, err_msg=name)
