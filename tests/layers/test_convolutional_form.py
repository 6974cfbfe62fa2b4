"""The fully convolutional form: its scores are those of the network on windows."""

import numpy as np
import pytest

import minicnn
from minicnn import models
from minicnn.layers import (
    RBF,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Network,
    Residual,
    Sequential,
    Upsample,
    fully_convolutional,
    fuse,
)


def alexnet(padding=0):
    """Convolution, LRN, overlapping pooling, three fully connected layers; total stride 4."""
    return Network(
        conv1=Conv2d(3, 6, 5, stride=2, padding=padding, activation="relu"),
        norm1=LocalResponseNorm(5, alpha=0.5),
        pool1=MaxPool2d(3, stride=2),
        conv2=Conv2d(6, 8, 3, padding=padding, groups=2, activation="relu"),
        flatten=Flatten(),
        fc6=Linear((3 + 2 * padding) ** 2 * 8, 12, activation="relu"),
        drop6=Dropout(0.5),
        fc7=Linear(12, 10, activation="tanh"),
        fc8=Linear(10, 7, bias=False),
        input_shape=(25, 25, 3),
    )


def vgg():
    """A pooling in front of the classifier that is the identity at the network's own size."""
    return Network(
        features=Sequential(Conv2d(3, 4, 3, activation="relu"), MaxPool2d(2), Conv2d(4, 5, 3)),
        classifier=Sequential(
            AdaptiveAvgPool2d((3, 4)), Flatten(), Linear(60, 9, activation="relu"), Linear(9, 4)
        ),
        input_shape=(12, 14, 3),
    )


def pooled():
    """As `vgg`, with means of 2 x 2 in front of the classifier; total stride 4."""
    net = vgg()
    net.classifier = Sequential(AdaptiveAvgPool2d((3, 4)), Flatten(), Linear(60, 4))
    net.input_shape = (18, 22, 3)
    return net


def nin():
    """No fully connected layer: a mean over the map of each class."""
    return Network(
        conv1=Conv2d(3, 8, 5, stride=3, activation="relu"),
        cccp1=Conv2d(8, 6, 1, activation="relu"),
        pool=GlobalAvgPool2d(),
        input_shape=(17, 20, 3),
    )


def resnet():
    """A residual block, a mean over the map, one fully connected layer."""
    return Network(
        conv1=Conv2d(3, 6, 3, stride=2),
        layer1=Residual(Conv2d(6, 6, 1, activation="relu"), activation="relu"),
        pool=GlobalAvgPool2d(),
        fc=Linear(6, 5),
        input_shape=(11, 11, 3),
    )


def maxima():
    """Adaptive and global maxima, behind maps that were enlarged."""
    return Network(
        conv1=Conv2d(3, 4, 4, stride=4),
        up=Upsample(2),
        pool=AdaptiveMaxPool2d((3, 2)),
        last=GlobalMaxPool2d(),
        fc=Linear(4, 5),
        input_shape=(12, 8, 3),
    )


def randomized(net, rng):
    for parameter in net.parameters():
        parameter.value[...] = rng.normal(size=parameter.value.shape) * 0.5
    return net.eval()


@pytest.mark.parametrize(
    ("make", "stride"), [(alexnet, 4), (vgg, 2), (pooled, 4), (nin, 3), (resnet, 2), (maxima, 4)]
)
def test_without_padding_every_window_is_equal(make, stride):
    rng = np.random.default_rng(5)
    net = randomized(make(), rng)
    height, width, _ = net.input_shape
    x = rng.normal(size=(2, height + 3 * stride + 1, width + 2 * stride, 3)).astype(np.float32)
    form = fully_convolutional(net)
    scores = form(x)
    assert scores.shape[:3] == (2, 4, 3)
    windows = [
        net(x[:, i * stride : i * stride + height, j * stride : j * stride + width])
        for i in range(4)
        for j in range(3)
    ]
    expected = np.stack(windows, axis=1).reshape(scores.shape)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fuse(form)(x), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected[:, 0, 0] - expected[:, 3, 2]).max() > 0.1, "windows differ"


