"""Protocols on tiny networks, their averages against NumPy; ensembles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn import data, evaluation, models, training
from minicnn.errors import DataError
from minicnn.evaluation import PROTOCOLS, Protocol
from minicnn.layers import (
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    Network,
    Residual,
    fully_convolutional,
)
from minicnn.training.losses import MAPLoss

SIZE = 17  # the windows of the first layer fit exactly
PREPROCESS = data.Preprocess((SIZE, SIZE), 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def network(seed=0, classes="abcdefg", **more):
    rng = np.random.default_rng(seed)
    net = Network(
        conv1=Conv2d(3, 4, 5, stride=2, activation="relu"),
        flatten=Flatten(),
        fc=Linear(7 * 7 * 4, len(classes)),
        input_shape=(SIZE, SIZE, 3),
    )
    for parameter in net.parameters():
        parameter.value[...] = rng.normal(size=parameter.value.shape) * 0.3
    net.preprocess, net.classes = PREPROCESS, tuple(classes)
    for name, value in more.items():
        setattr(net, name, value)
    return net


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Seven photographs of different sizes in three class folders, not decoded."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(1)
    for i, (height, width) in enumerate(
        [(40, 60), (60, 40), (40, 60), (33, 33), (100, 20), (25, 31), (18, 90)]
    ):
        folder = root / "val" / "abc"[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    _, found = data.load(str(root), data.Decode((SIZE, SIZE)), lambda line: None, memory=0)
    return found


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def normalized(views):
    mean, std = np.array(PREPROCESS.mean), np.array(PREPROCESS.std)
    return ((views / 255 - mean) / std).astype(np.float32)


def expected(net, dataset, protocol, scores_of):
    """The probabilities of each image, by the definition of the protocol."""
    plan, found = PROTOCOLS[protocol], []
    for name, _ in dataset.images.files:
        with Image.open(name) as picture:
            views = plan.views(picture.convert("RGB"), SIZE)
        scores = np.concatenate([scores_of(net, normalized(view)) for view in views])
        if plan.average == "scores":
            found.append(softmax(scores.mean(axis=0)))
        else:
            found.append(softmax(scores).mean(axis=0))
    return np.array(found)


def of_map(net, views):
    """The mean over space of the scores of every window, computed window by window."""
    found = []
    for view in views:
        rows, columns = ((side - SIZE) // 2 + 1 for side in view.shape[:2])
        windows = [
            view[2 * i : 2 * i + SIZE, 2 * j : 2 * j + SIZE]
            for i in range(rows)
            for j in range(columns)
        ]
        found.append(net(np.stack(windows)).mean(axis=0))
    return np.array(found)


@pytest.mark.parametrize(
    "protocol", ["alexnet_10", "caffe_10", "fb_resnet_10", "vgg_multicrop", "googlenet_144"]
)
@pytest.mark.parametrize("batch_size", [1, 7, 400])
def test_crops(files, protocol, batch_size):
    net, counted = network(), []
    result = evaluation.evaluate(
        net, files, protocol, batch_size=batch_size, on_batch=counted.append
    )
    wanted = expected(net, files, protocol, lambda net, views: net(views))
    np.testing.assert_allclose(result.probabilities, wanted, rtol=1e-4, atol=1e-6)
    assert sum(counted) == 7
    np.testing.assert_array_equal(result.labels, files.labels)
    assert result.classes == tuple("abcdefg")
    assert result.images[0].endswith("val/a/0.png") and len(result.images) == 7


@pytest.mark.parametrize("protocol", ["vgg_dense", "resnet_dense"])
def test_dense(files, protocol):
    net = network()
    result = evaluation.evaluate(net, files, protocol, batch_size=3)
    wanted = expected(net, files, protocol, of_map)
    np.testing.assert_allclose(result.probabilities, wanted, rtol=1e-4, atol=1e-6)


def test_the_average_of_scores_is_not_that_of_probabilities(files):
    net = network()
    net.fc.weight.value *= 4
    plan = PROTOCOLS["fb_resnet_10"]
    softmaxes = Protocol(
        plan.source, plan.scales, crops=plan.crops, mirror="region", interpolation="bicubic"
    )
    scores = evaluation.evaluate(net, files, plan)
    probabilities = evaluation.evaluate(net, files, softmaxes)
    assert np.abs(scores.probabilities - probabilities.probabilities).max() > 0.01


def test_vgg_combined_is_the_mean_of_its_parts(files):
    net = network()
    parts = [evaluation.evaluate(net, files, name) for name in ("vgg_dense", "vgg_multicrop")]
    found = evaluation.evaluate(net, files, "vgg_combined")
    wanted = (parts[0].probabilities + parts[1].probabilities) / 2
    np.testing.assert_allclose(found.probabilities, wanted, rtol=1e-6)


def test_a_mean_over_the_map_as_in_resnet(files):
    """The windows of the mean overlap, so the center of an image counts more than its border."""
    net = Network(
        conv1=Conv2d(3, 5, 5, stride=2),
        block=Residual(Concat(Conv2d(5, 2, 1), Conv2d(5, 3, 1)), activation="relu"),
        pool=GlobalAvgPool2d(),
        fc=Linear(5, 7),
        input_shape=(SIZE, SIZE, 3),
    )
    net.preprocess, net.classes = PREPROCESS, tuple("abcdefg")
    result = evaluation.evaluate(net, files, "resnet_dense")
    wanted = expected(net.eval(), files, "resnet_dense", of_map)
    np.testing.assert_allclose(result.probabilities, wanted, rtol=1e-4, atol=1e-6)


def test_center_is_what_training_measures(files):
    net = network()
    result = evaluation.evaluate(net, files, batch_size=3)
    measured = training.evaluate(net, files)
    np.testing.assert_array_equal(result.evaluation.confusion, measured.confusion)
    assert result.evaluation.loss == pytest.approx(measured.loss, rel=1e-5)
    assert result.evaluation.top5 == measured.top5


def test_pixels_are_originals_where_there_are_no_files(files):
    pixels = np.random.default_rng(3).integers(0, 256, (4, 20, 30, 3), np.uint8)
    labels = np.array([0, 1, 2, 3])
    net = network()
    result = evaluation.evaluate(net, (pixels, labels), "alexnet_10")
    (views,) = PROTOCOLS["alexnet_10"].views(Image.fromarray(pixels[2]), SIZE)
    wanted = softmax(net(normalized(views))).mean(axis=0)
    np.testing.assert_allclose(result.probabilities[2], wanted, rtol=1e-4, atol=1e-6)
    assert result.images == ("0", "1", "2", "3")
    with pytest.raises(DataError, match="the images are float32; expected uint8 pixels or files"):
        evaluation.evaluate(net, (pixels / np.float32(255), labels), "alexnet_10")


def test_gray_digits_by_a_protocol():
    net = models.create("lenet5", seed=1)
    _, test = data.digits(28)
    result = evaluation.evaluate(net, test[:5], "vgg_multicrop")
    assert result.probabilities.shape == (5, 10)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_an_ensemble_averages_probabilities_and_matches_classes_by_name(files):
    first, second = network(0), network(1, classes="gfedcba")
    own = [evaluation.evaluate(net, files, "alexnet_10").probabilities for net in (first, second)]
    found = evaluation.evaluate([first, second], files, "alexnet_10")
    wanted = (own[0] + own[1][:, ::-1]) / 2
    np.testing.assert_allclose(found.probabilities, wanted, rtol=1e-5)
    np.testing.assert_array_equal(found.labels, files.labels)
    with pytest.raises(ValueError, match="same classes: one has no class g"):
        evaluation.evaluate([first, network(2, classes="abcdefh")], files)
    unnamed = network(3, classes="abcdefgh")
    unnamed.classes = ()
    with pytest.raises(ValueError, match="same classes: 8 outputs, and 7 before"):
        evaluation.evaluate([first, unnamed], files)
    with pytest.raises(ValueError, match="expected at least one network"):
        evaluation.evaluate([], files)


def test_networks_of_an_ensemble_read_files_as_each_was_trained(files):
    """One reads 17 x 17 pixels, the other the central 17 x 17 of 24 x 24."""
    first, second = network(0), network(1)
    second.preprocess = replace(PREPROCESS, image_size=(24, 24), crop=True)
    root = Path(files.source)
    own = []
    for net in (first, second):
        decode = net.preprocess.decode
        _, found = data.load(str(root), decode, lambda line: None)
        own.append(softmax(net.eval()(net.preprocess(found.images))))
    result = evaluation.evaluate([first, second], files)
    np.testing.assert_allclose(result.probabilities, np.mean(own, axis=0), rtol=1e-4, atol=1e-6)


def test_the_loss_of_a_network_makes_its_probabilities(files):
    """The smallest output of LeNet-5 of 1998 is the most probable class."""
    net = network(loss=MAPLoss())
    found = evaluation.evaluate(net, files, "fb_resnet_10")
    other = evaluation.evaluate(network(), files, "fb_resnet_10")
    assert (found.probabilities.argmin(axis=1) == other.probabilities.argmax(axis=1)).all()


def test_the_model_stays_as_it_was(files):
    net = network().train()
    net.conv1.eval()
    before = {name: array.copy() for name, array in net.state_dict().items()}
    evaluation.evaluate(net, files, "vgg_dense")
    assert net.training and net.fc.training and not net.conv1.training
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(fully_convolutional(net).fc.bias.value, net.fc.bias.value)


def test_what_is_refused(files, tmp_path):
    wide = network()
    wide.input_shape = (16, 24, 3)
    with pytest.raises(ValueError, match="for square inputs; the network reads 16x24 pixels"):
        evaluation.evaluate(wide, files, "alexnet_10")
    with pytest.raises(ValueError, match="for a Sequential; the model is Residual"):
        evaluation.evaluate(Residual(Conv2d(3, 3, 1)), files, "vgg_dense")
    _, cropped = data.load(files.source, SIZE, lambda line: None)
    with pytest.raises(DataError, match="were scaled and cropped when they were read; load them"):
        evaluation.evaluate(network(), cropped, "alexnet_10")
    broken = tmp_path / "val" / "a" / "0.png"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no image")
    _, found = data.load(str(tmp_path), SIZE, lambda line: None, memory=0)
    with pytest.raises(DataError, match=r"0\.png: it cannot be read as an image"):
        evaluation.evaluate(network(), found, "alexnet_10")


def test_arguments_that_mean_nothing():
    images, labels = np.zeros((2, SIZE, SIZE, 3), np.uint8), np.array([0, 1])
    with pytest.raises(ValueError, match="batch_size=0: expected an integer >= 1"):
        evaluation.evaluate(network(), (images, labels), batch_size=0)
    with pytest.raises(DataError, match=r"own data: the labels are \(2, 7\); expected one class"):
        evaluation.evaluate(network(), (images, np.eye(7, dtype=np.float32)[:2]))
    rgba = np.zeros((2, SIZE, SIZE, 4), np.uint8)
    with pytest.raises(DataError, match="own data: the images have 4 channels; expected 1"):
        evaluation.evaluate(network(), (rgba, labels), "alexnet_10")


def test_an_ensemble_is_the_same_in_any_order(files):
    unnamed, named = network(0), network(1, "cbadefg")
    unnamed.classes = ()
    first = evaluation.evaluate([unnamed, named], files)
    second = evaluation.evaluate([named, unnamed], files)
    assert first.classes == second.classes == tuple("cbadefg")
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_allclose(first.probabilities, second.probabilities, rtol=1e-6)


def test_a_batch_of_whole_images_has_no_more_pixels_than_one_of_crops(files, monkeypatch):
    shapes, to_input = [], evaluation.testing.to_input

    def counted(x, device):
        shapes.append(x.shape)
        return to_input(x, device)

    monkeypatch.setattr(evaluation.testing, "to_input", counted)
    evaluation.evaluate(network(), files, "vgg_dense", batch_size=12)
    assert max(n for n, *_ in shapes) > 1
    assert all(n == 1 or n * h * w <= 12 * SIZE * SIZE for n, h, w, _ in shapes)
