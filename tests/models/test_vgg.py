"""VGG: table 1, and CS231n's list of its memory."""

import pytest

from minicnn import models
from minicnn.layers import Conv2d, LocalResponseNorm
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls
from .tables import table


def test_memory_and_weights():
    """Every row of CS231n's list is right, but not its total (24M values): the sum is 15.2M."""
    found = table("vgg16")
    rows = {row.name: row for row in found.rows}
    weights = {
        "conv1_1": 1_728 + 64,
        "conv1_2": 36_864 + 64,
        "conv2_1": 73_728 + 128,
        "conv3_1": 294_912 + 256,
        "conv5_3": 2_359_296 + 512,
    }
    assert {name: rows[name].parameters for name in weights} == weights
    memory = {"conv1_1": 3_211_264, "pool1": 802_816, "pool5": 25_088}
    assert {name: rows[name].memory for name in memory} == memory
    unlisted = ("drop6", "drop7", "avgpool", "flatten")  # copies that the list does not have
    listed = sum(row.memory for row in found.rows if row.name not in unlisted) + 224 * 224 * 3
    assert listed == 15_237_608


@pytest.mark.parametrize(
    ("name", "per_stage"),
    [
        ("vgg11", (1, 1, 2, 2, 2)),
        ("vgg13", (2, 2, 2, 2, 2)),
        ("vgg16_c", (2, 2, 3, 3, 3)),
        ("vgg16", (2, 2, 3, 3, 3)),
        ("vgg19", (2, 2, 4, 4, 4)),
    ],
)
def test_configurations(name, per_stage):
    with skip_init():
        net = models.create(name)
    convolutions = [(n, layer) for n, layer in net.children() if isinstance(layer, Conv2d)]
    names = [f"conv{s}_{i}" for s, n in enumerate(per_stage, 1) for i in range(1, n + 1)]
    assert [n for n, _ in convolutions] == names
    small = {n for n, layer in convolutions if layer.weight.value.shape[0] == 1}
    assert small == ({"conv3_3", "conv4_3", "conv5_3"} if name == "vgg16_c" else set())


def test_lrn_only_in_a_lrn():
    for name, expected in (("vgg11_lrn", ["norm1"]), ("vgg11", [])):
        with skip_init():
            net = models.create(name)
        found = [n for n, layer in net.children() if isinstance(layer, LocalResponseNorm)]
        assert found == expected


def test_loss_falls(photographs):
    assert_loss_falls("vgg11", photographs, lr=0.005, steps=50, input_size=32)
