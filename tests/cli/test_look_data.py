"""`minicnn look` on a data set, and the filters of a network."""

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import data, models
from minicnn.study import look
from minicnn.training.metrics import preprocess_of


@pytest.fixture
def checkpoint(tmp_path):
    """LeNet-5 that was trained on nothing."""
    minicnn.save(models.create("lenet5", seed=0), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_patches(run, checkpoint, tmp_path):
    options = ("--data", "digits", "--limit", 40)
    said = run("look", "patches", checkpoint, *options, "--count", 1)
    assert "C3: strongest of 40 images of digits" in said
    with Image.open(tmp_path / "patches.png") as picture:
        assert picture.height > 5 * picture.width, "12 rows"
    unit = ("--layer", "F6", "--unit", 80, "--count", 2)
    said = run("look", "patches", checkpoint, *options, *unit)
    assert "F6: strongest of 40" in said
    error = run("look", "patches", checkpoint, *options, "--layer", "F6", "--unit", 84, code=2)
    assert "unit=84: F6 has the units 0 to 83" in error


def test_mistakes(run, checkpoint, tmp_path):
    said = run("look", "mistakes", checkpoint, "--data", "digits", "--limit", 50, "--count", 4)
    network = minicnn.load(checkpoint)
    _, test = data.load("digits", preprocess_of(network).decode)
    rows = np.arange(50) * len(test) // 50
    found = look.mistakes(network, test[rows], 4)
    assert f"{found.wrong} of 50 images of digits are wrong ({found.wrong / 50:.2%})" in said
    first = found.examples[0]
    start = f"│ {rows[first.image]} "
    (line,) = [text for text in said.splitlines() if text.startswith(start)]
    assert f"{first.probability:.1%}" in line
    assert (tmp_path / "mistakes.png").exists()


def test_filters(run, checkpoint, tmp_path):
    assert "C1: 6 filters of 5x5 pixels" in run("look", "filters", checkpoint)
    assert (tmp_path / "filters.png").exists()
    error = run("look", "filters", checkpoint, "--layer", "C3", code=2)
    assert "C3 reads 6 maps; only filters of 1 or 3 can be drawn" in error
    error = run("look", "filters", checkpoint, "--layer", "S2", code=2)
    assert "--layer S2: expected one of C1, C3, C5" in error
