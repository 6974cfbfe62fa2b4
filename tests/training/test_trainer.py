"""The training loop: determinism, resuming, interruption, messages, logs."""

import csv
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import data, models, training
from minicnn.errors import CheckpointError, DataError, ShapeError, TrainingError
from minicnn.layers import (
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Network,
    Sequential,
)
from minicnn.training import checkpoint


def small_network():
    """A network with dropout, so that a resumed run must continue the random generator as well."""
    return Network(
        conv=Conv2d(1, 4, 5, stride=2, activation="relu"),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        drop=Dropout(0.3),
        fc=Linear(196, 10),
        input_shape=(32, 32, 1),
    )


PREPROCESS = data.Preprocess(size=(32, 32), mean=0.3, std=0.3)


@pytest.fixture(scope="module")
def digits():
    train, test = data.digits()
    return train.subset(slice(0, 300)), test.subset(slice(0, 100))


def run(digits, model=None, **options):
    minicnn.seed(1)
    model = model or small_network()
    options = {
        "epochs": 3,
        "batch_size": 32,
        "optimizer": "adam",
        "schedule": "cosine",
        "progress": False,
    } | options
    history = training.fit(
        model, *digits, preprocess=PREPROCESS, augment=data.RandomShift(2), **options
    )
    return model, history


def weights(model):
    return {name: array.copy() for name, array in model.state_dict().items()}


def assert_same(first, second):
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_same_seed_same_result(digits):
    first, history = run(digits)
    second, again = run(digits)
    assert_same(weights(first), weights(second))
    assert history.column("train_loss") == again.column("train_loss")
    third, _ = run(digits, seed=1)
    assert any((a != third.state_dict()[n]).any() for n, a in weights(first).items())


@pytest.mark.parametrize("last", [2, 99], ids=["error", "end"])
def test_modes_and_the_optimizers_rate_are_as_before(digits, last):
    """A second run with the same optimizer starts from the rate of the first one."""

    class Fail(training.Callback):
        def on_step_end(self, trainer, loss):
            assert trainer.iteration < last

    model = small_network().eval()
    model.drop.training = True
    optimizer = training.SGD(model.parameters(), 0.01)
    with nullcontext() if last == 99 else pytest.raises(AssertionError):
        run(digits, model, optimizer=optimizer, epochs=1, callbacks=[Fail()])
    assert [name for name, layer in model.named_layers() if layer.training] == ["drop"]
    assert optimizer.lr == 0.01


def test_history(digits, tmp_path):
    _, history = run(digits, out=tmp_path / "run")
    assert [row["epoch"] for row in history.rows] == [1, 2, 3]
    row = history.rows[-1]
    assert set(row) == set(training.history.COLUMNS)
    assert row["images_per_second"] == pytest.approx(300 / row["seconds"])
    assert 0 < row["test_accuracy"] == history.evaluation.accuracy <= 1
    assert history.evaluation.confusion.sum() == 100
    with (tmp_path / "run" / "history.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(r["train_loss"]) for r in written] == history.column("train_loss")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "last.safetensors",
        "best.safetensors",
        "history.csv",
        "config.toml",
    }
    best = minicnn.load(tmp_path / "run" / checkpoint.BEST, small_network())
    scores = history.column("test_accuracy")
    assert scores.index(max(scores)) + 1 == history.best_epoch
    assert training.evaluate(best, digits[1], preprocess=PREPROCESS).accuracy == max(scores)


