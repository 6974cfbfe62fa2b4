"""Checkpoints: what a resumed run must have in common with the first, and a disk that is full."""

import errno
import json

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import training
from minicnn.data import Dataset, Preprocess, RandomResizedCrop, RandomShift, load
from minicnn.errors import CheckpointError, TrainingError
from minicnn.layers import Flatten, Linear, Network, ReLU, Sequential
from minicnn.training import checkpoint
from minicnn.training.configuration import describe, identity
from minicnn.weights import safetensors

X = np.random.default_rng(0).random((64, 8, 8, 1)).astype(np.float32)
LABELS = np.arange(64) % 2


def start(out, resume=False, data=(X, LABELS), rule=training.SGD, model=None, **changed):
    minicnn.seed(0)
    model = model or Sequential(Flatten(), Linear(64, 2))
    names = ("momentum", "weight_decay", "nesterov", "form", "betas", "eps", "decay")
    settings = {name: changed.pop(name) for name in names if name in changed}
    optimizer = rule(model.parameters(), lr=0.1, **settings)
    options = {"epochs": 2, "batch_size": 8, "schedule": "constant"} | changed
    history = training.fit(
        model, data, optimizer=optimizer, out=out, resume=resume, progress=False, **options
    )
    return history, model


def other_loss(outputs, labels):
    return minicnn.softmax_cross_entropy(outputs, labels)


CHANGES = [
    (training.SGD, {"momentum": 0.9}, "momentum was 0.0 and is now 0.9"),
    (training.SGD, {"weight_decay": 1e-3}, "weight_decay was 0.0 and is now 0.001"),
    (training.SGD, {"nesterov": True}, "nesterov was False"),
    (training.SGD, {"form": "caffe"}, "form was 'torch'"),
    (training.Adam, {"betas": (0.8, 0.9)}, r"betas was \[0.9, 0.999\] and is now \[0.8, 0.9\]"),
    (training.RMSProp, {"decay": 0.9}, "decay was 0.99"),
    (training.SGD, {"augment": RandomShift(1)}, r"augment was 'None' and is now 'RandomShift"),
    (training.SGD, {"loss": other_loss}, "loss was 'SoftmaxCrossEntropy.*other_loss"),
    (training.SGD, {"preprocess": np.abs}, "preprocess was 'None'"),
    (training.SGD, {"schedule": training.StepDecay(1)}, "schedule was .Constant.* now .StepDecay"),
    (training.SGD, {"data": (X[::-1].copy(), LABELS)}, "data was 'own data, 64 images, hash"),
    (training.SGD, {"data": (X, LABELS[::-1].copy())}, "data was 'own data, 64 images, hash"),
    (
        training.SGD,
        {"model": Sequential(Flatten(), ReLU(), Linear(64, 2))},
        r"network was '1: Linear\(64, 2.*' and is now '1: ReLU",
    ),
]


@pytest.mark.parametrize(("rule", "change", "message"), CHANGES)
def test_a_changed_run_is_not_resumed(rule, change, message, tmp_path):
    start(tmp_path, rule=rule)
    with pytest.raises(CheckpointError, match=f"it belongs to another run: .*{message}"):
        start(tmp_path, resume=True, rule=rule, epochs=3, **change)
    assert len(start(tmp_path, resume=True, rule=rule, epochs=3)[0].rows) == 3


def test_numbers_of_numpy_are_settings_like_others(tmp_path):
    """They are saved, and equal Python's when the run is resumed."""
    numpys = {"epochs": np.int64(2), "batch_size": np.int64(8), "seed": np.int64(3)}
    start(tmp_path, **numpys, accumulate=np.int32(2), momentum=np.float64(0.5))
    start(tmp_path, resume=True, epochs=3, seed=3, accumulate=2, momentum=0.5)
    rate = training.StepDecay(np.float32(1), np.float32(0.5))
    history, _ = start(tmp_path / "rate", epochs=np.float32(2), schedule=rate)
    assert history.column("learning_rate") == [0.1, 0.05]


