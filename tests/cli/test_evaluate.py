"""`minicnn evaluate`: protocols, what it prints, its CSV, errors, and classes by name."""

import csv

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from minicnn import data, models, save
from minicnn.cli import app
from minicnn.data.synsets import synsets
from minicnn.evaluation import PROTOCOLS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two networks of ImageNet that were not trained, and photographs of six of its classes."""
    folder, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for synset in synsets()[3:900:170]:
        path = folder / "images" / "val" / synset.wnid / f"{synset.wnid}_a.JPEG"
        path.parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (80, 110, 3), np.uint8)).save(path)
    for seed in (0, 1):
        network = models.create("alexnet", seed=seed, hidden=8, input_size=67)
        save(network, folder / f"{seed}.safetensors")
    return folder


@pytest.fixture
def command(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def run(*arguments):
        return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])

    return run


def test_a_folder_of_photographs_with_no_flag(command):
    done = command("0.safetensors", "--data", "images")
    assert done.exit_code == 0, done.output
    assert "top-1" in done.output and "(6 test images)" in done.output
    assert "no train images" not in done.output, "none are needed"
    rows = [line for line in done.output.splitlines() if "%" in line and "│" in line]
    assert len(rows) == 6 and any("tiger shark" in row for row in rows), "classes with images"


@pytest.mark.parametrize("protocol", ["alexnet_10", "resnet_dense"])
def test_a_protocol_and_its_csv(command, folder, protocol):
    options = ("--protocol", protocol, "--scales", "224,256", "--csv", "found.csv")
    done = command("0.safetensors", "--data", "images", *options)
    assert done.exit_code == 0, done.output
    assert f" by {protocol}" in done.output and "top-1 error" in done.output
    with open(folder / "found.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [synset.name for synset in synsets()[3:900:170]]
    assert rows[0]["image"].endswith("images/val/n01491361/n01491361_a.JPEG")
    assert all(row["prediction_5"] for row in rows)


def test_an_ensemble_is_the_mean(command, folder):
    _, images = data.load(str(folder / "images"), 67, lambda line: None)
    found = []
    for names in (["0"], ["1"], ["0", "1"]):
        files = [f"{name}.safetensors" for name in names]
        done = command(*files, "--data", "images", "--csv", "ensemble.csv")
        assert done.exit_code == 0, done.output
        with open(folder / "ensemble.csv", encoding="utf-8", newline="") as file:
            found.append([float(row["probability"]) for row in csv.DictReader(file)])
    assert "alexnet + alexnet: " in done.output and len(found[2]) == len(images)
    assert all(c <= (a + b) / 2 + 1e-5 for a, b, c in zip(*found, strict=True))


def test_the_list_of_protocols(command):
    done = command("--protocol", "list")
    assert done.exit_code == 0, done.output
    assert all(name in done.output for name in PROTOCOLS)
    assert "Szegedy et al. 2014, section 7" in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocol", "ten"], "protocol='ten': expected one of center, alexnet_10"),
        (["--scales", "256"], "--scales 256 is for a protocol: add --protocol NAME"),
        (["--scales", "256,a", "--protocol", "vgg_dense"], "--scales 256,a: expected lengths"),
        (["--scales", "100", "--protocol", "vgg_dense"], "of at least 224"),
        (["--csv", "nowhere/x.csv"], "--csv nowhere/x.csv: there is no folder"),
    ],
)
def test_options_that_mean_nothing(command, options, message):
    done = command("0.safetensors", "--data", "images", *options)
    assert done.exit_code and message in str(done.exception)


def test_classes_are_matched_by_name_and_files_as_in_training(run, tmp_path):
    """Trained on three colors, evaluated on two of them, predicted from the very files."""
    colors = {"ant": (200, 30, 30), "bee": (30, 200, 30), "cat": (30, 30, 200)}
    for root, classes in (("all", "ant bee cat"), ("few", "bee cat"), ("odd", "bee dog")):
        for name in classes.split():
            for i in range(10):
                path = tmp_path / root / ("val" if i > 7 else "train") / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (60, 20), colors.get(name, (9, 9, 9))).save(path)
    options = ("-o", "in_channels=3", "--epochs", 30, "--lr", 0.01, "--out", "run", "--val", 0.25)
    said = run("train", "lenet5", "--data", "all", *options)
    assert "validation loss" in said
    assert "100.00% test accuracy" in said
    for arguments in (("--data", "few"), ()):
        assert "100.00% test accuracy" in run("evaluate", "run/best.safetensors", *arguments)
    said = run("evaluate", "run/best.safetensors", "--data", "odd", code=2)
    assert "the network has no class dog; its 3 classes are ant, bee, cat" in said
    said = run("predict", "--top", 1, "run/best.safetensors", "all/val/bee", "few/val/cat")
    assert said.count("bee ") == said.count("cat ") == 2