def test_with_padding_only_the_own_size_is_equal_and_a_shift_shifts():
    """A window that is cut out is padded with zeros, and its neighborhood is not zero.

    The form commutes with shifts: far from the borders the scores of a part of the image are those
    of the same windows of the whole image.
    """
    rng = np.random.default_rng(6)
    net = randomized(alexnet(padding=1), rng)
    form = fully_convolutional(net)
    x = rng.normal(size=(1, 57, 57, 3)).astype(np.float32)
    own = x[:, 16:41, 16:41]
    np.testing.assert_allclose(form(own)[:, 0, 0], net(own), rtol=1e-4, atol=1e-5)
    whole = form(x)
    assert whole.shape == (1, 9, 9, 7)
    assert np.abs(whole[:, 4, 4] - net(own)).max() > 1e-3
    part = form(x[:, 4:, 8:])
    np.testing.assert_allclose(part[:, 2:-1, 2:-1], whole[:, 3:-1, 4:-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("alexnet", {"hidden": 16, "num_classes": 5, "input_size": 67}),
        ("caffenet", {"hidden": 16, "num_classes": 5, "input_size": 99}),
        ("alexnet_torchvision", {"hidden": 16, "num_classes": 5}),
        ("zfnet", {"hidden": 16, "num_classes": 5, "input_size": 96}),
        ("vgg11", {"hidden": 16, "num_classes": 5}),
        ("nin_imagenet", {"num_classes": 5, "input_size": 96}),
        ("googlenet", {"num_classes": 5, "input_size": 96}),
        ("resnet18", {"num_classes": 5, "input_size": 64}),
        ("preresnet18", {"num_classes": 5, "input_size": 64}),
        ("inception_v4", {"num_classes": 5, "input_size": 107}),
    ],
)
def test_networks_of_the_papers(name, options):
    net = models.create(name, seed=1, **options).eval()
    form = fully_convolutional(net)
    height, width, _ = net.input_shape
    x = np.random.default_rng(2).normal(size=(1, height + 32, width, 3)).astype(np.float32)
    with minicnn.no_grad():
        scores = form(x[:, :height])
        expected = net(x[:, :height])
        assert scores.shape == (1, 1, 1, 5)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(scores[:, 0, 0], expected, atol=1e-4 * scale, rtol=1e-4)
        assert form(x).shape[1:3] == (2, 1), "the total stride of the networks is 32"


def test_it_shares_the_weights():
    net = randomized(alexnet(), np.random.default_rng(7))
    form = fully_convolutional(net)
    assert form.fc6.weight.value.base is not None
    assert np.shares_memory(form.fc6.weight.value, net.fc6.weight.value)
    assert form.fc6.bias is net.fc6.bias and form.conv1 is net.conv1
    assert form.drop6 is net.drop6 and not form.training
    x = np.ones((1, 25, 25, 3), np.float32)
    before = form(x)
    net.fc6.weight.value *= 2
    assert not np.allclose(form(x), before)
    np.testing.assert_allclose(form(x)[:, 0, 0], net(x), rtol=1e-5)


def test_a_window_of_the_form_can_be_trained():
    """backward of the form gives the gradients of the network, in the shape of a kernel."""
    rng = np.random.default_rng(8)
    net = randomized(resnet(), rng).train()
    x = rng.normal(size=(2, 11, 11, 3)).astype(np.float32)
    dy = rng.normal(size=(2, 5)).astype(np.float32)
    net(x)
    dx = net.backward(dy)
    dw = net.fc.weight.grad.copy()
    form = fully_convolutional(net)
    form(x)
    np.testing.assert_allclose(form.backward(dy[:, None, None]), dx, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(form.fc.weight.grad[0, 0], dw, rtol=1e-4, atol=1e-6)


def test_what_it_keeps():
    net = models.create("alexnet", hidden=4, num_classes=5, input_size=67)
    net.classes, net.trained_on = tuple("abcde"), "imagenet"
    form = fully_convolutional(net)
    assert form.classes == net.classes and form.recipe is net.recipe
    assert form.trained_on == "imagenet" and form.input_shape == (67, 67, 3)
    assert form.name is None, "models.create does not make it"


def test_what_it_refuses():
    with pytest.raises(ValueError, match="Sequential has no input_shape"):
        fully_convolutional(Sequential(Conv2d(1, 1, 1)))
    with pytest.raises(ValueError, match=r"fully_convolutional: 0 is Upsample\(size=4\), which"):
        fully_convolutional(Sequential(Upsample(size=4), input_shape=(2, 2, 1)))
    with pytest.raises(ValueError, match=r"fully_convolutional: output is RBF\(.*turns"):
        fully_convolutional(
            Sequential(
                flatten=Flatten(), output=RBF(np.ones((2, 4), np.float32)), input_shape=(2, 2, 1)
            )
        )
    with pytest.raises(ValueError, match="inner is Residual"):
        fully_convolutional(
            Sequential(
                inner=Residual(AdaptiveAvgPool2d(4)), pool=AvgPool2d(2), input_shape=(4, 4, 1)
            )
        )
    net = models.create("vgg11", hidden=4, num_classes=2, input_size=64)
    with pytest.raises(ValueError, match="avgpool makes a map of 7x7 of one of 2x2"):
        fully_convolutional(net)
