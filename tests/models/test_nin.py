"""Network in Network: its maps, and the average that gives the logits."""

import numpy as np

from minicnn import models

from .starts import assert_loss_falls
from .tables import sizes


def test_sizes():
    found = sizes("nin_cifar10")
    layers = ("conv1", "cccp2", "pool1", "cccp4", "pool2", "cccp6", "pool3")
    assert [found[layer] for layer in layers] == [
        *((32, 32, 192), (32, 32, 96), (16, 16, 96), (16, 16, 192)),
        *((8, 8, 192), (8, 8, 10), (10,)),
    ]
    assert [sizes("nin_imagenet")[layer][0] for layer in ("conv1", "pool0", "pool2", "pool3")] == [
        *(54, 27, 13, 6)
    ]


def test_initial_weights():
    """Caffe's files: 0.05, and smaller where they say so."""
    for name, expected in (
        ("nin_cifar10", {"conv1": 0.05, "cccp1": 0.05, "conv2": 0.05}),
        ("nin_cifar100", {"conv1": 0.001, "cccp1": 0.01, "cccp2": 0.01, "conv2": 0.05}),
        ("nin_imagenet", {"conv1": 0.01, "conv2": 0.05, "conv3": 0.01, "cccp8": 0.01}),
    ):
        net = models.create(name, seed=0)
        for layer, std in expected.items():
            np.testing.assert_allclose(net[layer].weight.value.std(), std, rtol=0.03)
            assert not net[layer].bias.value.any()


def test_loss_falls(photographs):
    assert_loss_falls("nin_cifar10", photographs, lr=0.05, steps=100)