@pytest.mark.parametrize("name", ["rows", "configuration"])
def test_a_training_state_that_lacks_something(name, tmp_path):
    start(tmp_path)
    path = tmp_path / checkpoint.LAST
    tensors, metadata = safetensors.read(path)
    state = json.loads(metadata[checkpoint.STATE])
    del state[name]
    safetensors.write(path, tensors, metadata | {checkpoint.STATE: json.dumps(state)})
    with pytest.raises(CheckpointError, match=f"its training state lacks {name}"):
        start(tmp_path, resume=True, epochs=3)


def test_a_run_that_is_not_resumed_leaves_the_model_as_it_was(tmp_path):
    def network():
        minicnn.seed(1)
        return Network(Flatten(), Linear(64, 2), input_shape=(8, 8, 1))

    data = Dataset(X, LABELS, ("ant", "bee"))
    start(tmp_path, model=network(), data=data)
    model, fresh = network(), network()
    model.classes, model.trained_on = ("cat", "dog"), "pets"
    with pytest.raises(CheckpointError, match="it belongs to another run"):
        start(tmp_path, resume=True, model=model, data=data, preprocess=np.abs)
    assert (model.classes, model.preprocess, model.trained_on) == (("cat", "dog"), None, "pets")
    for name, array in fresh.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


class Killed(training.Callback):
    """Ends the process's work in the middle of an epoch, as a kill would."""

    def on_step_end(self, trainer, loss):
        if trainer.iteration == 4:
            raise KeyboardInterrupt


def test_windows_of_files_go_on_where_a_killed_run_stopped(tmp_path):
    """Bit-identical, though the originals that were decoded before the kill are gone."""
    generator = np.random.default_rng(0)
    for i in range(14):
        path = tmp_path / "images" / "train" / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (40 + i, 60, 3), np.uint8)).save(path)
    settings = {
        "batch_size": 5,
        "preprocess": Preprocess((8, 8), 3),
        "augment": RandomResizedCrop(8, flip=0.5),
        "checkpoint_seconds": 0,
    }

    def run(out, **more):
        train, _ = load(str(tmp_path / "images"), 8, lambda line: None, originals=True)
        model = Sequential(Flatten(), Linear(8 * 8 * 3, 2))
        return start(tmp_path / out, data=train, model=model, **settings, **more)

    _, whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("parts", callbacks=[Killed()])
    _, parts = run("parts", resume=True)
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(parts.state_dict()[name], array)


def test_frozen_parameters_belong_to_the_run(tmp_path):
    start(tmp_path)
    model = Sequential(Flatten(), Linear(64, 2))
    model[1].bias.lr_multiplier = 0.0
    message = r"of 1\.bias was \[1\.0, 1\.0\] and is now \[0\.0, 1\.0\]"
    with pytest.raises(CheckpointError, match=message):
        start(tmp_path, resume=True, model=model)


@pytest.mark.parametrize("schedule", ["cosine", "polynomial", "onecycle"])
def test_more_epochs_under_a_schedule_that_depends_on_them(schedule, tmp_path):
    start(tmp_path, schedule=schedule)
    with pytest.raises(CheckpointError, match="epochs was 2 and is now 4, and the learning rate"):
        start(tmp_path, resume=True, schedule=schedule, epochs=4)


@pytest.mark.parametrize("schedule", ["constant", "inverse", training.StepDecay(1)])
def test_more_epochs_under_a_schedule_that_does_not(schedule, tmp_path):
    _, whole = start(tmp_path / "whole", schedule=schedule, epochs=4)
    start(tmp_path / "parts", schedule=schedule)
    _, model = start(tmp_path / "parts", resume=True, schedule=schedule, epochs=4)
    np.testing.assert_array_equal(model[1].weight.value, whole[1].weight.value)


