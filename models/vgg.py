"""VGG: nothing but 3x3 convolutions and 2x2 pooling.

| name        | paper's name | weight layers | parameters  | MACs           | with batch norm |
|-------------|--------------|--------------:|------------:|---------------:|----------------:|
| `vgg11`     | A            |            11 | 132,863,336 |  7,609,090,048 |     132,868,840 |
| `vgg11_lrn` | A-LRN        |            11 | 132,863,336 |  7,609,090,048 |                 |
| `vgg13`     | B            |            13 | 133,047,848 | 11,308,466,176 |     133,053,736 |
| `vgg16_c`   | C            |            16 | 133,638,952 | 11,770,888,192 |                 |
| `vgg16`     | D            |            16 | 138,357,544 | 15,470,264,320 |     138,365,992 |
| `vgg19`     | E            |            19 | 143,667,240 | 19,632,062,464 |     143,678,248 |

Source: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014 (arXiv:1409.1556), table 1.
"""

from minicnn.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
    Network,
)
from minicnn.layers.init import glorot_uniform
from minicnn.registry import register
from minicnn.training.recipe import Recipe
from minicnn.training.schedules import MultiStep

from .blocks import classifier, crop_and_flip, imagenet_input, renamed

PAPER = Recipe(
    source="Simonyan & Zisserman 2014, section 3.1; the rate fell by 10 when the validation accuracy stalled, three times in 74 epochs",
    data="imagenet",
    preprocess=imagenet_input(224, std=1 / 255),
    augment=crop_and_flip(224),
    epochs=74,
    batch_size=256,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=MultiStep([25, 45, 60]),
)

# Table 1, a word per stage: the stages have 64, 128, 256, 512 and 512 maps; 3 is a 3x3 convolution, 1 a 1x1, N is LRN.
CONFIGURATIONS = {
    "vgg11": "3 3 33 33 33",
    "vgg11_lrn": "3N 3 33 33 33",
    "vgg13": "33 33 33 33 33",
    "vgg16_c": "33 33 331 331 331",
    "vgg16": "33 33 333 333 333",
    "vgg19": "33 33 3333 3333 3333",
}
WIDTHS = (64, 128, 256, 512, 512)


def _vgg(
    configuration: str, num_classes: int, input_size: int, hidden: int, batch_norm: bool
) -> Network:
    features: dict[str, Layer] = {}
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
    features["avgpool"] = AdaptiveAvgPool2d(7)  # the identity at 224
    net = Network(
        **features,
        **classifier(7 * 7 * channels, num_classes, hidden),
        input_shape=(input_size, input_size, 3),
    )
    # Section 3.1 trains A from N(0, 10^-2) and starts the deeper nets from it; Glorot's rule, it adds, needs neither.
    return net.initialize(glorot_uniform(), 0.0)


def _torch_names(configuration: str, batch_norm: bool):
    """torchvision numbers its layers: a convolution (and its batch norm), a ReLU, ..., a pool."""
    pairs, index = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}, 0
    for stage, kinds in enumerate(configuration.split(), 1):
        for number in range(1, len(kinds) + 1):
            pairs[f"conv{stage}_{number}"], pairs[f"bn{stage}_{number}"] = (
                f"features.{index}",
                f"features.{index + 1}",
            )
            index += 3 if batch_norm else 2
        index += 1
    return renamed(pairs)


def _register(name: str, batch_norm: bool):
    configuration = CONFIGURATIONS[name.removesuffix("_bn")]
    in_torchvision = "lrn" not in name and "_c" not in name
    torch_names = _torch_names(configuration, batch_norm) if in_torchvision else None

    @register(name, {"default": PAPER, "paper": PAPER}, torch_names=torch_names)
    def vgg(num_classes: int = 1000, input_size: int = 224, hidden: int = 4096) -> Network:
        return _vgg(configuration, num_classes, input_size, hidden, batch_norm)

    vgg.__doc__ = f"VGG with the stages {configuration!r}{' and batch norm after every convolution' * batch_norm}."
    return vgg


vgg11, vgg11_bn = _register("vgg11", False), _register("vgg11_bn", True)
vgg11_lrn = _register("vgg11_lrn", False)
vgg13, vgg13_bn = _register("vgg13", False), _register("vgg13_bn", True)
vgg16_c = _register("vgg16_c", False)
vgg16, vgg16_bn = _register("vgg16", False), _register("vgg16_bn", True)
vgg19, vgg19_bn = _register("vgg19", False), _register("vgg19_bn", True)
