"""Averages of the weights: their formulas, what is evaluated and saved, and bit-exact resuming."""

import numpy as np
import pytest

import minicnn
from minicnn import training
from minicnn.errors import CheckpointError
from minicnn.layers import BatchNorm2d, Conv2d, Flatten, Linear, Sequential
from minicnn.training import EMA, Lookahead, checkpoint
from minicnn.weights import safetensors

GENERATOR = np.random.default_rng(0)
X = GENERATOR.random((64, 6, 6, 1)).astype(np.float32)
LABELS = np.arange(64) % 2
AVERAGES = {"EMA": EMA(0.9), "Lookahead": Lookahead(3, 0.5), "growing": Lookahead(3, 0.7, power=3)}


def network():
    minicnn.seed(0)
    return Sequential(conv=Conv2d(1, 4, 3), bn=BatchNorm2d(4), flatten=Flatten(), fc=Linear(64, 2))


def start(out, average, model=None, resume=False, **options):
    model = model or network()
    optimizer = training.SGD(model.parameters(), lr=0.1, momentum=0.9)
    options = {"epochs": 2, "batch_size": 8} | options
    history = training.fit(
        model,
        (X, LABELS),
        (X, LABELS),
        optimizer=optimizer,
        average=average,
        out=out,
        resume=resume,
        progress=False,
        **options,
    )
    return history, model


class Record(training.Callback):
    """The weights after each step, before the average changes them back."""

    def __init__(self):
        self.weights = []

    def on_step_end(self, trainer, loss):
        self.weights.append(trainer.model.fc.weight.value.astype(np.float64))


def test_ema_is_its_formula():
    """16 steps of a running average in float64, from the weights that the optimizer made."""
    record, first = Record(), network().fc.weight.value.astype(np.float64)
    _, model = start(None, EMA(0.9), callbacks=[record])
    expected = first
    for t, weights in enumerate(record.weights, 1):
        decay = min(0.9, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * weights
    np.testing.assert_allclose(model.fc.weight.value, expected, rtol=1e-5, atol=1e-7)
    assert abs(expected - record.weights[-1]).max() > 1e-3


@pytest.mark.parametrize("power", [0, 3])
def test_lookahead_is_its_formula(power):
    """Plain gradient descent in float64 on one weight, with slow weights every third step."""
    model = Sequential(Flatten(), Linear(1, 1, bias=False))
    average, slow, fast = Lookahead(3, 0.6, power), 2.0, 2.0
    model[1].weight.value[...] = 2
    average.start(model)
    for t in range(1, 13):
        model[1].weight.value *= 0.9
        average.update(model, t, 12)
        fast *= 0.9
        if t % 3 == 0:
            decay = 0.6 * (t / 12) ** power
            slow = fast = decay * slow + (1 - decay) * fast
        np.testing.assert_allclose(model[1].weight.value, fast, rtol=1e-5)
    with average.applied(model):
        np.testing.assert_allclose(model[1].weight.value, slow, rtol=1e-5)


@pytest.mark.parametrize("name", AVERAGES)
def test_the_averages_are_evaluated_and_saved(name, tmp_path):
    """The files and the model have the weights that were evaluated; the others are beside."""
    history, model = start(tmp_path, AVERAGES[name], epochs=1)
    tensors, _ = safetensors.read(tmp_path / checkpoint.LAST)
    best, _ = safetensors.read(tmp_path / checkpoint.BEST)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(tensors[key], value)
        np.testing.assert_array_equal(best[key], value)
    trained = tensors["optimizer/weights/fc.weight"]
    assert abs(trained - model.fc.weight.value).max() > 1e-4
    result = training.evaluate(model, (X, LABELS), preprocess=lambda x: x)
    assert result.loss == history.rows[-1]["test_loss"]
    assert not AVERAGES[name].state, "the run has a copy"


class Interrupt(training.Callback):
    """Stop like a signal after some steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, trainer, loss):
        if trainer.iteration == self.steps:
            trainer._sigint.set()


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("steps", [4, 8, 11])
def test_a_resumed_run_is_bit_identical(name, steps, tmp_path):
    whole, expected = start(None, AVERAGES[name])
    history, _ = start(tmp_path, AVERAGES[name], callbacks=[Interrupt(steps)])
    assert history.interrupted
    history, model = start(tmp_path, AVERAGES[name], resume=True)
    for key, value in expected.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[key], value)
    for row, other in zip(history.rows, whole.rows, strict=True):
        assert (row["test_loss"], row["train_loss"]) == (other["test_loss"], other["train_loss"])


def test_another_average_or_length_is_another_run(tmp_path):
    start(tmp_path, AVERAGES["growing"])
    with pytest.raises(CheckpointError, match=r"average was 'Lookahead\(every=3, .* now None"):
        start(tmp_path, None, resume=True)
    with pytest.raises(CheckpointError, match="epochs was 2 and is now 3, and Lookahead"):
        start(tmp_path, AVERAGES["growing"], resume=True, epochs=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMA(1.5), "EMA: decay=1.5: expected 0 to 1"),
        (lambda: Lookahead(0), "Lookahead: every=0"),
        (lambda: Lookahead(5, power=-1), "power=-1"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_average_of_a_recipe():
    recipe = training.Recipe("ours", None, 2, 8, 0.1, options={"momentum": 0.9}, average=EMA(0.9))
    model = network()
    training.fit(model, (X, LABELS), recipe=recipe, progress=False)
    _, expected = start(None, EMA(0.9))
    np.testing.assert_array_equal(model.fc.weight.value, expected.fc.weight.value)
    plain = network()
    training.fit(plain, (X, LABELS), recipe=recipe, average=False, progress=False)
    _, expected = start(None, None)
    np.testing.assert_array_equal(plain.fc.weight.value, expected.fc.weight.value)


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_best_average_is_restored(on_disk, tmp_path):
    """The model ends with the average of the best epoch, and that is what was evaluated."""
    options = {"epochs": 6, "callbacks": [training.RestoreBest()], "metric": "loss"}
    history, model = start(
        tmp_path if on_disk else None, EMA(0.9), schedule="piecewise({0: 1, 3: 15})", **options
    )
    assert history.best_epoch < 6
    best = min(history.rows, key=lambda row: row["test_loss"])
    assert training.evaluate(model, (X, LABELS)).loss == best["test_loss"]
    assert history.evaluation.loss == best["test_loss"]


def test_half_an_epoch_of_accumulated_steps():
    """8 batches, three per update: 3 updates per epoch, and of 1.5 epochs 5."""
    record = Record()
    history, _ = start(None, EMA(0.9), epochs=1.5, accumulate=3, callbacks=[record])
    assert len(record.weights) == 5
    assert len(history.rows) == 2
