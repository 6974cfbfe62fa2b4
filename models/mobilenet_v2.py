"""MobileNet v2: inverted residuals, wide inside and narrow between them, with linear bottlenecks.

| alpha | input | parameters | MACs        |
|-------|-------|-----------:|------------:|
| 1     | 224   |  3,504,872 | 300,774,272 |
| 1.4   | 224   |  6,108,776 | 582,195,824 |
| 0.35  | 96    |  1,677,128 |  11,934,128 |

Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: inverted residuals and linear
bottlenecks", 2018 (arXiv:1801.04381), tables 1 and 2, sections 3 to 5 and 6.1.
"""

import math
import re
from dataclasses import replace
from itertools import accumulate
from typing import Any

from minicnn.errors import brief
from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Layer,
    Linear,
    Network,
    Residual,
    Sequential,
)
from minicnn.layers.init import gaussian
from minicnn.registry import TorchForm, register
from minicnn.training import StepDecay

from .mobilenet_v1 import PAPER as V1
from .recipes import TORCHVISION

# Table 2: expansion t, channels c, repetitions n, stride s of the first.
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(num_classes: int = 1000, input_size: int = 224, alpha: float = 1.0) -> Network:
    """MobileNet v2.

    alpha: the width multiplier, a factor of all channels; below 1 it leaves those of the last
        convolution (section 6.1). 0.35 to 1.4 in the paper, with inputs of 96 to 224.
    """
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha={brief(alpha)}: expected a number above 0")
    channels = width(32 * alpha)
    layers: dict[str, Any] = {"conv1": conv_bn(3, channels, 3, stride=2)}
    for row, (t, c, n, s) in enumerate(BOTTLENECKS, 1):
        blocks = []
        for i in range(n):
            blocks.append(bottleneck(channels, width(c * alpha), t, 1 if i else s))
            channels = width(c * alpha)
        layers[f"bottleneck{row}"] = Sequential(*blocks)
    last = width(1280 * max(alpha, 1.0))
    return Network(
        **layers,
        conv2=conv_bn(channels, last, 1),
        pool=GlobalAvgPool2d(),
        drop=Dropout(0.2),
        fc=Linear(last, num_classes),
        input_shape=(input_size, input_size, 3),
    ).initialize(gaussian(0.09), 0.0)


def bottleneck(c_in: int, c_out: int, t: int, stride: int) -> Layer:
    """The inverted residual (table 1, figure 4d): c_in -> t c_in -> t c_in -> c_out channels.

    It has no activation at its end, and a shortcut where the shape stays.
    """
    wide = t * c_in
    expand: dict[str, Any] = {"expand": conv_bn(c_in, wide, 1)} if t > 1 else {}
    block = Sequential(
        **expand,
        depthwise=conv_bn(wide, wide, 3, stride, groups=wide),
        project=Conv2d(wide, c_out, 1, bias=False),
        bn=BatchNorm2d(c_out),
    )
    return Residual(block) if stride == 1 and c_in == c_out else block


def conv_bn(c_in: int, c_out: int, size: int, stride: int = 1, groups: int = 1) -> Sequential:
    """A convolution, batch norm, ReLU6."""
    return Sequential(
        conv=Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False),
        bn=BatchNorm2d(c_out, activation="relu6"),
    )


def width(channels: float) -> int:
    """The nearest multiple of 8 that is at least 90 % of `channels`, as in the authors' code."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


# --- how they were trained ------------------------------------------------------------------------

PAPER = replace(
    V1,
    source="Sandler et al. 2018, section 6.1: RMSProp with decay and momentum 0.9, lr 0.045 "
    "multiplied by 0.98 per epoch, weight decay 4e-5, 96 images; eps, no weight decay on "
    "depthwise filters: the authors' code; epochs: torchvision",
    epochs=300,
    batch_size=96,
    schedule=StepDecay(1, gamma=0.98),
    multipliers={"*.depthwise.conv.weight": (1.0, 0.0)},
)
SGD = replace(
    TORCHVISION,
    source="torchvision's reference training script: 300 epochs of 256 images, SGD, lr 0.045 "
    "multiplied by 0.98 per epoch",
    epochs=300,
    lr=0.045,
    options={"momentum": 0.9, "weight_decay": 4e-5},
    schedule=StepDecay(1, gamma=0.98),
)

# The number of the first block of each row among torchvision's features.
FIRST = list(accumulate((n for _, _, n, _ in BOTTLENECKS), initial=1))
LAYERS = {"conv1": "features.0", "conv2": f"features.{FIRST[-1]}", "fc": "classifier.1"}


def torch_names(name: str) -> str:
    """Torchvision counts the blocks through, and the layers in each."""
    found = re.fullmatch(r"bottleneck(\d)\.(\d)\.(?:body\.)?(\w+)\.(.*)", name)
    if not found:
        layer, _, rest = name.partition(".")
        return f"{LAYERS[layer]}.{numbered(rest)}"
    row, number, part, rest = found.groups()
    parts = ["expand", "depthwise", "project", "bn"][BOTTLENECKS[int(row) - 1][0] == 1 :]
    block = FIRST[int(row) - 1] + int(number)
    return f"features.{block}.conv.{parts.index(part)}.{numbered(rest)}"


def numbered(name: str) -> str:
    """`conv.weight` -> `0.weight`, `bn.weight` -> `1.weight`."""
    return re.sub(r"^bn\.", "1.", re.sub(r"^conv\.", "0.", name))


TORCH = TorchForm(torch_names, TORCHVISION.preprocess)
RECIPES = {"default": SGD, "paper": PAPER, "torchvision": SGD}
register("mobilenet_v2", RECIPES, torch=TORCH)(mobilenet_v2)
