"""Preprocessing within the graph, and probabilities."""

from dataclasses import replace

import numpy as np
import pytest

import minicnn
from minicnn import data, layers, models, training
from minicnn.data.mean_image import MeanImage
from minicnn.onnx import to_onnx
from minicnn.training.losses import probabilities_of
from minicnn.training.metrics import loss_of

from .runtime import distance, ours, run, session, to_nchw

GRAY = data.Preprocess((6, 5), 1, mean=0.3, std=0.4)
COLOR = data.Preprocess((6, 5), 3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.1))
IMAGE = MeanImage(np.random.default_rng(0).random((8, 9, 3), np.float32))
PREPROCESSES = {
    "gray": GRAY,
    "color": COLOR,
    "framed": replace(GRAY, image_size=(3, 4), fit="inside"),
    "cropped": replace(COLOR, image_size=(9, 8), crop=True),
    "cropped_and_framed": replace(COLOR, image_size=(9, 2), crop=True),
    "mean_image": replace(COLOR, mean=IMAGE),
    "mean_image_framed": replace(COLOR, mean=IMAGE, image_size=(3, 5)),
    "mean_image_cropped": replace(COLOR, mean=IMAGE, image_size=(8, 8), crop=True),
}


def network(channels):
    return layers.Network(
        conv=layers.Conv2d(channels, 2, 3), flatten=layers.Flatten(), input_shape=(6, 5, channels)
    )


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("name", PREPROCESSES)
def test_preprocessing_within_the_graph(name, kind, tmp_path):
    preprocess = PREPROCESSES[name]
    model = network(preprocess.channels)
    model.preprocess = preprocess
    pixels = np.random.default_rng(1).integers(0, 256, (2, *preprocess.decode.shape), np.uint8)
    path = tmp_path / "a.onnx"
    for layout, x in (("NHWC", pixels), ("NCHW", to_nchw(pixels))):
        to_onnx(model, path, with_preprocessing=kind, input_layout=layout)
        found = run(str(path), x.astype(kind))
        assert distance(found, ours(model, preprocess(pixels))) < 1e-5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("framed", "float32"),
        ("color", "float32"),
        ("framed", None),
        ("cropped", None),
        ("mean_image", None),
    ],
)
def test_an_imported_network_is_given_the_same_pixels(name, kind, tmp_path):
    """Pixels are normalized once: in the imported graph, or before it."""
    preprocess = PREPROCESSES[name]
    model = network(preprocess.channels).eval()
    model.preprocess = preprocess
    pixels = np.random.default_rng(1).integers(0, 256, (2, *preprocess.decode.shape), np.uint8)
    to_onnx(model, tmp_path / "a.onnx", with_preprocessing=kind)
    again = models.from_onnx(tmp_path / "a.onnx")
    assert distance(again(again.preprocess(pixels)), model(preprocess(pixels))) < 1e-5


def test_the_recipes_preprocessing_fits_another_input(tmp_path):
    model = models.create("nin_cifar10", seed=0)
    path = tmp_path / "a.onnx"
    to_onnx(model, path, input_shape=(24, 20, 3), with_preprocessing="uint8")
    (entry,) = session(str(path)).get_inputs()
    assert entry.shape == ["N", 3, 24, 20]
    assert entry.type == "tensor(uint8)"


@pytest.mark.parametrize(
    ("preprocess", "sentence"),
    [
        (None, "with_preprocessing: the network has no preprocessing; expected model.preprocess"),
        (len, "with_preprocessing: the network has a preprocessing of your own, <built"),
        (replace(GRAY, mean="per pixel"), "with_preprocessing: the mean 'per pixel' is not comput"),
    ],
)
def test_preprocessing_that_is_not_known(preprocess, sentence, tmp_path):
    model = network(1)
    model.preprocess = preprocess
    with pytest.raises(ValueError, match=f"^{sentence}"):
        to_onnx(model, tmp_path / "a.onnx", with_preprocessing="uint8")


LOSSES = [
    None,
    training.SoftmaxCrossEntropy(label_smoothing=0.1),
    training.AuxiliaryLoss(),
    training.AuxiliaryLoss(loss=training.BinaryCrossEntropy()),
    training.MAPLoss(),
    training.MeanSquaredError(),
    training.BinaryCrossEntropy(),
]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_probabilities_are_those_of_the_loss(loss, tmp_path):
    model = network(1)
    model.loss = loss
    x = np.random.default_rng(2).standard_normal((3, 6, 5, 1)).astype(np.float32)
    to_onnx(model, tmp_path / "a.onnx", softmax=True)
    expected = probabilities_of(loss_of(model), ours(model, x))
    assert distance(run(str(tmp_path / "a.onnx"), to_nchw(x)), expected) < 1e-5


def test_probabilities_that_cannot_be_exported(tmp_path):
    class Own(training.SoftmaxCrossEntropy):
        """With probabilities of its own."""

        def probabilities(self, outputs):
            return minicnn.to_host(outputs) ** 2

    model = network(1)
    model.loss = Own()
    with pytest.raises(ValueError, match="^softmax: how Own, a loss of your own, makes prob"):
        to_onnx(model, tmp_path / "a.onnx", softmax=True)
    twice = layers.Network(layers.Flatten(), layers.Sigmoid(), input_shape=(6, 5, 1))
    with pytest.raises(ValueError, match="^softmax: the network ends with Sigmoid already"):
        to_onnx(twice, tmp_path / "a.onnx", softmax=True)
    maps = layers.Network(layers.Conv2d(1, 2, 3), input_shape=(6, 5, 1))
    with pytest.raises(ValueError, match="^softmax: the output has the shape .* expected .N, cla"):
        to_onnx(maps, tmp_path / "a.onnx", softmax=True)
