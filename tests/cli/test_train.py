"""`minicnn train`: weights to start from, and frozen layers."""

import numpy as np
import pytest
from PIL import Image

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