class StopAt(training.Callback):
    """Raise in the middle of training, as a crash would, and let nothing be saved after it."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer, loss):
        if trainer.iteration == self.step:
            raise ConnectionAbortedError


@pytest.mark.parametrize("crash", [1, 5, 10, 11, 17, 29])
def test_resumed_run_is_bit_identical(digits, tmp_path, crash):
    """A crash after any step, with a checkpoint every step or only every epoch."""
    whole, expected = run(digits)
    for seconds in (0.0, 1e9):
        out = tmp_path / f"run{seconds:g}"
        with pytest.raises(ConnectionAbortedError):
            run(digits, out=out, callbacks=[StopAt(crash)], checkpoint_seconds=seconds)
        model, history = run(digits, out=out, resume=True)
        assert_same(weights(whole), weights(model))
        for column in (
            "train_loss",
            "train_accuracy",
            "test_loss",
            "test_accuracy",
            "learning_rate",
        ):
            assert history.column(column) == expected.column(column)


def test_finished_run_resumes_to_itself(digits, tmp_path):
    model, history = run(digits, out=tmp_path)
    again, same = run(digits, out=tmp_path, resume=True)
    assert_same(weights(model), weights(again))
    assert same.rows == history.rows
    assert same.evaluation.accuracy == history.evaluation.accuracy


def test_a_run_is_not_overwritten(digits, tmp_path):
    run(digits, out=tmp_path, epochs=1)
    with pytest.raises(TrainingError, match="already holds a run"):
        run(digits, out=tmp_path, epochs=1)


def test_another_run_is_not_resumed(digits, tmp_path):
    run(digits, out=tmp_path, epochs=1)
    with pytest.raises(
        CheckpointError,
        match="it belongs to another run: batch_size was 32 and is now 16; seed was 0 and is now 3",
    ):
        run(digits, out=tmp_path, batch_size=16, seed=3, resume=True)
    with pytest.raises(CheckpointError, match="optimizer was 'Adam' and is now 'SGD'"):
        run(digits, out=tmp_path, optimizer="sgd", resume=True)
    minicnn.save(small_network(), tmp_path / checkpoint.LAST)
    with pytest.raises(CheckpointError, match="no training state"):
        run(digits, out=tmp_path, resume=True)


SCRIPT = """
import sys
import minicnn
from minicnn import data, training
sys.path.insert(0, {tests!r})
from tests.training.test_trainer import PREPROCESS, small_network
minicnn.seed(1)
train, test = data.digits()
model = small_network()
print("ready", flush=True)
history = training.fit(
    model, train.subset(slice(0, 300)), test.subset(slice(0, 100)), epochs={epochs}, batch_size=16,
    optimizer="adam", schedule="cosine", augment=data.RandomShift(2), preprocess=PREPROCESS,
    out=sys.argv[1], resume=True, progress=False, checkpoint_seconds=0.02)
