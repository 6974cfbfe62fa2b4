"""Networks in files of one's own, from training to prediction."""

import csv

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import registry
from minicnn.errors import CheckpointError

NET = """
from minicnn.layers import Conv2d, GlobalAvgPool2d, Linear, Sequential
from minicnn.training import Recipe
from neighbor import WIDTH


def make(num_classes, width=WIDTH):
    return Sequential(
        conv=Conv2d(3, width, 3, stride=2, activation="relu"),
        pool=GlobalAvgPool2d(),
        fc=Linear(width, num_classes),
        input_shape=(16, 16, 3),
    )


def own_recipe():
    net = make(3)
    net.recipe = Recipe("mine", None, epochs=2, batch_size=8, lr=0.02)
    return net


def fails():
    return make(3, width=0)


def wrong():
    return 3


def shapeless():
    return Sequential(GlobalAvgPool2d())


constant = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A network, and images of three colors."""
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.py").write_text(NET)
    (tmp_path / "nets" / "neighbor.py").write_text("WIDTH = 6\n")
    for name, color in {"ant": (220, 30, 30), "bee": (30, 220, 30), "cat": (30, 30, 220)}.items():
        for i in range(10):
            path = tmp_path / "images" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), color).save(path)
    return tmp_path


def test_from_training_to_prediction(run, folder, monkeypatch):
    said = run("train", "nets/net.py:make", "--data", "images", "--epochs", 30, "-o", "width=8")
    assert "100.00% test accuracy" in said
    checkpoint = folder / "runs" / "net-make-images" / "best.safetensors"
    own = ("--model", "nets/net.py:make")
    assert "100.00% test accuracy" in run("evaluate", checkpoint, *own)
    rows = csv.DictReader(run("predict", checkpoint, "images/bee", "--csv", "-", *own).splitlines())
    assert {row["class"] for row in rows} == {"bee"}
    assert "| fc | Linear |" in run("summary", checkpoint, "--format", "markdown", *own)

    # A new process does not know the network, and executes nothing by itself.
    monkeypatch.setattr(registry, "_entries", {})
    (folder / "nets" / "net.py").write_text("raise SystemExit('executed')")
    said = run("predict", checkpoint, "images", code=2)
    assert "its network is nets/net.py:make, a function in a file of your own, which is" in said
    with pytest.raises(CheckpointError, match=r"--model nets/net\.py:make, or load\(path, model\)"):
        minicnn.load(checkpoint)


def test_the_file_may_have_moved_since(run, folder):
    run("train", "nets/net.py:make", "--data", "images", "--epochs", 1)
    (folder / "nets").rename(folder / "elsewhere")
    checkpoint = folder / "runs" / "net-make-images" / "last.safetensors"
    assert "test accuracy" in run("evaluate", checkpoint, "--model", "elsewhere/net.py:make")


def test_a_resumed_run(run, folder):
    arguments = ("train", "nets/net.py:make", "--data", "images", "--out", "a")
    run(*arguments, "--epochs", 1)
    run(*arguments, "--epochs", 2, "--resume")
    said = run(*arguments, "--epochs", 3, "--resume", "-o", "width=7", code=2)
    assert "it belongs to another run" in said


def test_a_recipe_of_ones_own(run, folder):
    """It may leave out how to preprocess."""
    run("train", "nets/net.py:own_recipe", "--data", "images")
    history = folder / "runs" / "net-own_recipe-images" / "history.csv"
    assert len(history.read_text().splitlines()) == 3  # a heading and its two epochs


def test_summary_with_options(run, folder):
    assert "| conv | Conv2d | 3x3 | 2 | 0 | relu | 7x7x9 |" in run(
        "summary", "nets/net.py:make", "-o", "width=9", "--format", "markdown"
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none.py:make", "none.py: there is no such file"),
        ("nets/net.py", "nets/net.py: expected FILE.py:FUNCTION, such as net.py:make"),
        ("nets/net.py:", "nets/net.py:: expected FILE.py:FUNCTION, such as net.py:make"),
        ("nets/net.py:mak", "nets/net.py has no function 'mak'; did you mean make"),
        (
            "nets/net.py:constant",
            "nets/net.py has no function 'constant'; it has make, own_",
        ),
        ("nets/net.py:wrong", "nets/net.py:wrong returned int; expected a minicnn.layers.Network"),
        ("nets/net.py:shapeless", "with input_shape=(); expected input_shape=(H, W, C)"),
        ("nets/net.py:fails", "nets/net.py:fails, line 9: ValueError: Conv2d: out_channels=0"),
        ("syntax.py:make", "syntax.py, line 2: SyntaxError"),
        (
            "net.onnx",
            "net.onnx: expected a .safetensors file; `minicnn convert net.onnx` writes one",
        ),
        ("nets", "nets: expected the name of a network, FILE.py:FUNCTION, or a .safetensors file"),
        ("imports.py:make", "imports.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_errors_are_one_sentence(run, folder, model, message):
    (folder / "syntax.py").write_text("x = 1\ndef make(:\n")
    (folder / "imports.py").write_text("import nowhere\n")
    assert message in run("summary", model, code=2)


def test_options_that_the_function_does_not_have(run, folder):
    error = run("summary", "nets/net.py:make", "-o", "depth=3", code=2)
    assert "nets/net.py:make: TypeError: make() got an unexpected keyword argument 'depth'" in error


def test_a_network_of_ones_own_in_python(folder, run):
    """`load(path, model)` also gives the model its classes and its preprocessing."""
    run("train", "nets/net.py:make", "--data", "images", "--epochs", 30)
    from minicnn.layers import Conv2d, GlobalAvgPool2d, Linear, Network

    model = Network(
        conv=Conv2d(3, 6, 3, stride=2, activation="relu"),
        pool=GlobalAvgPool2d(),
        fc=Linear(6, 3),
        input_shape=(16, 16, 3),
    )
    minicnn.load(folder / "runs" / "net-make-images" / "best.safetensors", model)
    assert model.classes == ("ant", "bee", "cat")
    assert [p.class_name for p in minicnn.predict(model, "images/cat")] == 10 * ["cat"]
    red = np.full((20, 20, 3), (220, 30, 30), np.uint8)[:16, :16]
    assert minicnn.predict(model, red)[0].class_name == "ant"
