"""DenseNet: the sizes of the paper's table 1, the parameters of its table 2."""

from itertools import pairwise

import numpy as np
import pytest

from minicnn import models
from minicnn.layers import Conv2d, Dropout
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls
from .tables import table


def test_sizes():
    """Table 1: 56, 28, 14, 7; each block adds k maps per layer, each transition halves them."""
    with skip_init():
        net = models.create("densenet121")
    shape, found = (1, *net.input_shape), {}
    for name, layer in net.children():
        shape = layer.output_shape(shape)
        found[name] = shape[1:]
    assert found["conv0"] == (112, 112, 64)
    assert found["pool0"] == (56, 56, 64)
    blocks = [found[f"denseblock{n}"] for n in (1, 2, 3, 4)]
    assert blocks == [(56, 56, 256), (28, 28, 512), (14, 14, 1024), (7, 7, 1024)]
    assert [found[f"transition{n}"] for n in (1, 2, 3)] == [
        *((28, 28, 128), (14, 14, 256), (7, 7, 512))
    ]


@pytest.mark.parametrize(
    ("name", "depth", "growth_rate", "millions"),
    [
        ("densenet_cifar", 40, 12, 1.0),
        ("densenet_cifar", 100, 12, 7.0),
        ("densenet_cifar", 100, 24, 27.2),
        ("densenet_bc_cifar", 100, 12, 0.8),
        ("densenet_bc_cifar", 250, 24, 15.3),
        ("densenet_bc_cifar", 190, 40, 25.6),
    ],
)
def test_parameters(name, depth, growth_rate, millions):
    """Table 2."""
    found = table(name, depth=depth, growth_rate=growth_rate).parameters
    assert round(found / 1e6, 1) == millions


def test_the_depth_counts_the_layers():
    """L layers with weights; the name says so too."""
    for name, options, depth in (
        ("densenet_cifar", {"depth": 13}, 13),
        ("densenet_bc_cifar", {"depth": 22}, 22),
        ("densenet121", {}, 121),
        ("densenet169", {}, 169),
        ("densenet201", {}, 201),
        ("densenet161", {}, 161),
    ):
        with skip_init():
            net = models.create(name, **options)
        convolutions = [layer for _, layer in net.named_layers() if isinstance(layer, Conv2d)]
        assert len(convolutions) + 1 == depth


def test_other_depths_are_refused():
    with pytest.raises(ValueError, match=r"depth=41: expected 3 n \+ 4, such as 40"):
        models.create("densenet_cifar", depth=41)
    with pytest.raises(ValueError, match=r"depth=4: expected 6 n \+ 4, such as 10"):
        models.create("densenet_bc_cifar", depth=4)


def test_dropout_follows_every_convolution_but_the_first():
    with skip_init():
        net = models.create("densenet_bc_cifar", depth=16, drop_rate=0.2)
    layers = [layer for _, layer in net.named_layers()]
    followers = [
        isinstance(after, Dropout) for layer, after in pairwise(layers) if isinstance(layer, Conv2d)
    ]
    assert followers == [False] + [True] * (len(followers) - 1)


def test_initial_weights():
    """The authors' code: N(0, 2 / (k k C_out)), a classifier as torch draws it, biases of 0."""
    net = models.create("densenet_cifar", seed=0)
    conv = net.denseblock3.denselayer12.new.conv1
    np.testing.assert_allclose(conv.weight.value.std(), np.sqrt(2 / (9 * 12)), rtol=0.01)
    bound = 1 / np.sqrt(net.classifier.in_features)
    np.testing.assert_allclose(abs(net.classifier.weight.value).max(), bound, rtol=0.01)
    assert not net.classifier.bias.value.any()


def test_loss_falls(photographs):
    assert_loss_falls("densenet_cifar", photographs, lr=0.05, steps=20, depth=10)
