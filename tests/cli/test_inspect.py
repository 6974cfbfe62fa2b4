"""`minicnn summary`, `models` and `backends`."""

import json

from minicnn import weights
from minicnn.layers import Flatten, Graph, Linear


def test_summary(run, trained):
    said = run("summary", "lenet5")
    for text in ("28x28x6", "122,304", "61,706", "416,520", "9,118"):
        assert text in said
    table = json.loads(run("summary", "lenet5", "--format", "json", "--batch", 4))
    assert table["memory"] == 4 * 9_118
    assert (
        "| C1 | Conv2d | 5x5 | 1 | 0 | relu | 28x28x6 | 4,704 | 156 | 117,600 | 122,304 |"
        in run("summary", "lenet5", "--format", "markdown")
    )
    assert "| output |" in run("summary", trained / "last.safetensors", "--format", "markdown")
    assert "32x32x3" in run("summary", "lenet5", "-o", "in_channels=3")
    said = run("summary", "resnet20_cifar")
    assert "images: RandomCropFlip(size=32, padding=4), normalize" in said
    assert "C5: Conv2d(16, 120, 5" in run("summary", "lenet5", "--input", "28", code=2)
    assert "--input 0x3: expected H, HxW or HxWxC" in run(
        "summary", "lenet5", "--input", "0x3", code=2
    )
    assert "--input ²: expected H, HxW" in run("summary", "lenet5", "--input", "²", code=2)


def test_a_format_for_programs_has_no_probe(run):
    said = run("summary", "lenet5", "--format", "json", "--probe", code=2)
    assert "--format json is without --probe" in said


def test_a_network_without_a_name_has_that_of_its_file(run, tmp_path):
    network = Graph(Flatten(), Linear(4, 2), input_shape=(2, 2, 1))
    weights.save(network, tmp_path / "own.safetensors")
    assert run("summary", "own.safetensors").startswith("own.safetensors\n")
    said = run("evaluate", "own.safetensors", "--data", "digits", code=2)
    assert "own.safetensors: the network has no recipe that says how pixels" in said


def test_models_and_backends(run):
    said = run("models")
    for text in ("lenet5_sigmoid", "62,006", "lenet5_1998", "60,000", "lenet_caffe", "431,080"):
        assert text in said
    said = run("backends")
    assert "reference" in said
    assert "conv2d_grad_weight" in said
    assert "not available: " in said
    assert "--precision bf16: " in said
