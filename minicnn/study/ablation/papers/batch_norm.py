"""Batch norm, at the learning rate of the network without it and at five times as much."""

from dataclasses import replace
from functools import partial
from typing import Any

from ....layers import (
    Activation,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    Sequential,
)
from ....layers.init import he_normal
from ..claim import TEST_ERROR, Claim, Statement, Variant, epochs_to
from ..networks import PLAIN, SHAPE

LR = 0.02
LEVEL = 0.40  # the training error to which epochs are counted


def network(num_classes: int, norm: bool, activation: str = "relu") -> Network:
    """Six 3x3 convolutions in three stages, and a linear layer."""
    layers: dict[str, Layer] = {}
    c_in = 3
    for number, width in enumerate((16, 16, 32, 32, 64, 64), start=1):
        layers[f"conv{number}"] = _conv(c_in, width, norm, activation)
        if number % 2 == 0:
            layers[f"pool{number}"] = MaxPool2d(2)
        c_in = width
    layers |= {"flatten": Flatten(), "fc": Linear(64 * 4 * 4, num_classes)}
    return Network(**layers, input_shape=SHAPE).initialize(he_normal(), 0.0)


def _conv(c_in: int, c_out: int, norm: bool, activation: str) -> Layer:
    if not norm:
        return Conv2d(c_in, c_out, 3, padding=1, activation=activation)
    convolution = Conv2d(c_in, c_out, 3, padding=1, bias=False)
    return Sequential(conv=convolution, bn=BatchNorm2d(c_out), f=Activation(activation))


def variant(lr: float, **options: Any) -> Variant:
    """The network with these options, trained at that rate."""
    return Variant(partial(network, **options), replace(PLAIN, lr=lr))


CLAIM = Claim(
    name="batch-norm",
    title="Batch norm needs fewer steps, allows higher learning rates, and trains with sigmoids",
    source="Ioffe & Szegedy 2015, section 4.2 and figure 3",
    setting="six convolutions; steps are counted to a training error, since such small sets are "
    "overfitted; the learning rate, 0.02, is not tuned",
    variants={
        "plain": variant(LR, norm=False),
        "bn": variant(LR, norm=True),
        "plain-x5": variant(5 * LR, norm=False),
        "bn-x5": variant(5 * LR, norm=True),
        "sigmoid": variant(LR, norm=False, activation="sigmoid"),
        "bn-sigmoid": variant(LR, norm=True, activation="sigmoid"),
    },
    statements=[
        Statement("bn", "plain", epochs_to(LEVEL), "13.3 instead of 31.0 million steps to 72.2 %"),
        Statement(
            "bn-x5", "plain", epochs_to(LEVEL), "2.1 instead of 31.0 million steps to 72.2 %"
        ),
        Statement(
            "bn-x5",
            "plain-x5",
            TEST_ERROR,
            "without it, 5 times the rate makes the weights overflow",
        ),
        Statement(
            "bn-sigmoid",
            "sigmoid",
            TEST_ERROR,
            "69.8 % accuracy, at 5 times the rate; without it, that of guessing",
        ),
    ],
    limit=10_000,
    epochs=15,
    minutes=25,
)
