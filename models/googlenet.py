"""GoogLeNet (Inception v1) with both auxiliary classifiers, in the paper's and torchvision's form.

| name                    | norm       | branch 3 | parameters | with aux   | MACs          |
|-------------------------|------------|----------|-----------:|-----------:|--------------:|
| `googlenet`             | LRN        | 5x5      |  6,998,552 | 13,378,280 | 1,582,671,872 |
| `googlenet_bn`          | batch norm | 5x5      |  7,005,832 |            | 1,582,671,872 |
| `googlenet_torchvision` | batch norm | 3x3      |  6,624,904 | 13,004,888 | 1,498,376,192 |

Source: Szegedy et al., "Going deeper with convolutions", 2014 (arXiv:1409.4842), table 1 and
figure 3.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

from minicnn.data.augment import presets
from minicnn.layers import (
    AdaptiveAvgPool2d,
    AuxiliaryNetwork,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Network,
    Sequential,
)
from minicnn.layers.init import caffe_xavier
from minicnn.registry import CaffeForm, TorchForm, register
from minicnn.training import AuxiliaryLoss, Polynomial, Recipe, StepDecay

from . import caffe_names
from .recipes import CAFFE_MEAN, crop_and_flip, imagenet_input

# Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(num_classes: int = 1000, input_size: int = 224, aux: bool = True) -> Network:
    """GoogLeNet as in the paper and in Caffe: LRN with Caffe's constants, dropout 0.4."""
    lrn = partial(LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=1.0, alpha_div_n=True)
    net = _googlenet(Form(conv_relu, lrn=lrn, dropout=0.4), num_classes, input_size, aux)
    net.initialize(caffe_xavier(), 0.2)
    for name, parameter in net.named_parameters():
        if name in ("fc.bias", "aux1.fc2.bias", "aux2.fc2.bias"):
            parameter.value.fill(0)
    return net


def googlenet_bn(num_classes: int = 1000, input_size: int = 224, aux: bool = False) -> Network:
    """GoogLeNet with batch norm instead of LRN; its 5x5 convolutions are kept."""
    net = _googlenet(Form(conv_bn_relu), num_classes, input_size, aux)
    return net.initialize(caffe_xavier(), 0.0)


def googlenet_torchvision(
    num_classes: int = 1000, input_size: int = 224, aux: bool = False
) -> Network:
    """Torchvision's GoogLeNet: batch norm, 3x3 where the paper has 5x5, a 2x2 fourth pooling."""
    form = Form(conv_bn_relu, branch3=3, pool4=2, aux_pool=partial(AdaptiveAvgPool2d, 4))
    return _googlenet(form, num_classes, input_size, aux).initialize(caffe_xavier(), 0.0)


