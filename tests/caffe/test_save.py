"""to_caffe: what is written is read back, by us and, where it is installed, by OpenCV."""

import numpy as np
import pytest

from minicnn import models
from minicnn.caffe import from_caffe, to_caffe
from minicnn.caffe.message import read_binary
from minicnn.data.mean_image import MeanImage
from minicnn.errors import CheckpointError
from minicnn.layers import (
    Add,
    Affine,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    Identity,
    Linear,
    Maximum,
    MaxPool2d,
    Network,
    PReLU,
    Residual,
    Scale,
    Sequential,
    Slice,
    Softmax,
    Tanh,
)

from . import nets

OPTIONS = {"resnet20_cifar": {"option": "B"}}


def made(name):
    """A network with statistics and biases that are not those of the start, and pixels for it."""
    network = models.create(name, seed=0, **OPTIONS.get(name, {})).eval()
    generator = np.random.default_rng(0)
    for key, array in network.state_dict().items():
        if key.endswith("running_var"):
            array[...] = generator.uniform(0.5, 2, array.shape)
        elif array.ndim == 1:
            array[...] = generator.standard_normal(array.shape) * 0.1 + key.endswith("weight")
    pixels = generator.integers(0, 256, (1, *network.input_shape)).astype(np.uint8)
    return network, pixels


@pytest.mark.parametrize("name", ["lenet5", "lenet5_sigmoid", "lenet_caffe", "resnet20_cifar"])
def test_round_trip(tmp_path, name):
    """Pixels give the same outputs; the preprocessing, with a std per channel, is in the files."""
    network, pixels = made(name)
    files = to_caffe(network, tmp_path / "net.caffemodel")
    assert [path.suffix for path in files] == [".caffemodel", ".prototxt"]
    expected = network(network.recipe.preprocess.for_input(network.input_shape)(pixels))
    for again in (from_caffe(*files), from_caffe(files[0])):
        found = again(again.preprocess(pixels))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())
    assert (again.name == name) == (name == "lenet_caffe")


@pytest.mark.parametrize("name", ["lenet5", "lenet_caffe", "resnet20_cifar"])
def test_opencv_computes_the_same(tmp_path, name):
    """OpenCV executes Caffe's files by itself; version 5 no longer does."""
    dnn = getattr(pytest.importorskip("cv2"), "dnn", None)
    if not hasattr(dnn, "readNetFromCaffe"):
        pytest.skip("this OpenCV does not read Caffe's files")
    network, _ = made(name)
    x = np.random.default_rng(1).standard_normal((2, *network.input_shape)).astype(np.float32)
    network.preprocess = network.recipe.preprocess.__class__(network.input_shape[:2], x.shape[-1])
    model, text = to_caffe(network, tmp_path / "net.caffemodel", channels="rgb")
    net = dnn.readNetFromCaffe(str(text), str(model))
    net.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    probabilities = np.exp(network(x).astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.forward(), probabilities, atol=1e-5)


def test_own_network(tmp_path):
    """Layers that none of the above has, images in BGR, and a mean image."""
    network = Network(
        conv=Conv2d(3, 4, 3, padding=1, activation="scaled_tanh"),
        pool=MaxPool2d(3, 2),
        block=Residual(Sequential(conv=Conv2d(4, 4, 1), bn=BatchNorm2d(4)), activation="relu"),
        mean=AvgPool2d(2, 1),
        half=Scale(0.5),
        tanh=Tanh(),
        flatten=Flatten(),
        fc=Linear(4 * 3 * 3, 2),
        input_shape=(10, 10, 3),
    ).eval()
    generator = np.random.default_rng(0)
    mean = MeanImage(generator.random((12, 12, 3)))
    network.preprocess = models.create("lenet5").recipe.preprocess.__class__(
        (10, 10), 3, mean=mean, std=0.25, image_size=(12, 12), crop=True
    )
    files = to_caffe(network, tmp_path / "own.caffemodel")
    assert files[2].name == "own_mean.binaryproto"
    assert "round_mode: FLOOR" in files[1].read_text()
    again = from_caffe(*files[:2])
    np.testing.assert_allclose(again.preprocess.mean.values, mean.values, rtol=1e-6)
    pixels = generator.integers(0, 256, (2, 12, 12, 3)).astype(np.uint8)
    expected = network(network.preprocess(pixels))
    np.testing.assert_allclose(again(again.preprocess(pixels)), expected, rtol=1e-4, atol=1e-5)


