"""`minicnn graph`: the files that it draws, and errors."""

import pytest
from PIL import Image


def test_graph(run, tmp_path):
    assert run("graph", "lenet5") == "picture: lenet5.png\n"
    with Image.open(tmp_path / "lenet5.png") as image:
        assert min(image.size) > 300
    run("graph", "resnet20_cifar", "--unfold", "--out", "all.svg", "-o", "num_classes=7")
    drawn = (tmp_path / "all.svg").read_text()
    assert drawn.count(">conv2<") == 9
    assert ">fc, 7<" in drawn


def test_wrong_arguments(run):
    assert "expected a name that ends in one of" in run("graph", "lenet5", "--out", "a.doc", code=2)
    assert "lenet5" in run("graph", "lenet6", code=2)
    said = run("graph", "lenet5", "--input", "4", code=2)
    assert "C1" in said or "S2" in said or "C3" in said


@pytest.mark.parametrize("command", ["graph", "profile", "forecast", "summary"])
def test_flags_of_the_other_kind_of_network_are_errors(command, run):
    error = run(command, "lenet5", "--model", "net.py:make", code=2)
    assert "--model net.py:make: expected a .safetensors file to load; lenet5 is none" in error
    error = run(command, "net.safetensors", "-o", "num_classes=3", code=2)
    assert "--option num_classes: the options of net.safetensors are in the file" in error
