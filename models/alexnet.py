"""AlexNet in the paper's form and in three common variants.

| name                  | conv2, 4, 5 | LRN            | input    | parameters | MACs          |
|-----------------------|-------------|----------------|----------|-----------:|--------------:|
| `alexnet`             | dense       | before pooling | 227, 224 | 62,378,344 | 1,135,256,096 |
| `alexnet_two_gpu`     | 2 groups    | before pooling | 227, 224 | 60,965,224 |   724,406,816 |
| `caffenet`            | 2 groups    | after pooling  | 227, 224 | 60,965,224 |   724,406,816 |
| `alexnet_torchvision` | dense, thin | none           | 224      | 61,100,840 |   714,188,480 |

Sources: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
networks", NIPS 2012. For `alexnet_torchvision`: Krizhevsky, "One weird trick for parallelizing
convolutional neural networks", 2014 (arXiv:1404.5997).
"""

from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

from minicnn.data.augment import presets
from minicnn.layers import (
    AdaptiveAvgPool2d,
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
from minicnn.registry import CaffeForm, TorchForm, register
from minicnn.training import MultiStep, Recipe, StepDecay
from minicnn.weights.torch_state import layer_renaming

from .recipes import CAFFE_MEAN, TORCHVISION, crop_and_flip, imagenet_input


def alexnet(num_classes: int = 1000, input_size: int = 227, hidden: int = 4096) -> Network:
    """AlexNet in a single tower: every convolution reads all channels."""
    return _paper(num_classes, input_size, hidden, groups=1)


def alexnet_two_gpu(
    num_classes: int = 1000, input_size: int = 227, hidden: int = 4096, caffe_lrn: bool = False
) -> Network:
    """The paper's AlexNet: conv2, 4 and 5 read only the channels on their own GPU.

    caffe_lrn: True for Caffe's constants, alpha / 5 and k = 1, as in bvlc_alexnet.caffemodel.
    """
    return _paper(num_classes, input_size, hidden, groups=2, caffe_lrn=caffe_lrn)


def _paper(
    num_classes: int, input_size: int, hidden: int, groups: int, caffe_lrn: bool = False
) -> Network:
    shape = (input_size, input_size, 3)
    k = 1.0 if caffe_lrn else 2.0
    lrn = partial(LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=k, alpha_div_n=caffe_lrn)
    features: dict[str, Any] = dict(
        conv1=Conv2d(3, 96, 11, stride=4, padding=conv1_padding(input_size), activation="relu"),
        norm1=lrn(),
        pool1=MaxPool2d(3, stride=2),
        conv2=Conv2d(96, 256, 5, padding=2, groups=groups, activation="relu"),
        norm2=lrn(),
        pool2=MaxPool2d(3, stride=2),
        conv3=Conv2d(256, 384, 3, padding=1, activation="relu"),
        conv4=Conv2d(384, 384, 3, padding=1, groups=groups, activation="relu"),
        conv5=Conv2d(384, 256, 3, padding=1, groups=groups, activation="relu"),
        pool5=MaxPool2d(3, stride=2),
    )
    _, *maps = Sequential(**features).output_shape((1, *shape))  # 6 x 6 x 256
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
    return _initialize(net, fc_std=0.01)


def caffenet(num_classes: int = 1000, input_size: int = 227, hidden: int = 4096) -> Network:
    """Caffe's reference net: pooling before normalization, Caffe's LRN (alpha / n, k = 1)."""
    shape = (input_size, input_size, 3)
    features: dict[str, Any] = dict(
        conv1=Conv2d(3, 96, 11, stride=4, padding=conv1_padding(input_size), activation="relu"),
        pool1=MaxPool2d(3, stride=2, ceil_mode=True),
        norm1=LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, alpha_div_n=True),
        conv2=Conv2d(96, 256, 5, padding=2, groups=2, activation="relu"),
        pool2=MaxPool2d(3, stride=2, ceil_mode=True),
        norm2=LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, alpha_div_n=True),
        conv3=Conv2d(256, 384, 3, padding=1, activation="relu"),
        conv4=Conv2d(384, 384, 3, padding=1, groups=2, activation="relu"),
        conv5=Conv2d(384, 256, 3, padding=1, groups=2, activation="relu"),
        pool5=MaxPool2d(3, stride=2, ceil_mode=True),
    )
    _, *maps = Sequential(**features).output_shape((1, *shape))  # 6 x 6 x 256
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
    return _initialize(net, fc_std=0.005)


