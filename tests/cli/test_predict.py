"""`minicnn predict`: tables, CSV and JSON."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import models


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


def test_broken_files_are_named_and_the_others_predicted(run, checkpoint, tmp_path):
    (tmp_path / "in" / "9.png").write_bytes(b"nothing")
    error = run("predict", checkpoint, "in", "--csv", "p.csv", code=2)
    assert "9.png: it cannot be read as an image" in error
    assert (tmp_path / "p.csv").read_text().count("\n") == 5
