"""AlexNet, in the paper's form and in the three others that people meet.

| name                  | conv2, 4, 5 | normalization               | input    | parameters | MACs          |
|-----------------------|-------------|-----------------------------|----------|-----------:|--------------:|
| `alexnet`             | dense       | LRN before pooling          | 227, 224 | 62,378,344 | 1,135,256,096 |
| `alexnet_two_gpu`     | 2 groups    | LRN before pooling          | 227, 224 | 60,965,224 |   724,406,816 |
| `caffenet`            | 2 groups    | LRN after pooling, Caffe's  | 227, 224 | 60,965,224 |   724,406,816 |
| `alexnet_torchvision` | dense, thin | none                        | 224      | 61,100,840 |   714,188,480 |

Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012; for the last one
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (arXiv:1404.5997).
"""

from dataclasses import replace

from minicnn.layers import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Sequential,
)
from minicnn.layers.init import gaussian
from minicnn.registry import register
from minicnn.training.recipe import Recipe
from minicnn.training.schedules import MultiStep, StepDecay

from .blocks import TORCHVISION, classifier, crop_and_flip, flattened, imagenet_input, renamed

PAPER = Recipe(
    source="Krizhevsky et al. 2012, sections 4 and 5; the rate fell by 10 when the validation error stalled, three times in 90 epochs",
    data="imagenet",
    preprocess=imagenet_input(227, std=1 / 255),
    augment=crop_and_flip(227),
    epochs=90,
    batch_size=128,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=MultiStep([23, 45, 68]),
)


def conv1_padding(input_size: int):
    """Zeros at the right and bottom that make 11x11 windows at stride 4 come out even.

    The paper says 224, and its code rounded the number of windows up: windows at 0, 4, ..., 216, the last ones over the edge. That is 3
    zeros, and the same as a 227 input without any.
    """
    extra = -(input_size - 11) % 4
    return ((0, extra), (0, extra))


def _initialized(net: Sequential, fc_std: float, fc_bias: float, conv_bias: float) -> Sequential:
    """N(0, 0.01^2), and positive biases that feed the ReLUs of conv2, 4, 5 and the hidden layers (section 5)."""
    net.initialize(gaussian(0.01), 0.0)
    for name in ("conv2", "conv4", "conv5"):
        net[name].bias.value.fill(conv_bias)
    for name in ("fc6", "fc7"):
        net[name].initialize(gaussian(fc_std), fc_bias)
    return net


def _paper(num_classes: int, input_size: int, hidden: int, groups: int) -> Sequential:
    features = dict(
        conv1=Conv2d(3, 96, 11, stride=4, padding=conv1_padding(input_size), activation="relu"),
        norm1=LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0),
        pool1=MaxPool2d(3, stride=2),
        conv2=Conv2d(96, 256, 5, padding=2, groups=groups, activation="relu"),
        norm2=LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0),
        pool2=MaxPool2d(3, stride=2),
        conv3=Conv2d(256, 384, 3, padding=1, activation="relu"),
        conv4=Conv2d(384, 384, 3, padding=1, groups=groups, activation="relu"),
        conv5=Conv2d(384, 256, 3, padding=1, groups=groups, activation="relu"),
        pool5=MaxPool2d(3, stride=2),
    )
    shape = (input_size, input_size, 3)
    net = Sequential(
        **features, **classifier(flattened(features, shape), num_classes, hidden), input_shape=shape
    )
    return _initialized(net, fc_std=0.01, fc_bias=1.0, conv_bias=1.0)


@register("alexnet", {"default": PAPER, "paper": PAPER})
def alexnet(num_classes: int = 1000, input_size: int = 227, hidden: int = 4096) -> Sequential:
    """AlexNet in a single tower: every convolution sees all channels."""
    return _paper(num_classes, input_size, hidden, groups=1)


@register("alexnet_two_gpu", {"default": PAPER, "paper": PAPER})
def alexnet_two_gpu(
    num_classes: int = 1000, input_size: int = 227, hidden: int = 4096
) -> Sequential:
    """The paper's AlexNet: conv2, 4 and 5 see the half of the channels that was on their GPU."""
    return _paper(num_classes, input_size, hidden, groups=2)


CAFFENET = Recipe(
    source="Caffe, models/bvlc_reference_caffenet: 450,000 iterations of 256 images, the rate divided by 10 every 100,000 (20 epochs)",
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


@register("caffenet", {"default": CAFFENET, "paper": CAFFENET})
def caffenet(num_classes: int = 1000, input_size: int = 227, hidden: int = 4096) -> Sequential:
    """Caffe's reference net: the paper's with pooling before normalization, and Caffe's LRN (alpha / n, k = 1)."""
    features = dict(
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
    shape = (input_size, input_size, 3)
    net = Sequential(
        **features, **classifier(flattened(features, shape), num_classes, hidden), input_shape=shape
    )
    return _initialized(net, fc_std=0.005, fc_bias=1.0, conv_bias=1.0)


TORCHVISION_NAMES = renamed(
    {
        "conv1": "features.0",
        "conv2": "features.3",
        "conv3": "features.6",
        "conv4": "features.8",
        "conv5": "features.10",
    }
    | {"fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6"}
)


@register(
    "alexnet_torchvision", {"default": replace(TORCHVISION, lr=0.01)}, torch_names=TORCHVISION_NAMES
)
def alexnet_torchvision(
    num_classes: int = 1000, input_size: int = 224, hidden: int = 4096
) -> Sequential:
    """What torchvision calls AlexNet: thinner, no LRN, no groups, dropout before the fully connected layers."""
    return Sequential(
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
