"""Small networks and recipes that several claims share. All read 32x32x3."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ... import registry
from ...data import Preprocess
from ...layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    Sequential,
)
from ...layers.init import Initializer, gaussian, he_normal
from ...training import Constant, Cosine, Recipe

SHAPE = (32, 32, 3)
SOURCE = "minicnn.study.ablation: for a comparison of small networks"
MOMENTUM = {"momentum": 0.9, "weight_decay": 5e-4}


# --- AlexNet's claims: a network of four layers with weights, as in its sections 3.1 and 3.3 ------


def four_layers(
    num_classes: int,
    *,
    activation: str = "relu",
    pool: Callable[[], Layer] = lambda: MaxPool2d(2),
    norm: Callable[[], Layer] | None = None,
    init: Initializer | None = None,
) -> Network:
    """Three 5x5 convolutions with 32, 32 and 64 maps, each pooled to half, and a linear layer.

    pool: 32 -> 16 -> 8 -> 4 pixels. norm: made after the first two activations, before pooling.
    The shape is that of Krizhevsky's cuda-convnet for CIFAR-10.
    """
    layers: dict[str, Layer] = {}
    for number, (c_in, c_out) in enumerate(((3, 32), (32, 32), (32, 64)), start=1):
        layers[f"conv{number}"] = Conv2d(c_in, c_out, 5, padding=2, activation=activation)
        if norm and number < 3:
            layers[f"norm{number}"] = norm()
        layers[f"pool{number}"] = pool()
    layers |= {"flatten": Flatten(), "fc4": Linear(64 * 4 * 4, num_classes)}
    return Network(**layers, input_shape=SHAPE).initialize(init or gaussian(0.01), 0.0)


# AlexNet subtracts the mean and keeps the scale of 0 to 255, to which the constants of its LRN and
# its initial weights of 0.01 belong (sections 2 and 5). The learning rate is the paper's, too.
ALEXNET = Recipe(
    source=SOURCE,
    data="cifar10",
    preprocess=Preprocess(SHAPE[:2], 3, mean="per pixel", std=1 / 255),
    epochs=20,
    batch_size=128,
    lr=0.01,
    options=MOMENTUM,
    schedule=Cosine(),
)
# Normalized pixels, a constant rate, nothing against overfitting.
PLAIN = Recipe(
    source=SOURCE,
    data="cifar10",
    preprocess=Preprocess(SHAPE[:2], 3, mean="per channel", std=0.25),
    epochs=20,
    batch_size=128,
    lr=0.01,
    options={"momentum": 0.9},
    schedule=Constant(),
)


# --- the residual networks' claims ----------------------------------------------------------------


def plain(depth: int, num_classes: int) -> Network:
    """`resnet20_cifar` and its like without the shortcuts: 6n + 2 layers (He et al. 2015b, 4.2).

    With shortcuts A, which have no parameters, both have the same weights.
    """
    stages: dict[str, Layer] = {}
    for number, (c_in, c_out) in enumerate(pairwise((16, 16, 32, 64)), start=1):
        first = _conv(c_in, c_out, stride=c_out // c_in)
        others = (_conv(c_out, c_out) for _ in range((depth - 2) // 3 - 1))
        stages[f"layer{number}"] = Sequential(first, *others)
    return Network(
        conv1=_conv(3, 16),
        **stages,
        pool=GlobalAvgPool2d(),
        linear=Linear(64, num_classes),
        input_shape=SHAPE,
    ).initialize(he_normal(), 0.0)


def _conv(c_in: int, c_out: int, stride: int = 1) -> Sequential:
    return Sequential(
        conv=Conv2d(c_in, c_out, 3, stride, 1, bias=False),
        bn=BatchNorm2d(c_out, activation="relu"),
    )


def registered(name: str, **options: Any) -> Callable[[int], Network]:
    """Makes the network of that name for any number of classes."""
    return lambda num_classes: registry.create(name, num_classes=num_classes, **options)


# The paper's, with a cosine in place of its steps, which belong to 64,000 iterations.
RESNET = replace(
    registry.entry("resnet20_cifar").recipe("paper"),
    source="He et al. 2015b, section 4.2, with a rate that falls along a cosine",
    schedule=Cosine(),
)
