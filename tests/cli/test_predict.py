"""`minicnn predict`: tables, CSV and JSON."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import data, models


@pytest.fixture
def checkpoint(tmp_path):
    model = models.create("resnet20_cifar", seed=0, num_classes=3)
    model.classes = ("ant", 'a, "b"', "[bold]")
    minicnn.save(model, tmp_path / "w.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    (tmp_path / "in").mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "in" / f"{i}, {i}.png")
    return tmp_path / "w.safetensors"


def test_csv_instead_of_the_table(run, checkpoint):
    said = run("predict", checkpoint, "in", "--top", 2, "--csv", "-")
    rows = list(csv.DictReader(said.splitlines()))
    found = minicnn.predict(checkpoint, "in", top=2)
    assert len(rows) == 4
    for row, expected in zip(rows, found, strict=True):
        assert row["path"] == expected.path
        assert (row["class"], row["class_2"]) == tuple(name for name, _ in expected.top)
        assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-6)
        assert row["inverted"] == "false"


def test_a_table(run, checkpoint):
    said = run("predict", checkpoint, "in")
    assert "3, 3.png" in said
    assert "image" in said.splitlines()[1]
    assert "%" in said


def test_files_beside_the_output(run, checkpoint, tmp_path):
    said = run("predict", checkpoint, "in", "--csv", "p.csv", "--json", "p.json", "--top", 1)
    assert "3, 3.png" in said
    said = (tmp_path / "p.csv").read_text(encoding="utf-8")
    rows = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert [row["path"] for row in rows] == [
        row["path"] for row in csv.DictReader(said.split("\n"))
    ]
    assert set(rows[0]) == {"path", "class", "probability", "top", "inverted"}
    assert rows[0]["top"] == [{key: rows[0][key] for key in ("class", "probability")}]
    assert "none/p.csv: cannot be written: No such file" in run(
        "predict", checkpoint, "in", "--csv", "none/p.csv", code=2
    )
    for path in ("p", "-"):
        said = run("predict", checkpoint, "in", "--csv", path, "--json", path, code=2)
        assert f"--csv {path} --json {path}: expected two different files" in said


def test_broken_files_are_named_and_the_others_predicted(run, checkpoint, tmp_path):
    (tmp_path / "in" / "9.png").write_bytes(b"nothing")
    error = run("predict", checkpoint, "in", "--csv", "p.csv", code=2)
    assert "9.png: it cannot be read as an image" in error
    assert (tmp_path / "p.csv").read_text().count("\n") == 5


def test_evaluate_and_predict(run, tmp_path, trained):
    said = run("evaluate", trained / "best.safetensors", "--data", "digits")
    assert "top-1" in said
    assert "top-5" in said
    _, test = data.digits()
    names = []
    for i in (0, 1, 2):
        path = tmp_path / f"digit{i}.png"
        Image.fromarray(255 - test.images[i, ..., 0] if i else test.images[i, ..., 0]).save(path)
        names.append(path)
    said = run("predict", trained / "best.safetensors", *names, "--top", 2)
    lines = [line for line in said.splitlines() if "digit" in line]
    assert len(lines) == 3
    for i, line in enumerate(lines):
        assert f"{test.labels[i]} " in line.partition("%")[0].split("│")[2]
        assert ("inverted" in line) == (i > 0)
    (tmp_path / "broken.png").write_bytes(names[0].read_bytes()[:100])
    assert "broken.png: it cannot be read as an image" in run(
        "predict", trained / "best.safetensors", names[0], "broken.png", code=2
    )


def test_names_are_printed_as_they_are_and_never_cut(run, tmp_path, trained, monkeypatch):
    """Class names and paths with brackets, and paths that are wider than a terminal."""
    network = minicnn.load(trained / "best.safetensors")
    network.classes = ("[bold]", "[/red]", ":smile:", *network.classes[3:])
    minicnn.save(network, tmp_path / "own.safetensors")
    long = tmp_path / ("[dim]" + "n" * 150 + ".png")
    _, test = data.digits()
    Image.fromarray(test.images[0, ..., 0]).save(long)
    monkeypatch.setenv("COLUMNS", "40")
    said = run("predict", "own.safetensors", long, "--top", 10)
    row = next(line for line in said.splitlines() if str(long) in line)
    for name in network.classes:
        assert f"{name} " in row
    for label in (0, 1):
        folder = tmp_path / "own" / ("train", "val")[label] / "[bold]"
        folder.mkdir(parents=True)
        Image.fromarray(test.images[label, ..., 0]).save(folder / "1.png")
    assert "[bold]" in run("data", "own")


def test_predict_takes_folders_and_patterns(run, tmp_path, trained):
    """Every image below a folder, and patterns as cmd.exe hands them over."""
    (tmp_path / "in" / "side").mkdir(parents=True)
    for name in ("in/0.png", "in/side/1.png"):
        Image.new("L", (28, 28)).save(tmp_path / name)
    checkpoint = trained / "best.safetensors"
    said = run("predict", checkpoint, "in")
    assert "0.png" in said
    assert "1.png" in said
    assert "1.png" not in run("predict", checkpoint, "in/*.png")
    assert "none*.png: there is no image file" in run("predict", checkpoint, "none*.png", code=2)
