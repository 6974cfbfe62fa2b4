"""Grad-CAM against torch's autograd, and where it looks by default."""

import numpy as np
import pytest

from minicnn import models
from minicnn.layers import Flatten, Linear, Network
from minicnn.study import look
from minicnn.study.look.grad_cam import enlarged

from .twins import branched, chain, forward, network, tensor, tf, torch


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (chain, "conv1"),
        (chain, "norm1"),
        (chain, "relu2"),
        (branched, "block"),
        (branched, "block.body.bn1"),
        (branched, "same.body"),
        (branched, "same.body.right.pool"),
    ],
)
def test_the_maps_weighted_by_their_mean_gradient(make, layer):
    model, x = network(make)
    kept = {}
    scores = forward(model, tensor(x), torch.relu, kept)
    scores[range(3), [3, 1, 0]].sum().backward()
    maps = kept[layer]
    weights = maps.grad.mean(dim=(2, 3), keepdim=True)
    small = torch.relu((weights * maps).sum(dim=1)).detach()
    found = look.grad_cam(model, x, [3, 1, 0], layer, enlarge=False)
    np.testing.assert_allclose(found, small.numpy(), rtol=1e-9, atol=1e-14)
    assert found.any()
    large = tf.interpolate(small[:, None], x.shape[1:3], mode="bilinear", align_corners=False)
    found = look.grad_cam(model, x, [3, 1, 0], layer)
    scale = float(large.max())
    np.testing.assert_allclose(found / scale, large[:, 0].numpy() / scale, atol=1e-5)
    one = look.grad_cam(model, x[1], 1, layer)
    np.testing.assert_allclose(one, found[1], rtol=1e-5, atol=1e-9 * scale)


def test_enlarged_keeps_the_axes_apart():
    found = enlarged(np.array([[0.0, 1.0]]), (2, 4))
    np.testing.assert_allclose(found, [[0, 0.25, 0.75, 1]] * 2)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("lenet5", {}, "C3"),
        ("lenet_caffe", {}, "conv2"),
        ("resnet20_cifar", {}, "layer3"),
        ("nin_cifar10", {}, "cccp6"),
    ],
)
def test_the_default_layer(name, options, expected):
    model = models.create(name, seed=0, **options)
    assert look.last_maps(model, np.zeros(model.input_shape, np.float32)) == expected


def test_the_default_layer_includes_batch_norm_and_relu_behind_a_convolution():
    model, x = network(chain)
    assert look.last_maps(model, x) == "relu2"
    model, x = network(branched)
    assert look.last_maps(model, x) == "bn"


def test_what_grad_cam_cannot_use():
    model = Network(flatten=Flatten(), fc=Linear(4, 3), input_shape=(2, 2, 1))
    x = np.ones((2, 2, 1), np.float32)
    with pytest.raises(ValueError, match="no convolution with maps larger than a pixel"):
        look.grad_cam(model, x)
    with pytest.raises(ValueError, match=r"layer='fc' returns \(1, 3\); expected maps"):
        look.grad_cam(model, x, layer="fc")