print("interrupted" if history.interrupted else "finished", flush=True)
"""


def start(out, epochs):
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", SCRIPT.format(tests=root, epochs=epochs), str(out)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    )


def finish(out, epochs):
    process = start(out, epochs)
    printed, complaint = process.communicate(timeout=300)
    assert process.returncode == 0, complaint
    assert "finished" in printed
    return minicnn.load(out / checkpoint.LAST, small_network()).state_dict()


def test_sigkill_at_random_moments(tmp_path):
    """A run that is killed 20 times at random moments, and resumed each time.

    Its final weights are bit-identical to those of an uninterrupted run.
    """
    epochs = 60
    expected = finish(tmp_path / "alone", epochs)
    generator = np.random.default_rng()  # new moments every time
    kills = 0
    for _ in range(60):
        process = start(tmp_path / "killed", epochs)
        process.stdout.readline()  # the interpreter has started: it may be killed from here on
        try:
            process.wait(timeout=generator.uniform(0.0, 0.25))
            process.communicate()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        for path in (tmp_path / "killed").glob("*.safetensors"):
            minicnn.load(path, small_network())  # whatever is there is whole
        if kills == 20:
            break
    assert kills == 20, "the run finished too early to be killed 20 times"
    assert_same(expected, finish(tmp_path / "killed", epochs))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_sigint_saves_and_ends_cleanly(tmp_path):
    epochs = 60
    expected = finish(tmp_path / "alone", epochs)
    process = start(tmp_path / "interrupted", epochs)
    while process.poll() is None and not (tmp_path / "interrupted" / checkpoint.LAST).exists():
        time.sleep(0.01)  # until the first step: SIGINT before it is no interruption of a run
    process.send_signal(signal.SIGINT)
    printed, complaint = process.communicate(timeout=300)
    assert (process.returncode, complaint) == (0, "")
    assert "interrupted" in printed
    assert_same(expected, finish(tmp_path / "interrupted", epochs))


class Interrupt(training.Callback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer, loss):
        if trainer.iteration == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("step", [1, 10, 13])
def test_interrupted_run_goes_on(digits, tmp_path, step):
    before = signal.getsignal(signal.SIGINT)
    whole, _ = run(digits)
    _, history = run(digits, out=tmp_path, callbacks=[Interrupt(step)])
    assert history.interrupted
    assert len(history.rows) == step // 10
    model, history = run(digits, out=tmp_path, resume=True)
    assert not history.interrupted
    assert_same(weights(whole), weights(model))
    assert signal.getsignal(signal.SIGINT) is before


def test_interruption_without_a_folder_is_a_keyboard_interrupt(digits):
    with pytest.raises(KeyboardInterrupt):
        run(digits, callbacks=[Interrupt(2)])


def test_infinite_loss_names_step_layer_and_checkpoint(digits, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(
            TrainingError,
            match=r"the loss is (nan|inf) at step \d+ \(epoch 2\): .*good checkpoint is .*last",
        ):
            run(
                digits,
                out=tmp_path,
                optimizer="sgd",
                lr=0.01,
                epochs=2,
                schedule=training.MultiStep([1], gamma=1e30),
            )


class Poison(training.Callback):
    def on_step_end(self, trainer, loss):
        if trainer.iteration == 4:
            trainer.model.fc.weight.value[3, 2] = np.nan


def test_bad_parameter_is_named(digits, tmp_path):
    with pytest.raises(
        TrainingError,
        match=r"the loss is nan at step 5 \(epoch 1\): "
        r"the parameter fc\.weight holds one; there is no checkp",
    ):
        run(digits, out=tmp_path, callbacks=[Poison()])
    with pytest.raises(
        TrainingError,
        match=r"after step 4 the parameter fc\.weight is not finite; "
        "the checkpoint .* is kept as it was",
    ):
        run(digits, out=tmp_path, callbacks=[Poison()], checkpoint_seconds=0.0)


def test_first_bad_layer_is_named():
    network = small_network()
    network.conv.weight.value[...] = 1e38
    x = np.ones((1, 32, 32, 1), np.float32)
    with np.errstate(all="ignore"):
        assert (
            "the first layer to give one is conv, Conv2d(1, 4, 5"
            in training.diagnose.first_bad_layer(network, x)
        )
    x[0, 0, 0, 0] = np.inf
    assert "the input already holds one" in training.diagnose.first_bad_layer(network, x)


def test_a_loss_at_chance_is_called_out(digits):
    network = small_network()
    network.fc.initialize(minicnn.layers.init.constant(0.0), 0.0)
    with pytest.warns(
        UserWarning,
        match=r"stayed at 2\.30\d = ln\(classes\) for 200 steps: the network is guessing",
    ):
        run(digits, network, epochs=25, lr=1e-12, optimizer="sgd")


def test_a_network_that_learns_is_not_called_out(digits):
    run(digits, epochs=25)  # warnings are errors


def test_early_stopping(digits, tmp_path):
    for resume in (False, True):  # resuming a run that was stopped changes nothing
        options = {"epochs": 50, "lr": 0.0, "optimizer": "sgd", "out": tmp_path, "resume": resume}
        _, history = run(digits, callbacks=[training.EarlyStopping(3)], **options)
        assert len(history.rows) == 4


class Scripted(training.Callback):
    """Puts given numbers in place of those of each epoch, before anything is chosen by them."""

    def __init__(self, monkeypatch, **columns):
        self.epoch, self.columns = 0, columns
        evaluate = training.trainer.evaluate

        def scripted(*arguments, **options):
            result = evaluate(*arguments, **options)
            changes = {k: v[min(self.epoch, len(v) - 1)] for k, v in columns.items()}
            return replace(result, **changes)

        monkeypatch.setattr(training.trainer, "evaluate", scripted)

    def on_epoch_end(self, trainer, row):
        self.epoch += 1


@pytest.mark.parametrize(
    ("metric", "min_delta", "epochs", "best"),
    [
        (None, 0.0, 5, 3),  # accuracy
        ("accuracy", 0.0, 5, 3),
        ("accuracy", 0.05, 4, 3),
        ("loss", 0.0, 6, 4),
        ("top5", 0.0, 3, 1),
    ],
)
def test_one_metric_chooses_and_stops(digits, monkeypatch, metric, min_delta, epochs, best):
    script = Scripted(
        monkeypatch,
        accuracy=[0.50, 0.60, 0.62, 0.55],
        loss=[1.0, 0.9, 0.8, 0.7, 0.75],
        top5=[0.9, 0.85],
    )
    stop = training.EarlyStopping(2, min_delta)
    _, history = run(digits, epochs=50, metric=metric, callbacks=[script, stop])
    assert (len(history.rows), history.best_epoch) == (epochs, best)


def seeded():
    minicnn.seed(1)
    return small_network()


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_best_weights_are_restored(digits, monkeypatch, tmp_path, on_disk):
    """Those of the best epoch, not of the last; also after a resume of the finished run."""
    options = {"schedule": "constant"} | ({"out": tmp_path} if on_disk else {})
    model, reference = seeded(), seeded()
    _, expected = run(digits, reference, epochs=2, schedule="constant")
    script = Scripted(monkeypatch, accuracy=[0.5, 0.9, 0.6, 0.55])
    stop = training.EarlyStopping(2, restore=True)
    _, history = run(digits, model, epochs=9, callbacks=[script, stop], **options)
    assert (len(history.rows), history.best_epoch) == (4, 2)
    for name, value in reference.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], value)
    assert history.evaluation.loss == expected.evaluation.loss
    if on_disk:
        last = minicnn.load(tmp_path / checkpoint.LAST, small_network())
        assert any((last.state_dict()[n] != v).any() for n, v in reference.state_dict().items())
        again = seeded()
        stop = training.EarlyStopping(2, restore=True)
        run(digits, again, epochs=9, callbacks=[stop], resume=True, **options)
        for name, value in reference.state_dict().items():
            np.testing.assert_array_equal(again.state_dict()[name], value)


def test_without_a_best_epoch_the_last_weights_stay(digits, monkeypatch):
    """Of a metric that is never a number, no epoch is the best."""
    script = Scripted(monkeypatch, loss=[float("nan")] * 3)
    callbacks = [script, training.RestoreBest()]
    _, history = run(digits, epochs=3, metric="loss", callbacks=callbacks)
    assert (len(history.rows), history.best_epoch) == (3, None)


def test_metrics_that_cannot_be_chosen_by(digits):
    with pytest.raises(ValueError, match="metric='f1': expected one of accuracy, loss, top5"):
        run(digits, metric="f1")
    options = {"preprocess": PREPROCESS, "progress": False}
    with pytest.raises(ValueError, match="of more than 5 classes; there are none"):
        training.fit(small_network(), digits[0], metric="top5", **options)


def test_settings_by_name(digits):
    """Momentum, weight decay and warm-up are those of the objects with these arguments."""
    network, other = seeded(), seeded()
    by_name = {"momentum": 0.5, "weight_decay": 0.01, "warm_up": 1.5, "schedule": "step(2, 0.5)"}
    run(digits, network, optimizer="sgd", lr=0.1, **by_name)
    rule = training.SGD(other.parameters(), lr=0.1, momentum=0.5, weight_decay=0.01)
    run(digits, other, optimizer=rule, schedule=training.WarmUp(1.5, training.StepDecay(2, 0.5)))
    np.testing.assert_array_equal(network.fc.weight.value, other.fc.weight.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam", "momentum": 0.9}, "momentum=0.9: Adam has no momentum; it has lr,"),
        ({"optimizer": "sgd", "momentum": 2.0}, "momentum=2.0: expected 0 <= momentum < 1"),
        (
            {"warm_up": 3, "schedule": "inverse"},
            "warm_up=3 is in epochs; the schedule counts steps",
        ),
        (
            {"warm_up": 3, "schedule": training.WarmUp(2)},
            "warm_up=3: the schedule warms up already",
        ),
        ({"warm_up": -1}, "WarmUp: length=-1: expected a positive number of epochs"),
    ],
)
def test_settings_that_do_not_fit(digits, options, message):
    with pytest.raises(ValueError, match=message):
        run(digits, **options)


def test_tensorboard(digits, tmp_path):
    pytest.importorskip("tensorboardX", reason="the tensorboard extra is not installed")
    run(digits, out=tmp_path, callbacks=[training.TensorBoardLog()])
    events = list(tmp_path.glob("events.out.tfevents.*"))
    assert events
    assert b"test_accuracy" in events[0].read_bytes()


def test_lines_of_progress(digits, capsys):
    run(digits, epochs=2, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1/2: loss ")
    assert "images/s" in lines[1]


def test_own_network_on_own_arrays():
    """No recipe, no Dataset: float images and labels as they are."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 240)
    x = generator.normal(0, 0.3, (240, 6, 5, 2)).astype(np.float32)
    x[np.arange(240), :, labels, 0] += 2  # a stripe tells the class
    model = Sequential(Conv2d(2, 6, 3, activation="relu"), GlobalAvgPool2d(), Linear(6, 3))
    history = training.fit(model, (x, labels), epochs=15, lr=0.1, progress=False)
    assert history.rows[-1]["train_accuracy"] > 0.9
    assert history.rows[-1]["test_accuracy"] is None
    assert training.evaluate(model, (x, labels)).accuracy > 0.9


