"""ResNet: the sizes of the paper's table 1, the forms of the shortcut, initial values."""

import numpy as np
import pytest

from minicnn import models
from minicnn.layers import BatchNorm2d, PadShortcut, Sequential
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls
from .tables import sizes


def test_sizes():
    found = sizes("resnet50")
    assert found["pool1"] == (56, 56, 64)
    for layer, expected in (
        ("layer1.2", (56, 56, 256)),
        ("layer2.3", (28, 28, 512)),
        ("layer3.5", (14, 14, 1024)),
        ("layer4.2", (7, 7, 2048)),
    ):
        assert found[f"{layer}.body.bn3"] == expected


def test_stride_of_both_bottlenecks():
    for name, strides in (("resnet50", (1, 2)), ("resnet50_v1", (2, 1))):
        with skip_init():
            body = models.create(name).layer2[0].body
        assert (body.conv1.stride[0], body.conv2.stride[0]) == strides


@pytest.mark.parametrize("name", ["resnet20_cifar", "preresnet20_cifar"])
def test_shortcuts(name):
    """A never has weights, B has them where the shape changes, C in every block."""
    kinds = {}
    for option in "ABC":
        with skip_init():
            net = models.create(name, option=option)
        blocks = [getattr(block, "unit", block) for layer in net[2:5] for block in layer]
        kinds[option] = [type(block.shortcut) for block in blocks]
    projection = Sequential if name.startswith("resnet") else type(net.conv1)
    identity = type(None)
    changes = [False, False, False, True, False, False, True, False, False]
    assert kinds["A"] == [PadShortcut if change else identity for change in changes]
    assert kinds["B"] == [projection if change else identity for change in changes]
    assert kinds["C"] == [projection] * 9


@pytest.mark.parametrize("name", ["resnet18", "resnet20_cifar", "preresnet18"])
def test_unknown_shortcut(name):
    with pytest.raises(ValueError, match="option='D': expected 'A', 'B' or 'C'"):
        models.create(name, option="D")


def test_option_a_pads_one_end_or_both():
    """Common CIFAR checkpoints pad at both ends: the same weights give another network."""
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    one, both = (
        models.create("resnet20_cifar", seed=0, pad_both_ends=b).eval() for b in (False, True)
    )
    assert abs(one(x) - both(x)).max() > 1e-3
    y = both.layer2[0].shortcut(np.ones((1, 4, 4, 16), np.float32))
    np.testing.assert_array_equal(y[0, 0, 0], np.r_[np.zeros(8), np.ones(16), np.zeros(8)])
    y = one.layer2[0].shortcut(np.ones((1, 4, 4, 16), np.float32))
    np.testing.assert_array_equal(y[0, 0, 0], np.r_[np.ones(16), np.zeros(16)])


def test_initial_gammas_are_one():
    """Batch norm starts as the identity: initializers only draw weights of convolutions."""
    for name in ("resnet20_cifar", "preresnet20_cifar", "googlenet_bn"):
        for _, layer in models.create(name, seed=0).named_layers():
            if isinstance(layer, BatchNorm2d):
                np.testing.assert_array_equal(layer.weight.value, 1)
                np.testing.assert_array_equal(layer.bias.value, 0)


def test_loss_of_resnet18_falls(photographs):
    assert_loss_falls("resnet18", photographs, lr=0.002, steps=20, input_size=64)


def test_loss_of_resnet20_cifar_falls(photographs):
    assert_loss_falls("resnet20_cifar", photographs, lr=0.05, steps=20)
