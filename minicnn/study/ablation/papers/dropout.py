"""Dropout in two fully connected layers, or none."""

from functools import partial

from ....layers import Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Network
from ....layers.init import he_normal
from ..claim import TEST_ERROR, TEST_LOSS, Claim, Statement, Variant
from ..networks import PLAIN, SHAPE

HIDDEN = 512


def network(num_classes: int, p: float) -> Network:
    """Two convolutions and three linear layers, with dropout after the first two of these."""
    layers: dict[str, Layer] = {
        "conv1": Conv2d(3, 32, 5, padding=2, activation="relu"),
        "pool1": MaxPool2d(2),
        "conv2": Conv2d(32, 64, 5, padding=2, activation="relu"),
        "pool2": MaxPool2d(2),
        "flatten": Flatten(),
    }
    for number, c_in in ((3, 64 * 8 * 8), (4, HIDDEN)):
        layers[f"fc{number}"] = Linear(c_in, HIDDEN, activation="relu")
        if p:
            layers[f"drop{number}"] = Dropout(p)
    layers["fc5"] = Linear(HIDDEN, num_classes)
    return Network(**layers, input_shape=SHAPE).initialize(he_normal(), 0.0)


CLAIM = Claim(
    name="dropout",
    title="Dropout in the fully connected layers reduces overfitting",
    source="Krizhevsky et al. 2012, section 4.2",
    setting=f"two convolutions and two hidden layers of {HIDDEN} units; the paper has no numbers",
    variants={
        "dropout": Variant(partial(network, p=0.5), PLAIN),
        "none": Variant(partial(network, p=0.0), PLAIN),
    },
    statements=[
        Statement("dropout", "none", TEST_ERROR, "without it, substantial overfitting"),
        Statement("dropout", "none", TEST_LOSS, "without it, substantial overfitting"),
    ],
    limit=10_000,
    epochs=20,
    minutes=20,
)
