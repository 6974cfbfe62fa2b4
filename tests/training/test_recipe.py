"""Recipes: chosen by the data set, never shared between runs, and no undoing of what is frozen."""

import numpy as np
import pytest

import minicnn
from minicnn import data, models, registry, training
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training.recipe import DEFAULTS, Recipe, choose_recipe
from minicnn.weights import safetensors

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


def test_multipliers_by_name():
    """The first pattern that matches replaces the factors of biases."""
    net = Sequential(a=Linear(2, 2), b=Linear(2, 2))
    factors = recipe(bias_lr=2.0, multipliers={"a.*": (3, 0), "*.weight": (4, 5)})
    optimizer = factors.make_optimizer(net)
    assert optimizer.effective_multipliers() == [(3, 0), (3, 0), (4, 5), (2, 1)]


def test_a_part_of_an_epoch():
    """2.5 epochs of 4 batches are 10 steps; the last part is evaluated, and has a row."""
    model, count = network(), Count()
    history = training.fit(
        model,
        (X, LABELS),
        (X, LABELS),
        epochs=2.5,
        batch_size=len(X) // 4,
        schedule="polynomial",
        callbacks=[count],
        progress=False,
    )
    assert count.steps == 10 and [row["epoch"] for row in history.rows] == [1, 2, 3]
    assert history.rows[-1]["learning_rate"] == pytest.approx(0.01 * (1 - 9 / 10))
    assert history.rows[-1]["test_loss"] == training.evaluate(model, (X, LABELS)).loss


def test_a_part_of_an_epoch_is_resumed(tmp_path):
    """A run of 1.5 epochs that is extended ends like one of 2.75."""
    options = {"batch_size": len(X) // 4, "progress": False, "schedule": "constant"}
    whole, parts = network(), network()
    training.fit(whole, (X, LABELS), epochs=2.75, **options)
    training.fit(parts, (X, LABELS), epochs=1.5, out=tmp_path, **options)
    again = network()
    training.fit(again, (X, LABELS), epochs=1.5, out=tmp_path, resume=True, **options)
    np.testing.assert_array_equal(again[1].weight.value, parts[1].weight.value)
    training.fit(again, (X, LABELS), epochs=2.75, out=tmp_path, resume=True, **options)
    np.testing.assert_array_equal(again[1].weight.value, whole[1].weight.value)


def test_a_recipe_leaves_out_the_smaller_batch():
    count, model = Count(), network()
    model.recipe = recipe(drop_last=True, batch_size=len(X) - 1, epochs=3)
    training.fit(model, (X, LABELS), callbacks=[count], progress=False)
    assert count.steps == 3


def test_a_recipe_says_what_happens_to_images():
    made = recipe(augment=data.RandomCropFlip(8, padding=2))
    expected = "recipe: this test\nimages: RandomCropFlip(size=16, padding=2), normalize"
    assert made.summary((16, 16, 1)) == expected
    assert recipe().summary((8, 8, 1)) == "recipe: this test\nimages: normalize"
    assert made.pipeline((8, 8, 1)) == data.Pipeline(data.RandomCropFlip(8, padding=2))


def test_a_recipe_may_mix_images(tmp_path):
    """The loss takes the mixed labels, and the run's configuration names every step."""
    augment = data.Pipeline(data.RandomShift(1), data.augment.CutMix(1.0))
    pixels = (255 * X).astype(np.uint8)
    model, out = network(), tmp_path / "run"
    plan = recipe(augment=augment, epochs=2)
    history = training.fit(model, (pixels, LABELS), recipe=plan, out=out, progress=False)
    assert np.isfinite(history.column("train_loss")).all()
    text = str(safetensors.read(out / "last.safetensors")[1])
    assert "Pipeline(RandomShift(pixels=1), NORMALIZE, CutMix(alpha=1.0))" in text
