"""The facts in an exported file."""

import json

import numpy as np

from minicnn import data, layers, models
from minicnn.onnx import to_onnx
from minicnn.weights.safetensors import preprocess_from_json


def properties(model, path, **options):
    return {p.key: p.value for p in to_onnx(model, path, **options).metadata_props}


def test_a_network_that_was_trained(tmp_path):
    model = models.create("lenet5", seed=0, num_classes=3)
    model.classes, model.trained_on = ("eins", "zwei", "größer"), "my_images"
    model.preprocess = data.Preprocess((32, 32), 1, mean=0.25, std=0.5, image_size=(28, 28))
    found = properties(model, tmp_path / "a.onnx")
    assert found["network"] == "lenet5"
    assert json.loads(found["options"]) == {"num_classes": 3}
    assert found["parameters"] == "61111"
    assert found["macs"] == "415932"
    assert json.loads(found["classes"]) == ["eins", "zwei", "größer"]
    assert found["trained_on"] == "my_images"
    assert found["input"] == "normalized: (pixel / 255 - mean) / std"
    assert preprocess_from_json(json.loads(found["preprocessing"])) == model.preprocess
    found = properties(model, tmp_path / "a.onnx", with_preprocessing="uint8")
    assert found["input"] == "pixels, 0 to 255"
    rest = preprocess_from_json(json.loads(found["preprocessing"]))
    assert rest == data.Preprocess((28, 28), 1, mean=0.0, std=1 / 255)
    pixels = np.arange(256, dtype=np.uint8).repeat(4)[: 28 * 28].reshape(1, 28, 28, 1)
    np.testing.assert_allclose(rest(pixels), pixels, rtol=1e-6)


def test_classes_of_imagenet_and_the_size_of_another_input(tmp_path):
    model = layers.Network(layers.Conv2d(3, 1000, 1), layers.GlobalAvgPool2d())
    model.input_shape, model.recipe = (4, 4, 3), models.create("nin_imagenet").recipe
    found = properties(model, tmp_path / "a.onnx", input_shape=(8, 6, 3))
    assert json.loads(found["classes"])[0].startswith("tench")
    assert json.loads(found["preprocessing"])["size"] == [8, 6]


def test_what_is_not_known_is_left_out(tmp_path):
    net = layers.Sequential(layers.Conv2d(1, 1, 1))
    found = properties(net, tmp_path / "a.onnx", input_shape=(2, 2, 1))
    assert found == {"network": "Sequential", "parameters": "2", "macs": "4"}
    net = layers.Network(layers.Conv2d(1, 1, 1), input_shape=(2, 2, 1))
    net.preprocess = np.negative
    found = properties(net, tmp_path / "a.onnx")
    assert json.loads(found["preprocessing"]) == "a function of one's own"
