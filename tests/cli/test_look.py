"""`minicnn look` on images: pictures, captions and errors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import models
from minicnn.cli.look import names_of, parse_unit
from minicnn.prediction import network_inputs
from minicnn.study import look


@pytest.fixture
def checkpoint(tmp_path):
    """LeNet-5 with three named classes, and two images."""
    model = models.create("lenet5", seed=0, num_classes=3)
    model.classes = ("ant", "bee", "cow")
    minicnn.save(model, tmp_path / "w.safetensors")
    for i, image in enumerate(np.random.default_rng(0).integers(0, 256, (2, 28, 28), np.uint8)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    return tmp_path / "w.safetensors"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("saliency", ()),
        ("guided", ()),
        ("gradcam", ("--layer", "S2")),
        ("occlusion", ("--size", 16, "--stride", 16, "--fill", 1.5)),
    ],
)
def test_maps_of_a_class(run, checkpoint, tmp_path, command, options):
    files = ["0.png", "1.png"] if command == "gradcam" else ["0.png"]
    said = run("look", command, checkpoint, *files, "--class", "bee", *options)
    x = network_inputs(minicnn.load(checkpoint), files)
    for i, own in enumerate(look.scored(minicnn.load(checkpoint), x, "bee")):
        assert f"{i}.png: bee ({own.probability:.1%}, score {own.score:.3g})" in said
    assert f"picture: {command}.png" in said
    with Image.open(tmp_path / f"{command}.png") as picture:
        assert picture.height > 250 * len(files)


def test_a_unit(run, checkpoint, tmp_path):
    unit = ("--layer", "C3", "--unit", "4", "--out", "a.png")
    network = minicnn.load(checkpoint)
    for command in ("guided", "deconv"):
        said = run("look", command, checkpoint, "0.png", *unit)
        (answer,) = look.unit_activations(network, network_inputs(network, "0.png"), "C3", 4)
        places = ",".join(map(str, answer.unit))  # as --unit takes them
        assert f"0.png: C3, unit {places}: {answer.activation:.3g}" in said
        (tmp_path / "a.png").unlink()


def test_what_does_not_fit_is_named(run, checkpoint, tmp_path):
    for command, words in (
        (("saliency", "0.png", "--class", "bea"), "no class 'bea'; did you mean bee"),
        (("saliency", "0.png", "--layer", "C1"), "expected both --layer and --unit, or neither"),
        (
            ("guided", "0.png", "--layer", "C1", "--unit", "1", "--class", "ant"),
            "--class ant is not for a unit",
        ),
        (("deconv", "0.png", "--layer", "C1", "--unit", "6"), "C1 has the units 0 to 5"),
        (("deconv", "0.png", "--layer", "C1", "--unit", "x"), "--unit x: expected K, or ROW"),
        (
            ("deconv", "0.png", "--layer", "C9", "--unit", "1"),
            "parameter 'C9'; it has C1, S2, C3",
        ),
        (("gradcam", "0.png", "--layer", "F6"), "layer='F6' returns (1, 84); expected maps"),
        (("occlusion", "0.png", "--size", "99"), "size=99: expected 1 to 32 pixels"),
        (("saliency", "0.png", "--out", "a.text"), "a.text: expected a name that ends in one of"),
        (("saliency", "0.png", "--out", "b/a.png"), "there is no folder b"),
        (("saliency", "9.png"), "9.png"),
        (("saliency", *["0.png"] * 25), "25 images: expected at most 24"),
    ):
        name, *rest = command
        assert words in run("look", name, checkpoint, *rest, code=2), command
    assert not list(tmp_path.glob("[a-z]*.png"))


def test_images_of_one_name_are_told_apart_by_their_folders():
    files = [Path("test/dog/1.png"), Path("test/cat/1.png"), Path("2.png")]
    assert names_of(files) == ["dog/1.png", "cat/1.png", "2.png"]
    assert names_of(files[1:]) == ["1.png", "2.png"]


def test_units_as_text():
    assert parse_unit("12") == 12
    assert parse_unit("3, 4,12") == (3, 4, 12)
    for text in ("", "1,2", "-1", "a"):
        with pytest.raises(ValueError, match="expected K, or ROW,COLUMN,K"):
            parse_unit(text)
