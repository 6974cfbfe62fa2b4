"""Every network's parameters and multiply-accumulates, exactly, and the output sizes of the papers' tables."""

import numpy as np
import pytest

from minicnn import models
from minicnn.layers import BatchNorm2d
from minicnn.layers.init import skip_init
from minicnn.study import summarize

from .counts import COUNTS


def table(name, options=None, **more):
    with skip_init():
        return summarize(models.create(name, **(options or {})), **more)


@pytest.mark.parametrize(
    ("name", "options", "shape", "parameters", "macs", "fixed"),
    COUNTS,
    ids=[f"{row[0]}-{'-'.join(map(str, row[1].values()))}" for row in COUNTS],
)
def test_counts(name, options, shape, parameters, macs, fixed):
    found = table(name, options)
    assert (found.input, found.parameters, found.fixed) == (shape, parameters, fixed)
    assert macs in (None, found.macs)


def test_every_network_is_counted():
    assert set(models.names()) == {row[0] for row in COUNTS}


def sizes(name, **options):
    return {row.name: row.output for row in table(name, options).rows}


def test_alexnet_sizes():
    for input_size in (227, 224):  # the paper's 224 by padding three zeros at the right and bottom
        found = sizes("alexnet", input_size=input_size)
        assert [
            found[n]
            for n in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
        ] == [
            *((55, 55, 96), (27, 27, 96), (27, 27, 256), (13, 13, 256)),
            *((13, 13, 384), (13, 13, 384), (13, 13, 256), (6, 6, 256)),
        ]


def test_zfnet_sizes():
    found = sizes("zfnet")
    assert [
        found[f"{kind}"][0]
        for kind in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv5", "pool5")
    ] == [110, 55, 26, 13, 13, 13, 6]


def test_vgg16_memory_and_weights():
    """CS231n's list, of which each row is right and the total (24M values) is not: the rows add up to 15.2M."""
    found = table("vgg16")
    rows = {row.name: row for row in found.rows}
    weights = {
        "conv1_1": 1_728,
        "conv1_2": 36_864,
        "conv2_1": 73_728,
        "conv3_1": 294_912,
        "conv5_3": 2_359_296,
    }
    biases = {"conv1_1": 64, "conv1_2": 64, "conv2_1": 128, "conv3_1": 256, "conv5_3": 512}
    for name, count in weights.items():
        assert rows[name].parameters == count + biases[name]
    assert (rows["conv1_1"].memory, rows["pool1"].memory, rows["pool5"].memory) == (
        3_211_264,
        802_816,
        25_088,
    )
    unlisted = ("drop6", "drop7", "avgpool", "flatten")  # copies that the list does not have
    listed = sum(row.memory for row in found.rows if row.name not in unlisted) + 224 * 224 * 3
    assert listed == 15_237_608


def test_googlenet_sizes():
    found = table("googlenet", {"aux": False})
    modules = {}
    for row in found.rows:
        module = row.name.split(".")[0]
        if module.startswith("inception"):
            modules.setdefault(module, []).append(row)
    channels = {
        m: sum(r.output[2] for r in rows if r.name.endswith((".branch1", ".1")))
        for m, rows in modules.items()
    }
    expected = {
        "3a": 256,
        "3b": 480,
        "4a": 512,
        "4b": 512,
        "4c": 512,
        "4d": 528,
        "4e": 832,
        "5a": 832,
        "5b": 1024,
    }
    assert channels == {f"inception{m}": c for m, c in expected.items()}
    macs = {m: sum(r.macs for r in rows) for m, rows in modules.items()}
    assert macs["inception3a"] == 128_049_152
    assert macs["inception5b"] == 70_697_984
    rows = {row.name: row.output for row in found.rows}
    assert [rows[n] for n in ("pool1", "pool2", "pool3", "pool4")] == [
        (56, 56, 64),
        (28, 28, 192),
        (14, 14, 480),
        (7, 7, 832),
    ]


def test_resnet_sizes():
    found = {row.name: row.output for row in table("resnet50").rows}
    assert found["pool1"] == (56, 56, 64)
    for layer, expected in (
        ("layer1.2", (56, 56, 256)),
        ("layer2.3", (28, 28, 512)),
        ("layer3.5", (14, 14, 1024)),
        ("layer4.2", (7, 7, 2048)),
    ):
        assert found[f"{layer}.body.bn3"] == expected


def test_initial_gammas_are_one():
    """Weight initializers are for convolutions: batch norm starts as the identity."""
    for name in ("resnet20_cifar", "preresnet20_cifar", "googlenet_bn"):
        for _, layer in models.create(name, seed=0).named_layers():
            if isinstance(layer, BatchNorm2d):
                np.testing.assert_array_equal(layer.weight.value, 1)
                np.testing.assert_array_equal(layer.bias.value, 0)


def test_initial_biases_of_alexnet():
    net = models.create("alexnet_two_gpu", num_classes=10, input_size=67)
    positive = {
        name for name, p in net.named_parameters() if name.endswith("bias") and (p.value == 1).all()
    }
    assert positive == {"conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias", "fc7.bias"}
    assert abs(net.conv3.weight.value.std() - 0.01) < 1e-4
