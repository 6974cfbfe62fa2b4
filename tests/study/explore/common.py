"""A small trained-looking session that the tests of the explorer share."""

from decimal import ROUND_HALF_UP, Context

import numpy as np

from minicnn import data
from minicnn import layers as L
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


def other_layers():
    """A network with every layer that `every_layer` has not, for digits of 12 x 12 pixels.

    In "groups" and "shuffled" the maps are groups of channels, as in ShuffleNet; in "points.pixels"
    the array is a matrix.
    """
    maps = {
        "transposed": L.ConvTranspose2d(1, 6, 3, padding=1),
        "depthwise": Conv2d(6, 6, 3, padding=1, groups=6),
        "group_norm": L.GroupNorm(2, 6),
        "prelu": L.PReLU(6),
        "dense": Concat(kept=L.Identity(), new=Conv2d(6, 4, 3, padding=1)),
        "affine": L.Affine(10),
        "within": LocalResponseNorm(3, alpha=0.5, within_channel=True),
        "upsampled": L.Upsample(1.5, "bilinear"),
        "adaptive": L.AdaptiveAvgPool2d((7, 5)),
        "most": L.AdaptiveMaxPool2d(6),
        "resampled": L.Resample2d(np.eye(6)[:5] + 0.25, np.eye(6)[:4]),
        "padded": L.Pad2d(((1, 0), (1, 1)), 0.5),
        "average": L.AvgPool2d(3, 1),
        "subsampled": L.Subsample2d(10, activation="scaled_tanh"),
        "shortcut": L.PadShortcut(10, 12),
        "flipped": L.FlipChannels(),
        "groups": L.Reshape(2, 2, 3, 4),
        "shuffled": L.Permute(0, 1, 2, 4, 3),
        "joined": L.Reshape(2, 2, 12),
    }
    points = [
        *(L.ReLU6(), L.LeakyReLU(), L.ELU(), L.Clip(-3, 3), L.HardSigmoid(), L.HardSwish()),
        *(L.SiLU(), L.GELU(), L.ScaledTanh(), L.Tanh(), L.Sigmoid(), L.Scale(2.0, 0.5)),
        *(L.Function("softplus"), L.Function("power", 2.0), L.Identity(), L.LayerNorm(12)),
    ]
    ends = {
        "left": L.Slice(0, 8),
        "right": L.Slice(4, 12),
        "larger": L.Maximum(),
        "both": L.Concatenate(),
        "rows": L.Reshape(4, 16),
        "pixels": L.Permute(0, 2, 1),
        "back": L.Reshape(4, 4, 4),
        "largest": L.GlobalMaxPool2d(),
        "distances": L.RBF(np.sign(np.random.default_rng(0).standard_normal((10, 4)))),
        "softmax": L.Softmax(),
    }
    inputs = {"right": "15", "larger": ("left", "right"), "both": ("larger", "left")}
    graph = Graph(*points, **ends, inputs=inputs)
    return Network(**maps, points=graph, input_shape=(12, 12, 1))


def session(model=None, backend=None):
    """A session with the bundled digits."""
    model = model or every_layer()
    train, test = data.digits(12)
    return Session(model, Gallery(model, {"test": test[:40], "train": train[:80]}), backend)


def number(text):
    """The number that the page shows."""
    return float(text.replace("\u2212", "-").replace("∞", "inf"))


def nine_digits(value):
    """What JavaScript's toPrecision(9) keeps of a number: a half is rounded away from 0."""
    return float(Context(prec=9, rounding=ROUND_HALF_UP).create_decimal(float(value)))
