"""Max pooling over 3x3 windows that overlap, or over 2x2 windows that do not."""

from functools import partial

from ....layers import MaxPool2d
from ..claim import TEST_ERROR, Claim, Statement, at_rates
from ..networks import ALEXNET, four_layers

SIDES = {
    "overlapping": partial(four_layers, pool=partial(MaxPool2d, 3, stride=2, padding=1)),
    "apart": partial(four_layers, pool=partial(MaxPool2d, 2)),
}
RATES = (0.001, 0.003)

CLAIM = Claim(
    name="overlapping-pooling",
    title="Overlapping pooling lowers the test error",
    source="Krizhevsky et al. 2012, section 3.4",
    setting="a network of four layers; 3x3 windows have padding 1, so "
    "that both variants have outputs of the same size; for each its own learning rate: the better "
    "of two by the same seeds, a choice that the interval does not count",
    variants=at_rates(SIDES, ALEXNET, RATES),
    statements=[
        Statement(
            "overlapping-*",
            "apart-*",
            TEST_ERROR,
            "on ImageNet 0.4 points (top-1) and 0.3 points (top-5) lower",
        ),
    ],
    limit=10_000,
    epochs=20,
    minutes=12,
)
