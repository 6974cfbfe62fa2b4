"""SqueezeNet: the sizes and counts of the paper's table 1, and the bypasses of section 6."""

import numpy as np
import pytest

from minicnn import models
from minicnn.layers import Conv2d, Residual
from minicnn.layers.init import skip_init

from .compact_twins import squeezenet
from .tables import sizes, table
from .test_twins import CLASSES, compare


def test_sizes():
    """Table 1. Its 111 after conv1 is that of a 227 input, which the authors' files have."""
    found = sizes("squeezenet1_0", input_size=227)
    layers = ("conv1", "pool1", "pool4", "pool8", "conv10", "pool10")
    assert [found[layer] for layer in layers] == [
        *((111, 111, 96), (55, 55, 96), (27, 27, 256), (13, 13, 512), (13, 13, 1000), (1000,))
    ]
    found = sizes("squeezenet1_1")
    assert [found[name] for name in ("pool1", "pool3", "pool5")] == [
        *((55, 55, 64), (27, 27, 128), (13, 13, 256))
    ]


def test_parameters_per_layer():
    """Table 1, the column before pruning."""
    counts = {}
    for row in table("squeezenet1_0").rows:
        layer = row.name.partition(".")[0]
        counts[layer] = counts.get(layer, 0) + row.parameters
    assert {layer: count for layer, count in counts.items() if count} == {
        "conv1": 14208,
        "fire2": 11920,
        "fire3": 12432,
        "fire4": 45344,
        "fire5": 49440,
        "fire6": 104880,
        "fire7": 111024,
        "fire8": 188992,
        "fire9": 197184,
        "conv10": 513000,
    }


def test_operations():
    """The authors print 1.72 GFLOPS per image for 1.0, whose conv10 pads 13x13 to 15x15 there."""
    macs = table("squeezenet1_0", input_size=227).macs + (15**2 - 13**2) * 512 * 1000
    assert round(2 * macs / 1e9, 2) == 1.72


def test_bypasses():
    """Simple ones around fire3, 5, 7 and 9; complex ones around the other four too."""
    around = {}
    for bypass in ("none", "simple", "complex"):
        with skip_init():
            net = models.create("squeezenet1_0", bypass=bypass)
        around[bypass] = {
            name: type(layer.shortcut)
            for name, layer in net.children()
            if isinstance(layer, Residual)
        }
    simple = {f"fire{n}": type(None) for n in (3, 5, 7, 9)}
    assert around["none"] == {}
    assert around["simple"] == simple
    assert around["complex"] == simple | {f"fire{n}": Conv2d for n in (2, 4, 6, 8)}
    with pytest.raises(ValueError, match="bypass='all': expected 'none', 'simple' or 'complex'"):
        models.create("squeezenet1_0", bypass="all")


@pytest.mark.parametrize("bypass", ["simple", "complex"])
def test_bypasses_against_torch(bypass):
    options = {"input_size": 36, "bypass": bypass}
    found = compare(
        "squeezenet1_0",
        np.float64,
        options,
        lambda masks: squeezenet(masks, CLASSES, bypass=bypass),
    )
    assert max(map(max, found.values())) < 1e-9, found


def test_initial_weights():
    """The authors' files: Caffe's xavier, 0.01 in the last layer, biases of 0."""
    net = models.create("squeezenet1_1", seed=0)
    np.testing.assert_allclose(net.conv10.weight.value.std(), 0.01, rtol=0.01)
    expand = net.fire9.expand.expand3x3
    np.testing.assert_allclose(abs(expand.weight.value).max(), np.sqrt(3 / 576), rtol=0.01)
    assert not any(p.value.any() for n, p in net.named_parameters() if n.endswith("bias"))