def compared(network, tmp_path):
    """The probabilities that Caffe computes from the files of a network, and ours."""
    network.eval()
    generator = np.random.default_rng(0)
    for parameter in network.parameters():
        parameter.value[...] = generator.standard_normal(parameter.value.shape)
    x = generator.standard_normal((2, *network.input_shape)).astype(np.float32)
    model, text = to_caffe(network, tmp_path / "net.caffemodel", "rgb")
    layers = read_binary(model.read_bytes(), "NetParameter").all("layer")
    assert len({layer.get("name") for layer in layers}) == len(layers)
    blobs = {layer.get("name"): layer.all("blobs") for layer in layers}
    found = nets.run(text.read_text(), blobs, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))["prob"]
    expected = np.exp(network(x))
    return found, expected / expected.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "layers",
    [
        [Flatten()],
        [Flatten(), Softmax(), PReLU(30), Affine(30)],
        [Flatten(), Residual(Linear(30, 30))],
        [Flatten(), Concat(Linear(30, 2), Identity(), Dropout())],
        [Concat(GlobalAvgPool2d(), Sequential(Flatten(), Linear(30, 2)))],
        [Conv2d(1, 4, 1), GlobalAvgPool2d(), Slice(1, 3), Linear(2, 3)],
        [MaxPool2d(1, 2), Flatten()],  # Caffe would have a window beyond the edge
    ],
)
def test_caffe_computes_the_same(tmp_path, layers):
    """Features that are flattened maps here, and what Caffe has in their place."""
    found, expected = compared(Network(*layers, input_shape=(6, 5, 1)), tmp_path)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_joins_of_one_array(tmp_path):
    graph = Graph(
        conv=Conv2d(1, 3, 1), add=Add("tanh"), most=Maximum(), input_shape=(1, 1, 1)
    )  # Eltwise has at least two
    found, expected = compared(graph, tmp_path)
    np.testing.assert_allclose(found.reshape(2, 3), expected.reshape(2, 3), rtol=1e-4)


@pytest.mark.parametrize(
    ("channels", "layers", "match"),
    [
        ("rgb", [Flatten()], "not written: its end: it reads flattened maps, whose order"),
        ("rgb", [Flatten(), Softmax()], r"1 \(Softmax\): it reads flattened maps"),
        ("rgb", [Flatten(), Residual(Linear(90, 90))], r"1 \(Residual\): it reads flattened maps"),
        ("bgr", [Concat(Conv2d(3, 2, 3, padding=1), Dropout())], r"0 \(Concat\): it joins arrays"),
        (
            "bgr",
            [MaxPool2d(2)],
            "its output is in another order in Caffe",
        ),
        (
            "rgb",
            [MaxPool2d((1, 2), 2, ceil_mode=True)],
            r"0 \(MaxPool2d\): Caffe rounds the numbers",
        ),
    ],
)
def test_another_order(tmp_path, channels, layers, match):
    with pytest.raises(CheckpointError, match=match):
        to_caffe(Network(*layers, input_shape=(6, 5, 3)), tmp_path / "net.caffemodel", channels)


def test_names_of_layers_are_different(tmp_path):
    """Caffe finds weights by the name of the layer."""
    network = Network(bn1=BatchNorm2d(1), scale1=Affine(1), input_shape=(2, 2, 1))
    with pytest.raises(
        CheckpointError, match=r"scale1 \(Affine\): the name 'scale1' is used twice"
    ):
        to_caffe(network, tmp_path / "net.caffemodel")


def test_faults_are_named(tmp_path):
    path = tmp_path / "net.caffemodel"
    with pytest.raises(CheckpointError, match=r"not written: output \(RBF\): Caffe has no such"):
        to_caffe(models.create("lenet5_1998"), path)
    with pytest.raises(CheckpointError, match=r"layer2\.0\.shortcut \(PadShortcut\): Caffe has no"):
        to_caffe(models.create("resnet20_cifar"), path)
    network = models.create("lenet_caffe")
    network.ip2.weight.value[0, 0] = np.nan
    with pytest.raises(CheckpointError, match="not written: ip2.weight holds NaN"):
        to_caffe(network, path)
    shadowed = Network(data=Conv2d(1, 1, 3), input_shape=(8, 8, 1))
    with pytest.raises(CheckpointError, match=r"the name 'data' is used twice"):
        to_caffe(shadowed, path)
    with pytest.raises(CheckpointError, match=r"the name 'data' is used twice"):
        to_caffe(Network(data=Tanh(), input_shape=(8, 8, 1)), path)
    asymmetric = Network(a=Conv2d(1, 1, 3, padding=((0, 1), (0, 1))), input_shape=(8, 8, 1))
    with pytest.raises(CheckpointError, match=r"a \(Conv2d\): Caffe pads opposite sides alike"):
        to_caffe(asymmetric, path)
    with pytest.raises(ValueError, match=r"expected a name that ends in \.caffemodel"):
        to_caffe(network, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