def alexnet_torchvision(
    num_classes: int = 1000, input_size: int = 224, hidden: int = 4096
) -> Network:
    """Torchvision's AlexNet: thinner, no LRN, no groups, dropout before fc6 and fc7."""
    return Network(
        conv1=Conv2d(3, 64, 11, stride=4, padding=2, activation="relu"),
        pool1=MaxPool2d(3, stride=2),
        conv2=Conv2d(64, 192, 5, padding=2, activation="relu"),
        pool2=MaxPool2d(3, stride=2),
        conv3=Conv2d(192, 384, 3, padding=1, activation="relu"),
        conv4=Conv2d(384, 256, 3, padding=1, activation="relu"),
        conv5=Conv2d(256, 256, 3, padding=1, activation="relu"),
        pool5=MaxPool2d(3, stride=2),
        avgpool=AdaptiveAvgPool2d(6),
        flatten=Flatten(),
        drop6=Dropout(0.5),
        fc6=Linear(6 * 6 * 256, hidden, activation="relu"),
        drop7=Dropout(0.5),
        fc7=Linear(hidden, hidden, activation="relu"),
        fc8=Linear(hidden, num_classes),
        input_shape=(input_size, input_size, 3),
    )


def conv1_padding(input_size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding at the bottom and right with which 11x11 windows at stride 4 cover the image.

    The paper says 224, and its code rounded the number of windows up: they start at 0, 4, ..., 216,
    and the last ones extend 3 pixels over the edge. A 227 input needs no padding and gives the
    same 55 windows.
    """
    extra = -(input_size - 11) % 4
    return ((0, extra), (0, extra))


def _initialize(net: Network, fc_std: float) -> Network:
    """Section 5: N(0, 0.01^2); biases of 1 in conv2, 4, 5 and fc6, 7 give ReLU positive inputs.

    fc_std: the standard deviation in fc6 and fc7.
    """
    net.initialize(gaussian(0.01), 0.0)
    for name in ("conv2", "conv4", "conv5"):
        net[name].initialize(bias=1.0)
    for name in ("fc6", "fc7"):
        net[name].initialize(gaussian(fc_std), 1.0)
    return net


# --- how they were trained ------------------------------------------------------------------------

PAPER = Recipe(
    source="Krizhevsky et al. 2012, sections 4 and 5; lr was divided by 10 whenever the validation "
    "error stalled, three times in 90 epochs",
    data="imagenet",
    preprocess=imagenet_input(227, std=1 / 255),
    augment=presets.KRIZHEVSKY_2012.pipeline,
    epochs=90,
    batch_size=128,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=MultiStep([23, 45, 68]),
)

CAFFENET = Recipe(
    source="Caffe, models/bvlc_reference_caffenet: 450,000 iterations of 256 images, lr divided by "
    "10 every 100,000 (20 epochs)",
    data="imagenet",
    preprocess=imagenet_input(227, std=1 / 255),
    augment=crop_and_flip(227),
    epochs=90,
    batch_size=256,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=StepDecay(20),
    bias_lr=2.0,
    bias_decay=0.0,
)

TORCH_NAMES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}

register("alexnet", {"default": PAPER, "paper": PAPER})(alexnet)
register(
    "alexnet_two_gpu",
    {"default": PAPER, "paper": PAPER},
    caffe=CaffeForm(60_965_224, variants=({"caffe_lrn": True}, {}), mean=CAFFE_MEAN),
)(alexnet_two_gpu)
register(
    "caffenet",
    {"default": CAFFENET, "paper": CAFFENET},
    caffe=CaffeForm(60_965_224, mean=CAFFE_MEAN),
)(caffenet)
register(
    "alexnet_torchvision",
    {"default": replace(TORCHVISION, lr=0.01)},
    torch=TorchForm(layer_renaming(TORCH_NAMES), TORCHVISION.preprocess),
)(alexnet_torchvision)
