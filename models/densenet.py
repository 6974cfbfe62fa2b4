"""DenseNet: each layer reads the maps of all layers before it in its dense block.

| name                                 | layers per block | k  | parameters | source           |
|--------------------------------------|------------------|----|-----------:|------------------|
| `densenet121`                        | 6, 12, 24, 16    | 32 |  7,978,856 | table 1          |
| `densenet169`                        | 6, 12, 32, 32    | 32 | 14,149,480 | table 1          |
| `densenet201`                        | 6, 12, 48, 32    | 32 | 20,013,928 | table 1          |
| `densenet161`                        | 6, 12, 36, 24    | 48 | 28,681,000 | the authors' code |
| `densenet_cifar`, L = 40 or 100      | (L - 4) / 3      | 12 |  1,019,722 | section 3, table 2 |
| `densenet_bc_cifar`, L = 100 ...     | (L - 4) / 6      | 12 |    769,162 | section 3, table 2 |

L is the depth, k the growth rate: the number of maps that a layer adds. B is for bottlenecks, 1x1
convolutions to 4 k maps before the 3x3; C for compression, transitions that halve the maps.

Source: Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks", 2017
(arXiv:1608.06993), sections 3 and 4.
"""

import re
from dataclasses import replace
from typing import Any

from minicnn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Identity,
    Linear,
    MaxPool2d,
    Network,
    Sequential,
)
from minicnn.layers.init import he_normal, torch_default
from minicnn.registry import TorchForm, register
from minicnn.training import MultiStep

from . import recipes

# --- ImageNet: table 1 ----------------------------------------------------------------------------


def densenet121(num_classes: int = 1000, input_size: int = 224, drop_rate: float = 0.0) -> Network:
    """DenseNet-121: k = 32."""
    return _imagenet((6, 12, 24, 16), 32, num_classes, input_size, drop_rate)


def densenet169(num_classes: int = 1000, input_size: int = 224, drop_rate: float = 0.0) -> Network:
    """DenseNet-169: k = 32."""
    return _imagenet((6, 12, 32, 32), 32, num_classes, input_size, drop_rate)


def densenet201(num_classes: int = 1000, input_size: int = 224, drop_rate: float = 0.0) -> Network:
    """DenseNet-201: k = 32."""
    return _imagenet((6, 12, 48, 32), 32, num_classes, input_size, drop_rate)


def densenet161(num_classes: int = 1000, input_size: int = 224, drop_rate: float = 0.0) -> Network:
    """DenseNet-161: k = 48."""
    return _imagenet((6, 12, 36, 24), 48, num_classes, input_size, drop_rate)


def _imagenet(
    counts: tuple[int, int, int, int], k: int, num_classes: int, input_size: int, drop_rate: float
) -> Network:
    front: dict[str, Any] = {
        "conv0": Conv2d(3, 2 * k, 7, 2, 3, bias=False),
        "norm0": BatchNorm2d(2 * k, activation="relu"),
        "pool0": MaxPool2d(3, stride=2, padding=1),
    }
    blocks, channels = dense_blocks(2 * k, counts, k, bc=True, drop_rate=drop_rate)
    return _network(front | blocks, channels, num_classes, input_size)


# --- CIFAR: section 4.2 ---------------------------------------------------------------------------


def densenet_cifar(
    num_classes: int = 10, depth: int = 40, growth_rate: int = 12, drop_rate: float = 0.0
) -> Network:
    """DenseNet (L = depth, k = growth_rate) for 32x32 images, without bottlenecks.

    Table 2 has L = 40 and 100 with k = 12, and L = 100 with k = 24. drop_rate: 0.2 without
    augmentation (section 4.2).
    """
    return _cifar(16, layers_per_block(depth, 3), growth_rate, num_classes, False, drop_rate)


def densenet_bc_cifar(
    num_classes: int = 10, depth: int = 100, growth_rate: int = 12, drop_rate: float = 0.0
) -> Network:
    """DenseNet-BC (L = depth, k = growth_rate) for 32x32 images.

    Table 2 has L = 100 with k = 12, L = 250 with k = 24, and L = 190 with k = 40. drop_rate: 0.2
    without augmentation (section 4.2).
    """
    count = layers_per_block(depth, 6)
    return _cifar(2 * growth_rate, count, growth_rate, num_classes, True, drop_rate)


def layers_per_block(depth: int, step: int) -> int:
    """n for a depth of `step n + 4`: three blocks, conv0, two transitions and the classifier."""
    if depth < step + 4 or (depth - 4) % step:
        near = step * max(1, round((depth - 4) / step)) + 4
        raise ValueError(f"depth={depth}: expected {step} n + 4, such as {near}")
    return (depth - 4) // step


def _cifar(c_in: int, count: int, k: int, num_classes: int, bc: bool, drop_rate: float) -> Network:
    blocks, channels = dense_blocks(c_in, (count,) * 3, k, bc, drop_rate)
    front = {"conv0": Conv2d(3, c_in, 3, 1, 1, bias=False)}
    return _network(front | blocks, channels, num_classes, 32)


