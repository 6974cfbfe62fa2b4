"""Activations and gradients per layer, with the model left as it was."""

import numpy as np
import pytest

from minicnn import models
from minicnn.layers.init import gaussian
from minicnn.study import probe


def test_probe_sees_a_dead_network():
    """A VGG whose weights are too small fades layer by layer; Glorot's rule keeps it alive."""
    network = models.create("vgg11", seed=0, num_classes=10, input_size=32, hidden=32)
    alive, loss = probe(network, batch=4)
    assert abs(loss - np.log(10)) < 1
    network.initialize(gaussian(0.001))
    faded, loss = probe(network, batch=4)
    assert [r.name for r in alive] == [r.name for r in faded]
    at = [r.name for r in alive].index("conv5_2")
    assert alive[at].activation > 1e-2 > 1e-8 > faded[at].activation
    assert alive[at].gradient > 0
    assert loss == pytest.approx(np.log(10), abs=1e-6)


def test_probe_leaves_no_trace():
    network = models.create("resnet20_cifar", seed=0).eval()
    before = {name: array.copy() for name, array in network.state_dict().items()}
    readings, _ = probe(network, batch=2)
    assert not network.training
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert not any(p.grad.any() for p in network.parameters())
    assert not any("backward" in vars(layer) for _, layer in network.named_layers())
    assert {r.layer for r in readings} == {
        "Conv2d",
        "BatchNorm2d",
        "PadShortcut",
        "GlobalAvgPool2d",
        "Linear",
    }
    assert all(r.gradient > 0 for r in readings)