class FillDisk(training.Callback):
    """From the end of the first epoch on, nothing can be written."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def on_epoch_end(self, trainer, row):
        def full(handle):
            raise OSError(errno.ENOSPC, "No space left on device")

        self.monkeypatch.setattr("os.fsync", full)


def test_a_full_disk(tmp_path, monkeypatch):
    """One sentence with the path, the old file whole, no temporary file left."""
    with pytest.raises(CheckpointError, match="safetensors: cannot be written: No space left"):
        start(tmp_path, callbacks=[FillDisk(monkeypatch)], epochs=3)
    monkeypatch.undo()
    files = {checkpoint.LAST, checkpoint.BEST, "history.csv", "config.toml"}
    assert {p.name for p in tmp_path.iterdir()} == files
    history, model = start(tmp_path, resume=True, epochs=3)
    _, whole = start(None, epochs=3)
    assert len(history.rows) == 3
    np.testing.assert_array_equal(model[1].weight.value, whole[1].weight.value)


def test_a_history_that_cannot_be_written(tmp_path, monkeypatch):
    history, _ = start(None)
    history.save_csv(tmp_path / "history.csv")
    before = (tmp_path / "history.csv").read_bytes()

    def full(self, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("csv.DictWriter.writerows", full)
    with pytest.raises(TrainingError, match=r"history\.csv: cannot be written: No space left"):
        history.save_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]


def test_data_are_told_apart_by_their_contents(monkeypatch):
    dataset = minicnn.data.Dataset(X, LABELS)
    changed = minicnn.data.Dataset(np.where(X[5, 1, 2, 0] == X, 0, X), LABELS)
    assert identity(dataset) == identity(minicnn.data.Dataset(X.copy(), LABELS.copy()))
    assert identity(dataset) != identity(changed)
    monkeypatch.setattr("minicnn.training.configuration.HASHED_BYTES", 0)  # only a sample
    assert identity(dataset) != identity(minicnn.data.Dataset(X + 1, LABELS))


class Plain:
    def __init__(self, p):
        self.p = p

    def __call__(self, images, generator):
        return images


def test_settings_as_text():
    assert describe(Plain(3)) == describe(Plain(3)) == "Plain(p=3)"
    assert describe(other_loss).endswith("test_checkpoint.other_loss")
    assert "0x" not in describe([other_loss])


def test_the_optimizers_parameters_in_another_order(tmp_path):
    """Its state goes by position, and these have the same shapes."""

    def run(order, resume):
        minicnn.seed(0)
        model = Sequential(Flatten(), Linear(64, 64), Linear(64, 64))
        parameters = [model.parameters()[i] for i in order]
        rule = training.SGD(parameters, lr=0.1, momentum=0.9)
        options = {"epochs": 1 + resume, "batch_size": 8, "out": tmp_path, "progress": False}
        training.fit(model, (X, LABELS), optimizer=rule, resume=resume, **options)

    run([0, 1, 2, 3], resume=False)
    message = "the optimizer's order of parameters was '1.weight' and is now '2.weight'"
    with pytest.raises(CheckpointError, match=message):
        run([2, 3, 0, 1], resume=True)
    run([0, 1, 2, 3], resume=True)


def test_an_optimizer_that_has_made_steps_before_the_run(tmp_path):
    """Adam's correction of its averages depends on their number."""

    def fit(out, resume, epochs):
        minicnn.seed(0)
        model = Sequential(Flatten(), Linear(64, 2))
        optimizer = training.Adam(model.parameters())
        optimizer.steps = 0 if resume else 5
        options = {"optimizer": optimizer, "epochs": epochs, "out": out, "progress": False}
        training.fit(model, (X, LABELS), schedule="constant", resume=resume, **options)
        return model[1].weight.value

    whole = fit(tmp_path / "whole", resume=False, epochs=2)
    fit(tmp_path / "parts", resume=False, epochs=1)
    np.testing.assert_array_equal(fit(tmp_path / "parts", resume=True, epochs=2), whole)
