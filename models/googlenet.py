"""GoogLeNet (Inception v1), with both auxiliary classifiers, in the paper's form and in torchvision's.

| name                    | norm       | third branch | parameters | with aux   | MACs          |
|-------------------------|------------|--------------|-----------:|-----------:|--------------:|
| `googlenet`             | LRN        | 5x5          |  6,998,552 | 13,378,280 | 1,582,671,872 |
| `googlenet_bn`          | batch norm | 5x5          |  7,005,832 |            | 1,582,671,872 |
| `googlenet_torchvision` | batch norm | 3x3          |  6,624,904 | 13,004,888 | 1,498,376,192 |

Source: Szegedy et al., "Going deeper with convolutions", 2014 (arXiv:1409.4842), table 1 and figure 3.
"""

from dataclasses import replace
from functools import partial

from minicnn.layers import (
    AdaptiveAvgPool2d,
    AuxiliarySequential,
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
    Sequential,
)
from minicnn.layers.init import caffe_xavier
from minicnn.registry import register
from minicnn.training.losses import AuxiliaryLoss
from minicnn.training.recipe import Recipe
from minicnn.training.schedules import Polynomial, StepDecay

from .blocks import crop_and_flip, flattened, imagenet_input

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
    source="Szegedy et al. 2014, section 6: momentum 0.9, the rate times 0.96 every 8 epochs; rate, batch, decay: Caffe, bvlc_googlenet",
    epochs=250,
    schedule=StepDecay(8, gamma=0.96),
)

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


def conv_relu(c_in: int, c_out: int, size: int, stride: int = 1) -> Layer:
    """The paper's convolution: a bias, then ReLU."""
    return Conv2d(c_in, c_out, size, stride, size // 2, activation="relu")


def conv_bn_relu(c_in: int, c_out: int, size: int, stride: int = 1) -> Layer:
    """The later form: no bias, batch norm with eps 1e-3, then ReLU."""
    return Sequential(
        conv=Conv2d(c_in, c_out, size, stride, size // 2, bias=False),
        bn=BatchNorm2d(c_out, eps=1e-3, activation="relu"),
    )


def inception(c_in: int, name: str, conv=conv_relu, third: int = 5) -> Concat:
    """The Inception module (figure 2b): four branches on one input, joined along the channels."""
    one, three_reduce, three, five_reduce, five, project = INCEPTION[name]
    return Concat(
        branch1=conv(c_in, one, 1),
        branch2=Sequential(conv(c_in, three_reduce, 1), conv(three_reduce, three, 3)),
        branch3=Sequential(conv(c_in, five_reduce, 1), conv(five_reduce, five, third)),
        branch4=Sequential(MaxPool2d(3, stride=1, padding=1), conv(c_in, project, 1)),
    )


def _width(name: str) -> int:
    one, _, three, _, five, project = INCEPTION[name]
    return one + three + five + project


def auxiliary(
    c_in: int, num_classes: int, side: int, conv=conv_relu, pool: Layer | None = None
) -> Sequential:
    """A classifier on the side (section 5); `side` is the size of the maps that it reads, 14 for a 224 input."""
    features = {"pool": pool or AvgPool2d(5, stride=3), "conv": conv(c_in, 128, 1)}
    return Sequential(
        **features,
        flatten=Flatten(),
        fc1=Linear(flattened(features, (side, side, c_in)), 1024, activation="relu"),
        drop=Dropout(0.7),
        fc2=Linear(1024, num_classes),
    )


def _googlenet(
    num_classes: int,
    input_size: int,
    aux: bool,
    dropout: float,
    conv,
    third: int,
    lrn,
    pool4: Layer,
    aux_pool,
) -> Sequential:
    shape = (input_size, input_size, 3)
    module = partial(inception, conv=conv, third=third)
    layers = dict(
        conv1=conv(3, 64, 7, stride=2),
        pool1=MaxPool2d(3, stride=2, ceil_mode=True),
        **({"norm1": lrn()} if lrn else {}),
        conv2=conv(64, 64, 1),
        conv3=conv(64, 192, 3),
        **({"norm2": lrn()} if lrn else {}),
        pool2=MaxPool2d(3, stride=2, ceil_mode=True),
        inception3a=module(192, "3a"),
        inception3b=module(_width("3a"), "3b"),
        pool3=MaxPool2d(3, stride=2, ceil_mode=True),
        inception4a=module(_width("3b"), "4a"),
        inception4b=module(_width("4a"), "4b"),
        inception4c=module(_width("4b"), "4c"),
        inception4d=module(_width("4c"), "4d"),
        inception4e=module(_width("4d"), "4e"),
        pool4=pool4,
        inception5a=module(_width("4e"), "5a"),
        inception5b=module(_width("5a"), "5b"),
        pool5=GlobalAvgPool2d(),  # the paper's 7x7 average pooling at 224
        drop=Dropout(dropout),
        fc=Linear(_width("5b"), num_classes),
    )
    if not aux:
        return Sequential(**layers, input_shape=shape)
    side = Sequential(
        **{n: layers[n] for n in list(layers)[: list(layers).index("inception4a")]}
    ).output_shape((1, *shape))[1]
    heads = {
        f"inception{name}": auxiliary(
            _width(name), num_classes, side, conv, aux_pool() if aux_pool else None
        )
        for name in ("4a", "4d")
    }
    return AuxiliarySequential(**layers, heads=heads, input_shape=shape)


@register("googlenet", {"default": QUICK, "paper": PAPER}, loss=AuxiliaryLoss(0.3))
def googlenet(num_classes: int = 1000, input_size: int = 224, aux: bool = True) -> Sequential:
    """GoogLeNet as the paper and Caffe have it: LRN with Caffe's constants, no batch norm, dropout 0.4."""
    lrn = partial(LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=1.0, alpha_div_n=True)
    pool4 = MaxPool2d(3, stride=2, ceil_mode=True)
    net = _googlenet(num_classes, input_size, aux, 0.4, conv_relu, 5, lrn, pool4, None)
    net.initialize(caffe_xavier(), 0.2)
    for name, parameter in net.named_parameters():
        if name in ("fc.bias", "aux1.fc2.bias", "aux2.fc2.bias"):
            parameter.value.fill(0)
    return net


@register("googlenet_bn", {"default": QUICK}, loss=AuxiliaryLoss(0.3))
def googlenet_bn(num_classes: int = 1000, input_size: int = 224, aux: bool = False) -> Sequential:
    """GoogLeNet with batch norm instead of LRN, its 5x5 convolutions kept."""
    pool4 = MaxPool2d(3, stride=2, ceil_mode=True)
    return _googlenet(
        num_classes, input_size, aux, 0.2, conv_bn_relu, 5, None, pool4, None
    ).initialize(caffe_xavier(), 0.0)


@register("googlenet_torchvision", {"default": QUICK}, loss=AuxiliaryLoss(0.3), torch_names=str)
def googlenet_torchvision(
    num_classes: int = 1000, input_size: int = 224, aux: bool = False
) -> Sequential:
    """What torchvision calls GoogLeNet: batch norm, 3x3 where the paper has 5x5, a 2x2 fourth pool."""
    pool4 = MaxPool2d(2, stride=2, ceil_mode=True)
    pool = partial(AdaptiveAvgPool2d, 4)
    return _googlenet(
        num_classes, input_size, aux, 0.2, conv_bn_relu, 3, None, pool4, pool
    ).initialize(caffe_xavier(), 0.0)
