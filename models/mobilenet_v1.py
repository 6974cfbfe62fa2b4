"""MobileNet v1: depthwise separable convolutions, 3x3 per channel and then 1x1 across channels.

| alpha | input | parameters | MACs        |
|-------|-------|-----------:|------------:|
| 1     | 224   |  4,231,976 | 568,740,352 |
| 0.75  | 192   |  2,585,560 | 239,273,472 |
| 0.5   | 160   |  1,331,592 |  76,524,800 |
| 0.25  | 128   |    470,072 |  13,570,048 |

Source: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam, "MobileNets: efficient
convolutional neural networks for mobile vision applications", 2017 (arXiv:1704.04861), table 1,
figure 3, sections 3.2 to 3.4.
"""

import math
from dataclasses import replace
from typing import Any

from minicnn.errors import brief
from minicnn.layers import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, Network, Sequential
from minicnn.layers.init import gaussian
from minicnn.registry import register
from minicnn.training import Recipe, StepDecay

from .recipes import crop_and_flip, imagenet_input

# Table 1: the channels and the stride of the 13 depthwise separable convolutions.
SEPARABLE = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)


def mobilenet_v1(num_classes: int = 1000, input_size: int = 224, alpha: float = 1.0) -> Network:
    """MobileNet v1.

    alpha: the width multiplier (section 3.3), a factor of all channels; 1, 0.75, 0.5 and 0.25 in
        the paper.
    input_size: 224 rho, rho being the resolution multiplier (section 3.4); 224, 192, 160 and 128
        in the paper.
    """
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha={brief(alpha)}: expected a number above 0")
    channels = width(32, alpha)
    layers: dict[str, Any] = {
        "conv1": Conv2d(3, channels, 3, 2, 1, bias=False),
        "bn1": BatchNorm2d(channels, eps=1e-3, activation="relu"),
    }
    for number, (c_out, stride) in enumerate(SEPARABLE, 1):
        layers[f"separable{number}"] = separable(channels, width(c_out, alpha), stride)
        channels = width(c_out, alpha)
    return Network(
        **layers,
        pool=GlobalAvgPool2d(),
        fc=Linear(channels, num_classes),
        input_shape=(input_size, input_size, 3),
    ).initialize(gaussian(0.09), 0.0)


def separable(c_in: int, c_out: int, stride: int) -> Sequential:
    """A depthwise separable convolution (figure 3, right): c_in -> c_out channels."""
    return Sequential(
        depthwise=Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False),
        bn1=BatchNorm2d(c_in, eps=1e-3, activation="relu"),
        pointwise=Conv2d(c_in, c_out, 1, bias=False),
        bn2=BatchNorm2d(c_out, eps=1e-3, activation="relu"),
    )


def width(channels: int, alpha: float) -> int:
    """alpha times the channels, at least 8 as in the authors' code."""
    return max(int(channels * alpha), 8)


# --- how they were trained ------------------------------------------------------------------------

PAPER = Recipe(
    source="Howard et al. 2017, section 3.2: RMSProp as for Inception-v3 (decay 0.9, eps 1.0, lr "
    "0.045 multiplied by 0.94 every 2 epochs, 100 epochs), no weight decay on depthwise filters; "
    "batch size and weight decay: the authors' code",
    data="imagenet",
    preprocess=replace(imagenet_input(224, std=0.5), mean=0.5),
    augment=crop_and_flip(224),
    epochs=100,
    batch_size=64,
    lr=0.045,
    optimizer="rmsprop",
    options={"decay": 0.9, "eps": 1.0, "momentum": 0.9, "weight_decay": 4e-5},
    schedule=StepDecay(2, gamma=0.94),
    multipliers={"*.depthwise.weight": (1.0, 0.0)},
)

register("mobilenet_v1", {"default": PAPER, "paper": PAPER})(mobilenet_v1)
