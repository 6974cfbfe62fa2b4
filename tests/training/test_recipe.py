"""Recipes: chosen by the data set, never shared between runs, and no undoing of what is frozen."""

import numpy as np
import pytest

import minicnn
from minicnn import data, models, registry, training
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training.recipe import DEFAULTS, Recipe, choose_recipe

X = np.random.default_rng(0).random((16, 8, 8, 1)).astype(np.float32)
LABELS = np.arange(16) % 2


class Count(training.Callback):
    def __init__(self):
        self.steps = 0

    def on_step_end(self, trainer, loss):
        self.steps += 1


def recipe(**changed):
    options = {"source": "this test", "preprocess": data.Preprocess(size=(8, 8))}
    return Recipe(**options, **{"epochs": 1, "batch_size": 8, "lr": 0.1} | changed)


def network():
    minicnn.seed(0)
    return Sequential(Flatten(), Linear(64, 2))


def test_the_data_set_decides():
    """As on the command line: one recipe, one result."""
    recipes = registry.entry("lenet5").recipes
    model = models.create("lenet5")
    assert choose_recipe(model, "mnist") is recipes["default"]
    assert choose_recipe(model, "digits") is recipes["digits"] is not recipes["default"]
    assert choose_recipe(model, "digits", "default") is recipes["default"]
    chosen = models.create("lenet5_1998", recipe="paper")
    assert choose_recipe(chosen, "digits") is registry.entry("lenet5_1998").recipes["paper"]
    with pytest.raises(ValueError, match="lenet5 has no recipe 'best'"):
        choose_recipe(model, "digits", "best")
    with pytest.raises(ValueError, match="recipe='default': a network that is not registered"):
        choose_recipe(network(), "digits", "default")
    assert choose_recipe(network(), "digits") is DEFAULTS


def test_fit_follows_the_data_sets_recipe():
    train = data.digits()[0].subset(slice(0, 64))
    first, second = (models.create("lenet5", seed=0) for _ in range(2))
    training.fit(first, train, epochs=1, progress=False)
    training.fit(second, train, epochs=1, progress=False, recipe="digits")
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name])


def test_nothing_is_shared_between_runs():
    """A plateau in the first run does not lower the learning rate of the second."""
    shared = recipe(epochs=4, lr=0.0, schedule=training.ReduceOnPlateau(patience=0))
    shared = recipe(epochs=4, lr=0.0, schedule=shared.schedule, callbacks=(Count(),))
    for _ in range(2):
        model = network()
        model.recipe = shared
        history = training.fit(model, (X, LABELS), lr=1e-9, progress=False)
        assert history.rows[0]["learning_rate"] == 1e-9 > history.rows[-1]["learning_rate"]
    assert shared.callbacks[0].steps == 0
    given = training.ReduceOnPlateau(patience=0)
    training.fit(network(), (X, LABELS), epochs=4, lr=1e-9, schedule=given, progress=False)
    assert given.factor(0, 1) == 1.0


@pytest.mark.parametrize("bias_lr", [1.0, 2.0])
def test_frozen_stays_frozen(bias_lr):
    model = network()
    model.recipe = recipe(bias_lr=bias_lr, options={"weight_decay": 0.1})
    for parameter in model.parameters():
        parameter.lr_multiplier = 0.0
    before = {name: array.copy() for name, array in model.state_dict().items()}
    training.fit(model, (X, LABELS), progress=False)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_multipliers_multiply():
    model = network()
    model[1].bias.lr_multiplier = 0.5
    optimizer = recipe(bias_lr=2.0, bias_decay=0.0).make_optimizer(model)
    assert optimizer.effective_multipliers() == [(1.0, 1.0), (1.0, 0.0)]
    assert model[1].bias.lr_multiplier == 0.5
