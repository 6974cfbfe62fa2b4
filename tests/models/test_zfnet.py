"""ZFNet: the sizes of the paper's figure 3."""

from .starts import assert_loss_falls
from .tables import sizes


def test_sizes():
    found = sizes("zfnet")
    layers = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv5", "pool5")
    assert [found[layer][0] for layer in layers] == [110, 55, 26, 13, 13, 13, 6]
    wide = sizes("zfnet_wide")
    assert [wide[layer][2] for layer in ("conv3", "conv4", "conv5")] == [512, 1024, 512]


def test_loss_falls(photographs):
    assert_loss_falls("zfnet", photographs, lr=0.01, steps=60, input_size=97)