# --- the parts ------------------------------------------------------------------------------------


def dense_layer(c_in: int, k: int, bc: bool, drop_rate: float) -> Concat:
    """c_in -> c_in + k channels: the input, and k new maps `H(input)` (section 3, equation 2).

    H is batch norm, ReLU and a 3x3 convolution; in bottlenecks the same with a 1x1 before it.
    """
    layers: dict[str, Any] = {}
    c_mid = c_in
    if bc:
        c_mid = 4 * k
        layers = {
            "norm1": BatchNorm2d(c_in, activation="relu"),
            "conv1": Conv2d(c_in, c_mid, 1, bias=False),
            **dropped("drop1", drop_rate),
        }
    last = 2 if bc else 1
    layers |= {
        f"norm{last}": BatchNorm2d(c_mid, activation="relu"),
        f"conv{last}": Conv2d(c_mid, k, 3, padding=1, bias=False),
        **dropped(f"drop{last}", drop_rate),
    }
    return Concat(old=Identity(), new=Sequential(**layers))


def transition(c_in: int, c_out: int, drop_rate: float) -> Sequential:
    """Between two blocks: a 1x1 convolution, and maps of half the height and width."""
    return Sequential(
        norm=BatchNorm2d(c_in, activation="relu"),
        conv=Conv2d(c_in, c_out, 1, bias=False),
        **dropped("drop", drop_rate),
        pool=AvgPool2d(2),
    )


def dropped(name: str, rate: float) -> dict[str, Any]:
    """The dropout layer behind a convolution, unless the rate is 0."""
    return {name: Dropout(rate)} if rate else {}


def dense_blocks(
    c_in: int, counts: tuple[int, ...], k: int, bc: bool, drop_rate: float
) -> tuple[dict[str, Any], int]:
    """Dense blocks of `counts` layers with transitions between them; the channels at the end."""
    layers: dict[str, Any] = {}
    for number, count in enumerate(counts, 1):
        block: dict[str, Any] = {
            f"denselayer{i + 1}": dense_layer(c_in + i * k, k, bc, drop_rate) for i in range(count)
        }
        layers[f"denseblock{number}"] = Sequential(**block)
        c_in += count * k
        if number < len(counts):
            c_out = c_in // 2 if bc else c_in
            layers[f"transition{number}"] = transition(c_in, c_out, drop_rate)
            c_in = c_out
    return layers, c_in


def _network(layers: dict[str, Any], channels: int, num_classes: int, input_size: int) -> Network:
    net = Network(
        **layers,
        norm5=BatchNorm2d(channels, activation="relu"),
        pool5=GlobalAvgPool2d(),
        classifier=Linear(channels, num_classes),
        input_shape=(input_size, input_size, 3),
    ).initialize(he_normal("fan_out"), 0.0)
    net.classifier.initialize(torch_default())
    return net


# --- how they were trained ------------------------------------------------------------------------

IMAGENET = replace(
    recipes.FB,
    source="Huang et al. 2017, section 4.2: 90 epochs, lr divided by 10 after 30 and 60, Nesterov "
    "momentum, augmentation of fb.resnet.torch",
)
CIFAR = replace(
    recipes.CIFAR,
    source="Huang et al. 2017, section 4.2: 300 epochs of 64 images, lr divided by 10 after half "
    "and three quarters of them, Nesterov momentum; shifted and mirrored images (C10+)",
    epochs=300,
    batch_size=64,
    options={"momentum": 0.9, "weight_decay": 1e-4, "nesterov": True},
    schedule=MultiStep([150, 225]),
)
CIFAR_PLAIN = replace(
    CIFAR,
    source="Huang et al. 2017, section 4.2, without augmentation (C10): for networks with "
    "drop_rate=0.2",
    augment=None,
)


def torch_names(name: str) -> str:
    """Torchvision has no name for the branch of a dense layer; all but the head is `features`."""
    name = name.replace(".new.", ".")
    return name if name.startswith("classifier.") else f"features.{name}"


def present_names(name: str) -> str:
    """Torchvision's files have names such as denselayer1.norm.1; its code has denselayer1.norm1."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)


TORCH = TorchForm(torch_names, recipes.TORCHVISION.preprocess, present=present_names)
RECIPES = {"default": IMAGENET, "paper": IMAGENET}
register("densenet121", RECIPES, torch=TORCH)(densenet121)
register("densenet169", RECIPES, torch=TORCH)(densenet169)
register("densenet201", RECIPES, torch=TORCH)(densenet201)
register("densenet161", RECIPES, torch=TORCH)(densenet161)

CIFAR10 = {"default": CIFAR, "paper": CIFAR, "plain": CIFAR_PLAIN}
register("densenet_cifar", CIFAR10)(densenet_cifar)
register("densenet_bc_cifar", CIFAR10)(densenet_bc_cifar)
