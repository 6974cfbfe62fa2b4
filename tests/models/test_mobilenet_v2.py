"""MobileNet v2: the sizes of the paper's table 2, and the authors' table of counts."""

import pytest

from minicnn import models
from minicnn.layers import Conv2d, Residual
from minicnn.layers.init import skip_init
from minicnn.models.mobilenet_v2 import width

from .tables import table


def test_sizes():
    with skip_init():
        net = models.create("mobilenet_v2")
    shape, found = (1, *net.input_shape), []
    for _, layer in net.children():
        shape = layer.output_shape(shape)
        found.append(shape[1:])
    assert found[:9] == [
        *((112, 112, 32), (112, 112, 16), (56, 56, 24), (28, 28, 32), (14, 14, 64)),
        *((14, 14, 96), (7, 7, 160), (7, 7, 320), (7, 7, 1280)),
    ]


# slim/nets/mobilenet/README.md: millions of MACs, rounded down, for inputs of 224, 192, 160, 128
# and 96; millions of parameters without those of batch norm.
TABLE = {
    1.4: ([582], 6.06),
    1.3: ([509], 5.34),
    1.0: ([300, 221, 154, 99, 56], 3.47),
    0.75: ([209, 153, 107, 69, 39], 2.61),
    0.5: ([97, 71, 50, 32, 18], 1.95),
    0.35: ([59, 43, 30, 20, 11], 1.66),
}


@pytest.mark.parametrize("alpha", TABLE)
def test_multipliers(alpha):
    macs, parameters = TABLE[alpha]
    for size, expected in zip((224, 192, 160, 128, 96), macs, strict=False):
        found = table("mobilenet_v2", alpha=alpha, input_size=size)
        assert found.macs // 10**6 == expected, size
    norms = sum(row.parameters for row in found.rows if row.layer == "BatchNorm2d")
    assert round((found.parameters - norms) / 1e6, 2) == parameters


def test_widths_are_multiples_of_eight():
    assert [width(c) for c in (3, 11.2, 11.9, 12, 44.8, 1280 * 1.4)] == [8, 16, 16, 16, 48, 1792]


def test_shortcuts_and_linear_ends():
    """A shortcut around all but the first block of a row; no activation after the projection."""
    with skip_init():
        net = models.create("mobilenet_v2")
    rows = [layer for name, layer in net.children() if name.startswith("bottleneck")]
    for row in rows:
        kinds = [isinstance(block, Residual) for block in row]
        assert kinds == [False] + [True] * (len(kinds) - 1)
        for block in row:
            body = block.body if isinstance(block, Residual) else block
            assert (body.project.activation, body.bn.activation) == (None, None)
            assert getattr(block, "activation", None) is None
            depthwise = body.depthwise.conv
            assert isinstance(depthwise, Conv2d)
            assert depthwise.groups == depthwise.in_channels
            assert body.depthwise.bn.activation == "relu6"
