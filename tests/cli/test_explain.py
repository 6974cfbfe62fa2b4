"""`minicnn explain`: layers, tables, JSON and errors."""

import json

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import models
from minicnn.prediction import network_inputs
from minicnn.study import explain, trace


@pytest.fixture
def checkpoint(tmp_path):
    """LeNet-5 with three named classes, and two images."""
    model = models.create("lenet5", seed=0, num_classes=3)
    model.classes = ("ant", "bee", "cow")
    minicnn.save(model, tmp_path / "w.safetensors")
    for i, image in enumerate(np.random.default_rng(0).integers(0, 256, (2, 28, 28), np.uint8)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    return tmp_path / "w.safetensors"


def test_the_layers(run, checkpoint):
    said = run("explain", checkpoint, "--image", "0.png")
    assert "C1" in said
    assert "w 5x5x6x16, b 16" in said
    assert "(the network)" in said
    rows = json.loads(run("explain", checkpoint, "--image", "0.png", "--json"))
    assert rows[0]["path"] == "C1"
    assert rows[0]["arrays"]["dx"] == [1, 32, 32, 1]
    assert rows[-1]["arrays"]["y"] == []


def test_one_number(run, checkpoint):
    place = ("--layer", "C3", "--what", "w", "--at", "2,0,5,3")
    batch = ("--image", "0.png", "--image", "1.png", "--label", "cow", "--label", "1")
    said = run("explain", checkpoint, *batch, *place, "--terms", 3, "--largest", "--code")
    network = minicnn.load(checkpoint)
    x = network_inputs(network, [checkpoint.parent / f"{i}.png" for i in range(2)])
    e = explain(trace(network, x, [2, 1]), "C3", "w", (2, 0, 5, 3))
    assert "C3: dw[2, 0, 5, 3]  (Conv2d)" in said
    assert e.largest(1)[0].label in said
    assert "... 197 further terms" in said
    assert f"{e.sum:.6g}  the sum of 200 terms" in said
    assert "def conv2d_grad_weight(" in said
    told = json.loads(run("explain", checkpoint, *batch, *place, "--json"))
    assert told == json.loads(json.dumps(e.to_json()))
    assert len(told["terms"]) == 200
    assert abs(told["difference"]) < 1e-6


def test_without_a_place_the_largest_number(run, checkpoint):
    told = run("explain", checkpoint, "--image", "0.png", "--layer", "output", "--json")
    network = minicnn.load(checkpoint)
    y = network(network_inputs(network, checkpoint.parent / "0.png"))
    assert json.loads(told)["index"] == [0, int(np.abs(y).argmax())]
    said = run("explain", checkpoint, "--image", "0.png", "--layer", "loss")
    assert "loss: y  (SoftmaxCrossEntropy)" in said
    said = run("explain", checkpoint, "--image", "0.png", "--layer", "", "--what", "dx")
    assert "Network: dx[0, " in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layer", "C9"), "the network has no layer 'C9'; it has C1, S2"),
        (("--layer", "C1", "--what", "z"), "C1: z is not there; expected one of y, dx"),
        (("--layer", "C1", "--at", "0,1"), "C1: y[0, 1] has 2 indices; expected 4"),
        (("--layer", "C1", "--at", "0,28,0,0"), "index 28 of axis 1: expected an integer from 0"),
        (("--layer", "C1", "--at", "0,a"), "--at 0,a: expected integers, such as 0,3,5,2"),
        (("--label", "dog"), "the network has no class 'dog'; expected a name or 0 to 2"),
        (("--label", "²"), "the network has no class '²'; expected a name or 0 to 2"),
        (("--label", "3"), "the network has no class 3; expected 0 to 2"),
        (("--at", "0,0,0,0"), "--at is about one number; --layer, of which layer, is missing"),
        (("--what", "dx"), "--what is about one number; --layer, of which layer, is missing"),
        (("--label", "1", "--label", "2"), "--label: expected one per image: 1; 2 are given"),
        (("--image", "none.png"), "none.png"),
    ],
)
def test_errors(run, checkpoint, arguments, message):
    said = run("explain", checkpoint, "--image", "0.png", *arguments, code=2)
    assert message in said


@pytest.mark.parametrize("command", [("explain", "--image", "0.png"), ("look", "filters")])
def test_the_name_of_a_network_is_no_file(run, command):
    said = run(*command, "lenet5", code=2)
    assert "lenet5 is the name of a network; expected a file, as `minicnn train lenet5`" in said
