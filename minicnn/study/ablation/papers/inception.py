"""Inception modules with 1x1 reductions (figure 2b), or without (figure 2a)."""

from collections.abc import Callable
from functools import partial

from ....layers import (
    Concat,
    Conv2d,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    Sequential,
)
from ....layers.init import he_normal
from ..claim import MACS, TEST_ERROR, Claim, Statement, Variant
from ..networks import PLAIN, SHAPE

# Per module: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj; a quarter of 3a and 3b in
# table 1.
MODULES = {"3a": (16, 24, 32, 4, 8, 8), "3b": (32, 32, 48, 8, 24, 16)}
POINT = 0.01


def conv(c_in: int, c_out: int, size: int) -> Conv2d:
    """A convolution of the input's size, then ReLU."""
    return Conv2d(c_in, c_out, size, padding=size // 2, activation="relu")


def reduced(c_in: int, n1: int, r3: int, n3: int, r5: int, n5: int, proj: int) -> tuple[Layer, int]:
    """Figure 2b, and the number of its channels."""
    module = Concat(
        conv(c_in, n1, 1),
        Sequential(conv(c_in, r3, 1), conv(r3, n3, 3)),
        Sequential(conv(c_in, r5, 1), conv(r5, n5, 5)),
        Sequential(MaxPool2d(3, stride=1, padding=1), conv(c_in, proj, 1)),
    )
    return module, n1 + n3 + n5 + proj


def naive(c_in: int, n1: int, r3: int, n3: int, r5: int, n5: int, proj: int) -> tuple[Layer, int]:
    """Figure 2a: all channels of the pooling are part of the output."""
    pool = MaxPool2d(3, stride=1, padding=1)
    module = Concat(conv(c_in, n1, 1), conv(c_in, n3, 3), conv(c_in, n5, 5), pool)
    return module, n1 + n3 + n5 + c_in


def network(num_classes: int, module: Callable[..., tuple[Layer, int]]) -> Network:
    """A convolution, two modules at 16x16, two at 8x8, and a linear layer."""
    layers: dict[str, Layer] = {"conv1": conv(3, 32, 3), "pool1": MaxPool2d(2)}
    channels = 32
    for stage in ("a", "b"):
        for name, widths in MODULES.items():
            layers[f"inception{name}{stage}"], channels = module(channels, *widths)
        layers[f"pool{stage}"] = MaxPool2d(2)
    layers |= {"pool": GlobalAvgPool2d(), "fc": Linear(channels, num_classes)}
    return Network(**layers, input_shape=SHAPE).initialize(he_normal(), 0.0)


CLAIM = Claim(
    name="inception",
    title="1x1 reductions make an Inception module much cheaper without costing accuracy",
    source="Szegedy et al. 2014, section 4 and figure 2",
    setting="four small modules; the paper gives no errors for this, and 'without costing "
    "accuracy' is taken as: at most one point",
    variants={
        "reduced": Variant(partial(network, module=reduced), PLAIN),
        "naive": Variant(partial(network, module=naive), PLAIN),
    },
    statements=[
        Statement(
            "reduced", "naive", MACS, "without reductions, the cost blows up within a few stages"
        ),
        Statement(
            "reduced",
            "naive",
            TEST_ERROR,
            "even low-dimensional embeddings might contain a lot of information",
            POINT,
        ),
    ],
    limit=10_000,
    epochs=12,
    minutes=20,
)
