"""ZFNet: AlexNet with a smaller, denser first layer, designed from pictures of AlexNet's filters.

| name         | conv3, 4, 5    | parameters  | MACs          |
|--------------|----------------|------------:|--------------:|
| `zfnet`      | 384, 384, 256  |  62,357,608 | 1,168,032,896 |
| `zfnet_wide` | 512, 1024, 512 | 107,627,624 | 2,476,704,896 |

Source: Zeiler, Fergus, "Visualizing and understanding convolutional networks", 2013
(arXiv:1311.2901), figure 3 and table 3.
"""

from math import prod
from typing import Any

from minicnn.layers import (
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Network,
    Sequential,
)
from minicnn.layers.init import gaussian
from minicnn.registry import CaffeForm, register
from minicnn.training import MultiStep, Recipe
from minicnn.training.callbacks import RescaleFilters

from .recipes import crop_and_flip, imagenet_input


def zfnet(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """ZFNet as in the paper's figure 3: ReLU, pooling, then normalization."""
    return _zfnet(num_classes, input_size, hidden, (384, 384, 256))


def zfnet_wide(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """The paper's model (b), with 512, 1024 and 512 maps in the middle layers."""
    return _zfnet(num_classes, input_size, hidden, (512, 1024, 512))


def _zfnet(num_classes: int, input_size: int, hidden: int, widths: tuple[int, int, int]) -> Network:
    shape = (input_size, input_size, 3)
    conv3, conv4, conv5 = widths
    features: dict[str, Any] = dict(
        conv1=Conv2d(3, 96, 7, stride=2, padding=1, activation="relu"),
        pool1=MaxPool2d(3, stride=2, ceil_mode=True),
        norm1=LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0),
        conv2=Conv2d(96, 256, 5, stride=2, activation="relu"),
        pool2=MaxPool2d(3, stride=2, ceil_mode=True),
        norm2=LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0),
        conv3=Conv2d(256, conv3, 3, padding=1, activation="relu"),
        conv4=Conv2d(conv3, conv4, 3, padding=1, activation="relu"),
        conv5=Conv2d(conv4, conv5, 3, padding=1, activation="relu"),
        pool5=MaxPool2d(3, stride=2, ceil_mode=True),
    )
    _, *maps = Sequential(**features).output_shape((1, *shape))  # 6 x 6 x conv5
    net = Network(
        **features,
        flatten=Flatten(),
        fc6=Linear(prod(maps), hidden, activation="relu"),
        drop6=Dropout(0.5),
        fc7=Linear(hidden, hidden, activation="relu"),
        drop7=Dropout(0.5),
        fc8=Linear(hidden, num_classes),
        input_shape=shape,
    )
    # "All weights are initialized to 10^-2 and biases are set to 0": read as a standard deviation,
    # because equal weights would stay equal.
    return net.initialize(gaussian(0.01), 0.0)


# --- how they were trained ------------------------------------------------------------------------

PAPER = Recipe(
    source="Zeiler & Fergus 2013, section 3; lr was lowered by hand whenever the validation error "
    "stalled, weight decay is not stated",
    data="imagenet",
    preprocess=imagenet_input(224, std=1 / 255),
    augment=crop_and_flip(224),
    epochs=70,
    batch_size=128,
    lr=0.01,
    options={"momentum": 0.9, "form": "caffe"},
    schedule=MultiStep([18, 35, 53]),
    callbacks=(RescaleFilters(0.1),),
)

register("zfnet", {"default": PAPER, "paper": PAPER}, caffe=CaffeForm(62_357_608))(zfnet)
register("zfnet_wide", {"default": PAPER, "paper": PAPER}, caffe=CaffeForm(107_627_624))(zfnet_wide)
