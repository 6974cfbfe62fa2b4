"""Local response normalization after the first two convolutions, or none."""

from functools import partial

from ....layers import LocalResponseNorm, MaxPool2d
from ..claim import TEST_ERROR, Claim, Statement, at_rates
from ..networks import ALEXNET, four_layers

build = partial(four_layers, pool=partial(MaxPool2d, 3, stride=2, padding=1))
SIDES = {"lrn": partial(build, norm=LocalResponseNorm), "none": build}
# With these pixels the paper's rate of 0.01 is too high without LRN, which divides large outputs.
RATES = (0.001, 0.003, 0.01)

CLAIM = Claim(
    name="lrn",
    title="Local response normalization lowers the test error",
    source="Krizhevsky et al. 2012, section 3.3",
    setting="few images and epochs, no augmentation; the paper's constants and scale of pixels; "
    "for each its own learning rate: the best of three by the same seeds, a choice that the "
    "interval does not count",
    variants=at_rates(SIDES, ALEXNET, RATES),
    statements=[
        Statement(
            "lrn-*",
            "none-*",
            TEST_ERROR,
            "four layers on CIFAR-10: 11 % instead of 13 %; on ImageNet 1.4 points (top-1) and 1.2 "
            "points (top-5) lower",
        ),
    ],
    limit=10_000,
    epochs=20,
    minutes=20,
)
