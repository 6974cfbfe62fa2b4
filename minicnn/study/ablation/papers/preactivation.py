"""Batch norm and ReLU before the convolutions (pre-activation), or after them."""

from ..claim import TEST_ERROR, Claim, Statement, Variant
from ..networks import RESNET, registered

CLAIM = Claim(
    name="preactivation",
    title="Pre-activation lowers the test error of deep residual networks",
    source="He et al. 2016, section 4 and table 3",
    setting="56 layers, few images and epochs; the paper has 110 to 1001 layers, and a difference "
    "that grows with the depth",
    variants={
        "pre-activation": Variant(registered("preresnet56_cifar"), RESNET),
        "original": Variant(registered("resnet56_cifar"), RESNET),
    },
    statements=[
        Statement(
            "pre-activation",
            "original",
            TEST_ERROR,
            "6.37 % against 6.61 % with 110 layers; 4.92 % against 7.61 % with 1001",
        ),
    ],
    limit=5_000,
    epochs=12,
    minutes=35,
)