def test_arguments_are_checked(digits):
    with pytest.raises(ValueError, match="epochs=0"):
        run(digits, epochs=0)
    with pytest.raises(ValueError, match="batch_size=0"):
        run(digits, batch_size=0)
    with pytest.raises(ValueError, match="optimizer='sdg': expected one of sgd, adam"):
        run(digits, optimizer="sdg")
    with pytest.raises(ValueError, match="schedule='linear'"):
        run(digits, schedule="linear")
    with pytest.raises(ValueError, match="schedule='step': missing a required argument: 'size'"):
        run(digits, schedule="step")
    with pytest.raises(
        DataError, match="the labels are int64 \\(299,\\); expected integers \\(300,\\)"
    ):
        run(((digits[0].images, digits[0].labels[:-1]), None))
    network = Sequential(Conv2d(1, 4, 5), Flatten(), Linear(10, 10))
    with pytest.raises(ShapeError, match=r"^2: Linear\(10, 10\): the input has shape"):
        run(digits, network)
    too_few = Sequential(Conv2d(1, 4, 5, stride=4), Flatten(), Linear(196, 7))
    with pytest.raises(
        ShapeError, match=r"labels run from \d to \d; the network has classes 0 to 6"
    ):
        run(digits, too_few)


def test_models_recipe_is_followed(digits):
    model = models.create("lenet_caffe", seed=0)
    optimizer = model.recipe.make_optimizer(model)
    assert (optimizer.form, optimizer.momentum, optimizer.weight_decay) == ("caffe", 0.9, 5e-4)
    names = [name for name, _ in model.named_parameters()]
    multipliers = dict(zip(names, optimizer.effective_multipliers(), strict=True))
    assert multipliers["conv1.bias"] == (2.0, 1.0)
    assert multipliers["conv1.weight"] == (1.0, 1.0)
    assert model.recipe.schedule.at(1000, 938, 11) == pytest.approx((1 + 1e-4 * 1000) ** -0.75)
