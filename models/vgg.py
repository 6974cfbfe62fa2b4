"""VGG: only 3x3 convolutions and 2x2 pooling.

| name        | paper's name | weight layers | parameters  | MACs           | with batch norm |
|-------------|--------------|--------------:|------------:|---------------:|----------------:|
| `vgg11`     | A            |            11 | 132,863,336 |  7,609,090,048 |     132,868,840 |
| `vgg11_lrn` | A-LRN        |            11 | 132,863,336 |  7,609,090,048 |                 |
| `vgg13`     | B            |            13 | 133,047,848 | 11,308,466,176 |     133,053,736 |
| `vgg16_c`   | C            |            16 | 133,638,952 | 11,770,888,192 |                 |
| `vgg16`     | D            |            16 | 138,357,544 | 15,470,264,320 |     138,365,992 |
| `vgg19`     | E            |            19 | 143,667,240 | 19,632,062,464 |     143,678,248 |

Source: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition",
2014 (arXiv:1409.1556), table 1.
"""

from typing import Any

from minicnn.data.augment import presets
from minicnn.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Network,
)
from minicnn.layers.init import glorot_uniform
from minicnn.registry import CaffeForm, TorchForm, register
from minicnn.training import MultiStep, Recipe
from minicnn.weights.torch_state import layer_renaming

from .recipes import TORCHVISION, VGG_MEAN, imagenet_input

# Table 1, one word per stage. 3 is a 3x3 convolution, 1 a 1x1 convolution, N is LRN; every stage
# ends with a 2x2 max pooling.
A = "3 3 33 33 33"
A_LRN = "3N 3 33 33 33"
B = "33 33 33 33 33"
C = "33 33 331 331 331"
D = "33 33 333 333 333"
E = "33 33 3333 3333 3333"
WIDTHS = (64, 128, 256, 512, 512)  # maps in each stage


def vgg11(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-11, configuration A."""
    return _vgg(A, num_classes, input_size, hidden)


def vgg11_bn(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-11, configuration A, with batch norm after every convolution."""
    return _vgg(A, num_classes, input_size, hidden, batch_norm=True)


def vgg11_lrn(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-11, configuration A-LRN: local response normalization after the first convolution."""
    return _vgg(A_LRN, num_classes, input_size, hidden)


def vgg13(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-13, configuration B."""
    return _vgg(B, num_classes, input_size, hidden)


def vgg13_bn(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-13, configuration B, with batch norm after every convolution."""
    return _vgg(B, num_classes, input_size, hidden, batch_norm=True)


def vgg16_c(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-16, configuration C: the last convolution of stages 3, 4 and 5 is 1x1."""
    return _vgg(C, num_classes, input_size, hidden)


def vgg16(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-16, configuration D."""
    return _vgg(D, num_classes, input_size, hidden)


def vgg16_bn(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-16, configuration D, with batch norm after every convolution."""
    return _vgg(D, num_classes, input_size, hidden, batch_norm=True)


def vgg19(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-19, configuration E."""
    return _vgg(E, num_classes, input_size, hidden)


def vgg19_bn(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
    """VGG-19, configuration E, with batch norm after every convolution."""
    return _vgg(E, num_classes, input_size, hidden, batch_norm=True)


def _vgg(
    configuration: str, num_classes: int, input_size: int, hidden: int, batch_norm: bool = False
) -> Network:
    features: dict[str, Any] = {}
    channels = 3
    for stage, (kinds, width) in enumerate(zip(configuration.split(), WIDTHS, strict=True), 1):
        for number, kind in enumerate(kinds, 1):
            if kind == "N":
                features[f"norm{stage}"] = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
                continue
            size = int(kind)
            activation = None if batch_norm else "relu"
            features[f"conv{stage}_{number}"] = Conv2d(
                channels, width, size, padding=size // 2, activation=activation
            )
            if batch_norm:
                features[f"bn{stage}_{number}"] = BatchNorm2d(width, activation="relu")
            channels = width
        features[f"pool{stage}"] = MaxPool2d(2)
    net = Network(
        **features,
        avgpool=AdaptiveAvgPool2d(7),  # the identity for a 224 input
        flatten=Flatten(),
        fc6=Linear(7 * 7 * 512, hidden, activation="relu"),
        drop6=Dropout(0.5),
        fc7=Linear(hidden, hidden, activation="relu"),
        drop7=Dropout(0.5),
        fc8=Linear(hidden, num_classes),
        input_shape=(input_size, input_size, 3),
    )
    # Section 3.1 draws A's weights with variance 10^-2 and starts the deeper nets from a trained A;
    # a later note there says that Glorot's rule makes this unnecessary.
    return net.initialize(glorot_uniform(), 0.0)


# --- how they were trained ------------------------------------------------------------------------

PAPER = Recipe(
    source="Simonyan & Zisserman 2014, section 3.1; lr was divided by 10 whenever the validation "
    "accuracy stalled, three times in 74 epochs",
    data="imagenet",
    preprocess=imagenet_input(224, std=1 / 255),
    augment=presets.VGG.pipeline,
    epochs=74,
    batch_size=256,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=MultiStep([25, 45, 60]),
)


def torch_form(configuration: str, batch_norm: bool = False) -> TorchForm:
    """Torchvision numbers all layers in order: convolution, (batch norm,) ReLU, ..., pooling."""
    pairs = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
    index = 0
    for stage, kinds in enumerate(configuration.split(), 1):
        for number in range(1, len(kinds) + 1):
            pairs[f"conv{stage}_{number}"] = f"features.{index}"
            pairs[f"bn{stage}_{number}"] = f"features.{index + 1}"
            index += 3 if batch_norm else 2
        index += 1
    return TorchForm(layer_renaming(pairs), TORCHVISION.preprocess)


RECIPES = {"default": PAPER, "paper": PAPER}
CAFFE = CaffeForm(138_357_544, mean=VGG_MEAN)  # the others have about as many
register("vgg11", RECIPES, torch=torch_form(A), caffe=CAFFE)(vgg11)
register("vgg11_bn", RECIPES, torch=torch_form(A, batch_norm=True))(vgg11_bn)
register("vgg11_lrn", RECIPES)(vgg11_lrn)
register("vgg13", RECIPES, torch=torch_form(B), caffe=CAFFE)(vgg13)
register("vgg13_bn", RECIPES, torch=torch_form(B, batch_norm=True))(vgg13_bn)
register("vgg16_c", RECIPES, caffe=CAFFE)(vgg16_c)
register("vgg16", RECIPES, torch=torch_form(D), caffe=CAFFE)(vgg16)
register("vgg16_bn", RECIPES, torch=torch_form(D, batch_norm=True))(vgg16_bn)
register("vgg19", RECIPES, torch=torch_form(E), caffe=CAFFE)(vgg19)
register("vgg19_bn", RECIPES, torch=torch_form(E, batch_norm=True))(vgg19_bn)
