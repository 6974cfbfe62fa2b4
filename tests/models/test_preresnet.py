"""Pre-activation ResNet: where batch norm and ReLU are (He et al. 2016, section 4, appendix)."""

import numpy as np
import pytest

from minicnn import models
from minicnn.layers import BatchNorm2d, Residual, Sequential
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls


@pytest.mark.parametrize("name", ["preresnet18", "preresnet50", "preresnet164_cifar"])
def test_place_of_the_first_activation(name):
    with skip_init():
        net = models.create(name)
    stages = [layer for child, layer in net.children() if child.startswith("layer")]
    assert isinstance(stages[0][0], Residual)  # the net's first unit: bn1 of the net is its own
    assert "bn1" not in dict(stages[0][0].body.children())
    for stage in stages[1:]:  # the shape changes: before the split
        assert isinstance(stage[0], Sequential)
        assert [child for child, _ in stage[0].children()] == ["bn1", "unit"]
    for unit in (unit for stage in stages for unit in stage[1:]):  # within the branch
        assert next(child for child, _ in unit.body.children()) == "bn1"
        assert unit.activation is None


def test_the_identity_path_is_clean():
    """A unit whose branch gives 0 returns x unchanged, negative values too."""
    net = models.create("preresnet20_cifar", seed=0)
    unit = net.layer1[1]
    unit.body.conv2.weight.value[...] = 0
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 16)).astype(np.float32)
    np.testing.assert_array_equal(unit(x), x)


def test_last_activation():
    with skip_init():
        small, large = models.create("preresnet20_cifar"), models.create("preresnet18")
    for layer in (small.bn4, large.bn5):
        assert isinstance(layer, BatchNorm2d)
        assert layer.activation == "relu"


def test_loss_falls(photographs):
    assert_loss_falls("preresnet20_cifar", photographs, lr=0.02, steps=20)
