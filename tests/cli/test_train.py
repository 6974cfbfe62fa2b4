"""`minicnn train`: weights to start from, frozen layers, configurations, and what it says."""

import tomllib

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import minicnn
from minicnn import models
from minicnn.weights import load_state


@pytest.fixture
def folder(tmp_path):
    """Images of two colors, and weights for ten classes with their own preprocessing."""
    for name, color in {"ant": (220, 30, 30), "bee": (30, 220, 30)}.items():
        for i in range(10):
            path = tmp_path / "images" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), color).save(path)
    source = models.create("resnet20_cifar", seed=0)
    source.preprocess = minicnn.data.Preprocess((32, 32), 3, mean=0.4, std=0.3)
    minicnn.save(source, tmp_path / "w.safetensors")
    return tmp_path


def test_fine_tuning(run, folder):
    arguments = ("train", "resnet20_cifar", "--data", "images", "--weights", "w.safetensors")
    options = ("--freeze", "conv1", "--freeze", "bn1", "--freeze", "layer[12]", "--out", "run")
    said = run(*arguments, *options, "--epochs", 2, "--batch-size", 8, "--lr", 0.01)
    assert "w.safetensors: its 10 classes are not the 2 of resnet20_cifar: linear starts fr" in said
    before, after = (
        load_state(folder / "w.safetensors"),
        load_state(folder / "run/last.safetensors"),
    )
    changed = {n.split(".")[0] for n in after if not np.array_equal(before[n], after[n])}
    assert changed == {"layer3", "linear"}
    model = minicnn.load(folder / "run" / "last.safetensors")
    assert (model.preprocess.mean, model.preprocess.std) == (0.4, 0.3)
    error = run(*arguments, "--out", "run", "--resume", "--epochs", 3, "--lr", 0.01, code=2)
    assert "it belongs to another run" in error
    run(*arguments, *options, "--resume", "--epochs", 3, "--batch-size", 8, "--lr", 0.01)


def test_what_a_file_or_a_recipe_switches_on_can_be_switched_off(run, folder, monkeypatch):
    given = {}

    def fit(*_, **options):
        given.update(options)
        raise ValueError("no training here")

    monkeypatch.setattr("minicnn.cli.train.fit", fit)
    flags = ("restore_best", "tensorboard", "skip_broken", "sync_bn")
    lines = ["[train]", "ema = 0.9", *(f"{flag} = true" for flag in flags)]
    (folder / "c.toml").write_text("\n".join(lines))
    arguments = ("train", "resnet20_cifar", "--data", "images", "--config", "c.toml")
    run(*arguments, code=2)
    assert (given["sync_bn"], repr(given["average"]), len(given["callbacks"])) == (
        *(True, "EMA(decay=0.9)", 4),
    )
    run(*arguments, *(f"--no-{flag.replace('_', '-')}" for flag in (*flags, "average")), code=2)
    assert (given["sync_bn"], given["average"], len(given["callbacks"])) == (False, False, 2)


def test_names_and_files_that_do_not_exist(run, folder):
    arguments = ("train", "resnet20_cifar", "--data", "images")
    assert "'' is neither a data set" in run("train", "lenet5", "--data", "", code=2)
    assert "no layer or parameter 'layer4'; did you mean layer3" in run(
        *arguments, "--freeze", "layer4", code=2
    )
    assert "none.pth: cannot be read: No such file" in run(
        *arguments, "--weights", "none.pth", code=2
    )


def test_workers_decode_and_change_nothing(run, folder, monkeypatch):
    made = []

    class Counted(minicnn.data.Loader):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self.workers)

    monkeypatch.setattr("minicnn.training.arguments.Loader", Counted)
    arguments = ("train", "resnet20_cifar", "--data", "images", "--epochs", 1, "--out", "run")
    run(*arguments, "--workers", 3)
    assert made == [3]
    assert "workers = 3" in (folder / "run" / "config.toml").read_text(encoding="utf-8")
    run(*arguments, "--workers", 1, "--resume")  # another number continues the same run
    assert made == [3, 1]
    assert "--workers" in run(*arguments, "--workers", 0, code=2)


