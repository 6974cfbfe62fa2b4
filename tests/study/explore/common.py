"""A small trained-looking session that the tests of the explorer share."""

import numpy as np

from minicnn import data
from minicnn.layers import (
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Multiply,
    Network,
    ReLU,
    Residual,
    Sequential,
)
from minicnn.study.explore import Gallery, Session


def every_layer():
    """A network with a layer of nearly every kind, for digits of 12 x 12 pixels."""
    return Network(
        conv=Conv2d(1, 4, 3, padding=1, activation="relu"),
        norm=LocalResponseNorm(3, alpha=0.5),
        pool=MaxPool2d(2),
        block=Residual(
            Sequential(conv=Conv2d(4, 4, 3, padding=1), bn=BatchNorm2d(4)), activation="relu"
        ),
        mix=Concat(left=Conv2d(4, 3, 1), right=Conv2d(4, 2, 3, padding=1)),
        gated=Graph(
            gate=Conv2d(5, 1, 1, activation="sigmoid"),
            scaled=Multiply(),
            sum=Add(),
            inputs={"scaled": ("input", "gate"), "sum": ("scaled", "input")},
        ),
        relu=ReLU(),
        flatten=Flatten(),
        drop=Dropout(0.5),
        fc=Linear(180, 10),
        input_shape=(12, 12, 1),
    )


def session(model=None):
    """A session with the bundled digits."""
    model = model or every_layer()
    train, test = data.digits(12)
    return Session(model, Gallery(model, {"test": test[:40], "train": train[:80]}))


def number(text):
    """The number that the page shows."""
    return float(text.replace("\u2212", "-").replace("∞", "inf"))


def nine_digits(value):
    """What JavaScript's toPrecision(9) keeps of a number."""
    return float(np.format_float_scientific(value, 8, unique=False))