def conv_relu(c_in: int, c_out: int, size: int, stride: int = 1) -> Layer:
    """The paper's convolution: with bias, then ReLU."""
    return Conv2d(c_in, c_out, size, stride, size // 2, activation="relu")


def conv_bn_relu(c_in: int, c_out: int, size: int, stride: int = 1) -> Layer:
    """The later form: no bias, batch norm with eps 1e-3, then ReLU."""
    return Sequential(
        conv=Conv2d(c_in, c_out, size, stride, size // 2, bias=False),
        bn=BatchNorm2d(c_out, eps=1e-3, activation="relu"),
    )


def avg_pool_5x5() -> Layer:
    """The paper's pooling in front of an auxiliary classifier: 14 x 14 -> 4 x 4."""
    return AvgPool2d(5, stride=3)


@dataclass(frozen=True)
class Form:
    """The choices in which the variants differ.

    conv: makes a convolution with its activation. lrn: makes the normalization after pool1 and
    conv3, or None. branch3: the kernel size of the third branch of a module. pool4: that of pool4.
    dropout: the rate before the last layer. aux_pool: makes the pooling of an auxiliary classifier.
    """

    conv: Callable[..., Layer]
    lrn: Callable[[], Layer] | None = None
    branch3: int = 5
    pool4: int = 3
    dropout: float = 0.2
    aux_pool: Callable[[], Layer] = avg_pool_5x5


def inception(form: Form, c_in: int, name: str) -> Concat:
    """The Inception module (figure 2b): four branches on one input, joined along the channels."""
    conv = form.conv
    n1, reduce3, n3, reduce5, n5, project = INCEPTION[name]
    return Concat(
        branch1=conv(c_in, n1, 1),
        branch2=Sequential(conv(c_in, reduce3, 1), conv(reduce3, n3, 3)),
        branch3=Sequential(conv(c_in, reduce5, 1), conv(reduce5, n5, form.branch3)),
        branch4=Sequential(MaxPool2d(3, stride=1, padding=1), conv(c_in, project, 1)),
    )


def width(name: str) -> int:
    """The number of channels that the module `name` returns."""
    n1, _, n3, _, n5, project = INCEPTION[name]
    return n1 + n3 + n5 + project


def auxiliary(form: Form, c_in: int, num_classes: int, side: int) -> Sequential:
    """An auxiliary classifier (section 5) on maps of `side` x `side`, 14 for a 224 input."""
    features: dict[str, Any] = dict(pool=form.aux_pool(), conv=form.conv(c_in, 128, 1))
    _, *maps = Sequential(**features).output_shape((1, side, side, c_in))  # 4 x 4 x 128
    return Sequential(
        **features,
        flatten=Flatten(),
        fc1=Linear(prod(maps), 1024, activation="relu"),
        drop=Dropout(0.7),
        fc2=Linear(1024, num_classes),
    )


def _googlenet(form: Form, num_classes: int, input_size: int, aux: bool) -> Network:
    shape = (input_size, input_size, 3)
    module = partial(inception, form)
    front: dict[str, Any] = dict(
        conv1=form.conv(3, 64, 7, stride=2),
        pool1=MaxPool2d(3, stride=2, ceil_mode=True),
        **({"norm1": form.lrn()} if form.lrn else {}),
        conv2=form.conv(64, 64, 1),
        conv3=form.conv(64, 192, 3),
        **({"norm2": form.lrn()} if form.lrn else {}),
        pool2=MaxPool2d(3, stride=2, ceil_mode=True),
        inception3a=module(192, "3a"),
        inception3b=module(width("3a"), "3b"),
        pool3=MaxPool2d(3, stride=2, ceil_mode=True),
    )
    back: dict[str, Any] = dict(
        inception4a=module(width("3b"), "4a"),
        inception4b=module(width("4a"), "4b"),
        inception4c=module(width("4b"), "4c"),
        inception4d=module(width("4c"), "4d"),
        inception4e=module(width("4d"), "4e"),
        pool4=MaxPool2d(form.pool4, stride=2, ceil_mode=True),
        inception5a=module(width("4e"), "5a"),
        inception5b=module(width("5a"), "5b"),
        pool5=GlobalAvgPool2d(),  # the paper's 7x7 average pooling for a 224 input
        drop=Dropout(form.dropout),
        fc=Linear(width("5b"), num_classes),
    )
    if not aux:
        return Network(**front, **back, input_shape=shape)
    side = Sequential(**front).output_shape((1, *shape))[1]
    heads: dict[str, Layer] = {
        f"inception{name}": auxiliary(form, width(name), num_classes, side) for name in ("4a", "4d")
    }
    return AuxiliaryNetwork(**front, **back, heads=heads, input_shape=shape)


# --- how they were trained ------------------------------------------------------------------------

QUICK = Recipe(
    source="Caffe, models/bvlc_googlenet/quick_solver.prototxt: 60 epochs, 68.7 / 88.9 % accuracy",
    data="imagenet",
    preprocess=imagenet_input(224, std=1 / 255),
    augment=crop_and_flip(224),
    epochs=60,
    batch_size=32,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 2e-4, "form": "caffe"},
    schedule=Polynomial(0.5),
    bias_lr=2.0,
    bias_decay=0.0,
)
PAPER = replace(
    QUICK,
    source="Szegedy et al. 2014, section 6: momentum 0.9, lr multiplied by 0.96 every 8 epochs; "
    "lr, batch size and weight decay: Caffe, bvlc_googlenet",
    augment=presets.GOOGLENET.pipeline,
    epochs=250,
    schedule=StepDecay(8, gamma=0.96),
)

LOSS = AuxiliaryLoss(0.3)
register(
    "googlenet",
    {"default": QUICK, "paper": PAPER},
    loss=LOSS,
    caffe=CaffeForm(6_998_552, caffe_names.googlenet, ({"aux": True}, {"aux": False}), CAFFE_MEAN),
)(googlenet)
register("googlenet_bn", {"default": QUICK}, loss=LOSS)(googlenet_bn)
# Those weights are from TensorFlow, where pixels run from -1 to 1.
TORCH = TorchForm(str, replace(imagenet_input(224), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)))
register("googlenet_torchvision", {"default": QUICK}, loss=LOSS, torch=TORCH)(googlenet_torchvision)