def test_schedules_are_the_same_in_help_and_error(run):
    error = run("train", "lenet5", "--schedule", "steps", code=2)
    names = error.partition("expected one of ")[2].partition("  (")[0].strip()
    assert "step, multistep" in names
    shown = " ".join(run("train", "--help").replace("│", " ").split())
    assert all(name in shown for name in names.split(", "))
    missing = run("train", "lenet5", "--schedule", "step", code=2)
    assert "schedule='step': missing a required argument: 'size'; expected step(size: " in missing


EVERY_OPTION = (
    *("--epochs", 2, "--lr", 0.02, "--schedule", "step(1, 0.5)", "--warm-up", 0.5),
    *("--momentum", 0.8, "--weight-decay", 0.001, "--clip-norm", 5, "--accumulate", 2),
    *("--label-smoothing", 0.1, "--class-weights", "balanced", "--metric", "loss"),
    *("--early-stop", 5, "--min-delta", 0.001, "--restore-best", "--val", 0.1, "--limit", 150),
    *("--ema", 0.9),
    *("--seed", 3, "-o", "num_classes=10"),
)


def test_a_run_is_repeated_from_its_configuration(run, tmp_path):
    """To the bit, with every option; those on the command line come before the file's."""
    run("train", "lenet5", "--data", "digits", *EVERY_OPTION, "--out", "first")
    run("train", "--config", "first/config.toml", "--out", "second")
    for name in ("last.safetensors", "best.safetensors"):
        first, second = (load_file(tmp_path / folder / name) for folder in ("first", "second"))
        assert set(first) == set(second)
        for key, value in first.items():
            np.testing.assert_array_equal(second[key], value)
    tables = [
        tomllib.loads((tmp_path / name / "config.toml").read_text(encoding="utf-8"))
        for name in ("first", "second")
    ]
    assert tables[0]["settings"] == tables[1]["settings"]
    assert tables[0]["train"] == tables[1]["train"]
    assert tables[0]["train"]["clip_norm"] == 5.0
    assert tables[0]["settings"]["accumulate"] == 2
    said = run(
        *("train", "--config", "first/config.toml", "--epochs", 1, "--lr", 0.5, "--out", "third")
    )
    assert "epoch 1/1" in said
    third = tomllib.loads((tmp_path / "third/config.toml").read_text(encoding="utf-8"))
    assert third["train"] == tables[0]["train"] | {"epochs": 1, "lr": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[train]\nmodel = "lenet5"\nepochz = 3',
            "epochz = 3: expected one of model, data, epochs",
        ),
        ('[train]\nmodel = "lenet5"\nepochs = "3"', "epochs = '3': expected a number"),
        ('[train]\nmodel = "lenet5"\nseed = true', "seed = True: expected a whole number"),
        ('[train]\nmodel = "lenet5"\nseed = 1.5', "seed = 1.5: expected a whole number"),
        (
            '[train]\nmodel = "lenet5"\nbatch-size = 0',
            "batch-size = 0: expected a whole number (at least 1)",
        ),
        ('[train]\nmodel = "lenet5"\nlr = -1', "lr = -1: expected a number (at least 0)"),
        ('[train]\nmodel = "lenet5"\noption = [3]', "option = [3]: expected a list of texts"),
        ('[train]\nmodel = "lenet5"\nout = 3', "out = 3: expected text"),
        ('[train]\nmodel = "lenet5"\nschedule = "foo"', "schedule='foo': expected one of"),
        ("[train]\nepochs = 3", "Missing argument"),
        ("epochs = 3", "bad.toml: it has no table [train] with options of minicnn train"),
        ("epochs = ", "bad.toml: it is not a TOML file: Invalid value"),
    ],
)
def test_configurations_that_are_none(run, tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    said = run("train", "--config", "bad.toml", code=2)
    assert message in " ".join(said.replace("│", " ").split())


def test_what_happens_to_images_is_said(run):
    said = run("train", "lenet5", "--data", "digits", "--epochs", 1, "--limit", 64)
    assert "recipe: minicnn's own" in said
    assert "images: RandomShift(pixels=2), normalize" in said
