"""Small blocks of layers with smooth activations, for finite differences."""

from minicnn.layers import (
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Residual,
    Sequential,
)


def inception():
    """A small Inception module, branches of different depth, one of them a pool."""
    return Concat(
        one=Conv2d(4, 3, 1, activation="tanh"),
        three=Sequential(
            reduce=Conv2d(4, 2, 1, activation="tanh"),
            conv=Conv2d(2, 5, 3, padding=1, activation="tanh"),
        ),
        pool=Sequential(pool=MaxPool2d(3, stride=1, padding=1), project=Conv2d(4, 2, 1)),
    )


def bottleneck(stride=2):
    return Residual(
        Sequential(
            conv1=Conv2d(4, 3, 3, stride, 1, bias=False),
            bn1=BatchNorm2d(3, activation="tanh"),
            conv2=Conv2d(3, 6, 1),
        ),
        shortcut=Sequential(conv=Conv2d(4, 6, 1, stride, bias=False), bn=BatchNorm2d(6)),
        activation="sigmoid",
    )


def basic_block(width=4, stride=1):
    shortcut = (
        Sequential(conv=Conv2d(4, width, 1, stride, bias=False), bn=BatchNorm2d(width))
        if width != 4 or stride != 1
        else None
    )
    body = {
        "conv1": Conv2d(4, width, 3, stride, 1, bias=False),
        "bn1": BatchNorm2d(width, activation="tanh"),
        "conv2": Conv2d(width, width, 3, 1, 1, bias=False),
        "bn2": BatchNorm2d(width),
    }
    return Residual(Sequential(**body), shortcut, activation="tanh")


def bottleneck_tail():
    return Sequential(Conv2d(12, 2, 3), Flatten(), Linear(70, 3))
