"""AlexNet: the sizes of the paper's figure 2 and the initial values of section 5."""

import numpy as np

from minicnn import models
from minicnn.layers import Conv2d, Dropout, Linear
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls
from .tables import sizes


def test_sizes():
    for name in ("alexnet", "alexnet_two_gpu", "caffenet"):
        for input_size in (227, 224):  # 224: padded by three zeros at the right and bottom
            found = sizes(name, input_size=input_size)
            order = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
            assert [found[layer] for layer in order] == [
                *((55, 55, 96), (27, 27, 96), (27, 27, 256), (13, 13, 256)),
                *((13, 13, 384), (13, 13, 384), (13, 13, 256), (6, 6, 256)),
            ]
            assert (found["fc6"], found["fc7"], found["fc8"]) == ((4096,), (4096,), (1000,))


def test_groups_are_those_of_two_gpus():
    with skip_init():
        net = models.create("alexnet_two_gpu")
    groups = {name: layer.groups for name, layer in net.children() if isinstance(layer, Conv2d)}
    assert groups == {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}


def test_place_of_dropout():
    """After fc6 and fc7 in the paper, before them in torchvision."""
    for name, order in (
        ("alexnet", ["fc6", "drop6", "fc7", "drop7", "fc8"]),
        ("alexnet_torchvision", ["drop6", "fc6", "drop7", "fc7", "fc8"]),
    ):
        with skip_init():
            net = models.create(name)
        found = [n for n, layer in net.children() if isinstance(layer, (Linear, Dropout))]
        assert found == order


def test_initial_values():
    net = models.create("alexnet_two_gpu", seed=0, num_classes=10, input_size=67)
    ones = {n for n, p in net.named_parameters() if n.endswith("bias") and (p.value == 1).all()}
    zeros = {n for n, p in net.named_parameters() if n.endswith("bias") and (p.value == 0).all()}
    assert ones == {"conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias", "fc7.bias"}
    assert zeros == {"conv1.bias", "conv3.bias", "fc8.bias"}
    assert abs(net.conv3.weight.value.std() - 0.01) < 1e-4
    caffe = models.create("caffenet", seed=0, num_classes=10, input_size=67)
    np.testing.assert_allclose(caffe.fc7.weight.value.std(), 0.005, rtol=0.01)


def test_loss_falls(photographs):
    assert_loss_falls("alexnet", photographs, lr=0.001, steps=80)
