"""SqueezeNet: Fire modules reduce the channels with 1x1 filters before they expand them.

| name                              | pools after         | parameters | MACs          |
|-----------------------------------|---------------------|-----------:|--------------:|
| `squeezenet1_0`                   | conv1, fire4, fire8 |  1,248,424 |   818,924,576 |
| `squeezenet1_0`, bypass="complex" | conv1, fire4, fire8 |  1,589,672 | 1,165,298,720 |
| `squeezenet1_1`                   | conv1, fire3, fire5 |  1,235,496 |   349,151,936 |

Source: Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer, "SqueezeNet: AlexNet-level accuracy with
50x fewer parameters and <0.5MB model size", 2016 (arXiv:1602.07360), table 1, sections 3 and 6;
for 1.1 the authors' repository.
"""

from collections.abc import Callable

from minicnn.errors import brief
from minicnn.layers import (
    Concat,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Layer,
    MaxPool2d,
    Network,
    Residual,
    Sequential,
)
from minicnn.layers.init import caffe_xavier, gaussian
from minicnn.registry import TorchForm, register
from minicnn.training import Polynomial, Recipe

from .recipes import crop_and_flip, imagenet_input

# Table 1: s1x1, and e1x1 = e3x3, of each Fire module.
FIRE = {
    "fire2": (16, 64),
    "fire3": (16, 64),
    "fire4": (32, 128),
    "fire5": (32, 128),
    "fire6": (48, 192),
    "fire7": (48, 192),
    "fire8": (64, 256),
    "fire9": (64, 256),
}
# The layers with a pooling behind them.
POOLS_1_0 = ("conv1", "fire4", "fire8")
POOLS_1_1 = ("conv1", "fire3", "fire5")


def squeezenet1_0(num_classes: int = 1000, input_size: int = 224, bypass: str = "none") -> Network:
    """SqueezeNet 1.0: the paper's.

    bypass: connections around Fire modules (section 6): "none", "simple" around those that keep
        the channels, or "complex", with 1x1 convolutions around the others too.
    """
    if bypass not in ("none", "simple", "complex"):
        raise ValueError(f"bypass={brief(bypass)}: expected 'none', 'simple' or 'complex'")
    conv1 = Conv2d(3, 96, 7, stride=2, activation="relu")
    return _squeezenet(conv1, POOLS_1_0, num_classes, input_size, bypass)


def squeezenet1_1(num_classes: int = 1000, input_size: int = 224) -> Network:
    """SqueezeNet 1.1: a smaller conv1 and earlier pooling, 2.4 times fewer operations."""
    conv1 = Conv2d(3, 64, 3, stride=2, activation="relu")
    return _squeezenet(conv1, POOLS_1_1, num_classes, input_size)


def fire(c_in: int, squeeze: int, expand: int) -> Sequential:
    """The Fire module (figure 1): c_in -> squeeze -> 2 expand channels."""
    return Sequential(
        squeeze=Conv2d(c_in, squeeze, 1, activation="relu"),
        expand=Concat(
            expand1x1=Conv2d(squeeze, expand, 1, activation="relu"),
            expand3x3=Conv2d(squeeze, expand, 3, padding=1, activation="relu"),
        ),
    )


def bypassed(module: Layer, c_in: int, c_out: int, bypass: str) -> Layer:
    """The module with its input added to its output (section 6), if `bypass` says so."""
    if c_in == c_out and bypass != "none":
        return Residual(module)
    if c_in != c_out and bypass == "complex":
        return Residual(module, Conv2d(c_in, c_out, 1))
    return module


def _squeezenet(
    conv1: Conv2d,
    pools: tuple[str, ...],
    num_classes: int,
    input_size: int,
    bypass: str = "none",
) -> Network:
    layers: dict[str, Layer] = {"conv1": conv1}
    channels = conv1.out_channels
    for name, (squeeze, expand) in FIRE.items():
        before = list(layers)[-1]
        if before in pools:
            layers[f"pool{before[-1]}"] = MaxPool2d(3, stride=2, ceil_mode=True)
        module = fire(channels, squeeze, expand)
        layers[name] = bypassed(module, channels, 2 * expand, bypass)
        channels = 2 * expand
    net = Network(
        **layers,
        drop9=Dropout(0.5),
        conv10=Conv2d(channels, num_classes, 1, activation="relu"),
        pool10=GlobalAvgPool2d(),
        input_shape=(input_size, input_size, 3),
    ).initialize(caffe_xavier(), 0.0)
    net.conv10.initialize(gaussian(0.01))
    return net


# --- how they were trained ------------------------------------------------------------------------

PAPER = Recipe(
    source="the authors' SqueezeNet_v1.0/solver.prototxt: 170,000 iterations of 512 images (68 "
    "epochs), lr 0.04 that falls linearly (as in the paper, section 3.3)",
    data="imagenet",
    preprocess=imagenet_input(224, std=1 / 255),
    augment=crop_and_flip(224),
    epochs=68,
    batch_size=512,
    lr=0.04,
    options={"momentum": 0.9, "weight_decay": 2e-4, "form": "caffe"},
    schedule=Polynomial(1.0),
)


def torch_names(pools: tuple[str, ...]) -> Callable[[str], str]:
    """Torchvision counts the layers, with conv1's ReLU; the last convolution is in `classifier`."""
    places = {"conv1": "features.0", "conv10": "classifier.1"}
    position = 2
    for before, name in zip(("conv1", *FIRE), FIRE, strict=False):
        position += before in pools
        places[name] = f"features.{position}"
        position += 1

    def translate(name: str) -> str:
        layer, _, tensor = name.partition(".")
        return f"{places[layer]}.{tensor.removeprefix('expand.')}"

    return translate


RECIPES = {"default": PAPER, "paper": PAPER}
TORCH_1_0 = TorchForm(torch_names(POOLS_1_0), imagenet_input(224))
TORCH_1_1 = TorchForm(torch_names(POOLS_1_1), imagenet_input(224))
register("squeezenet1_0", RECIPES, torch=TORCH_1_0)(squeezenet1_0)
register("squeezenet1_1", RECIPES, torch=TORCH_1_1)(squeezenet1_1)
