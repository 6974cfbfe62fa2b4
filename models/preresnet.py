"""Pre-activation ResNet: batch norm and ReLU come before each convolution, nothing after the sum.

| name                                | unit          | stride 2 in   | shortcut | source       |
|-------------------------------------|---------------|---------------|----------|--------------|
| `preresnet18`, `34`                 | two 3x3       | first 3x3     | B        | fb.resnet    |
| `preresnet50`, `101`, `152`, `200`  | 1x1, 3x3, 1x1 | the 3x3       | B        | fb.resnet    |
| `preresnet20_cifar`, `56`, `110`    | two 3x3       | first 3x3     | A        | the paper    |
| `preresnet164_cifar`, `1001`        | 1x1, 3x3, 1x1 | the first 1x1 | B        | the paper    |

Shortcuts are named as in `resnet.py`; the projection has no batch norm.

Source: He, Zhang, Ren, Sun, "Identity mappings in deep residual networks", 2016 (arXiv:1603.05027),
figure 1b, section 4 and appendix.
"""

from collections.abc import Callable
from typing import Any

from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    PadShortcut,
    Residual,
    Sequential,
)
from minicnn.layers.init import he_normal
from minicnn.registry import register

from .recipes import TORCHVISION
from .resnet import CIFAR, PAPER, needs_projection

# --- ImageNet -------------------------------------------------------------------------------------


def preresnet18(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """Pre-activation ResNet-18: basic units."""
    return _imagenet(basic, (2, 2, 2, 2), num_classes, input_size, option)


def preresnet34(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """Pre-activation ResNet-34: basic units."""
    return _imagenet(basic, (3, 4, 6, 3), num_classes, input_size, option)


def preresnet50(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """Pre-activation ResNet-50: bottlenecks."""
    return _imagenet(bottleneck, (3, 4, 6, 3), num_classes, input_size, option)


def preresnet101(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """Pre-activation ResNet-101: bottlenecks."""
    return _imagenet(bottleneck, (3, 4, 23, 3), num_classes, input_size, option)


def preresnet152(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """Pre-activation ResNet-152: bottlenecks."""
    return _imagenet(bottleneck, (3, 8, 36, 3), num_classes, input_size, option)


def preresnet200(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """Pre-activation ResNet-200: bottlenecks."""
    return _imagenet(bottleneck, (3, 24, 36, 3), num_classes, input_size, option)


def _imagenet(
    branch: "Branch",
    counts: tuple[int, int, int, int],
    num_classes: int,
    input_size: int,
    option: str,
) -> Network:
    """Four stages with `counts` units. conv1's batch norm and ReLU serve the first unit."""
    e = EXPANSION[branch]
    return Network(
        conv1=Conv2d(3, 64, 7, 2, 3, bias=False),
        bn1=BatchNorm2d(64, activation="relu"),
        pool1=MaxPool2d(3, stride=2, padding=1),
        layer1=_stage(branch, 64, 64, counts[0], 1, option, activated=True),
        layer2=_stage(branch, 64 * e, 128, counts[1], 2, option),
        layer3=_stage(branch, 128 * e, 256, counts[2], 2, option),
        layer4=_stage(branch, 256 * e, 512, counts[3], 2, option),
        bn5=BatchNorm2d(512 * e, activation="relu"),
        pool5=GlobalAvgPool2d(),
        fc=Linear(512 * e, num_classes),
        input_shape=(input_size, input_size, 3),
    ).initialize(he_normal("fan_out"), 0.0)


# --- CIFAR: 6n + 2 layers with basic units, 9n + 2 with bottlenecks -------------------------------


def preresnet20_cifar(num_classes: int = 10, option: str = "A") -> Network:
    """Pre-activation ResNet-20 for 32x32 images: three stages of 3 basic units."""
    return _cifar(basic, 3, num_classes, option)


def preresnet56_cifar(num_classes: int = 10, option: str = "A") -> Network:
    """Pre-activation ResNet-56 for 32x32 images: three stages of 9 basic units."""
    return _cifar(basic, 9, num_classes, option)


def preresnet110_cifar(num_classes: int = 10, option: str = "A") -> Network:
    """Pre-activation ResNet-110 for 32x32 images: three stages of 18 basic units."""
    return _cifar(basic, 18, num_classes, option)


def preresnet164_cifar(num_classes: int = 10, option: str = "B") -> Network:
    """Pre-activation ResNet-164 for 32x32 images: three stages of 18 bottlenecks."""
    return _cifar(bottleneck_v1, 18, num_classes, option)


def preresnet1001_cifar(num_classes: int = 10, option: str = "B") -> Network:
    """Pre-activation ResNet-1001 for 32x32 images: three stages of 111 bottlenecks."""
    return _cifar(bottleneck_v1, 111, num_classes, option)


def _cifar(branch: "Branch", n: int, num_classes: int, option: str) -> Network:
    e = EXPANSION[branch]
    return Network(
        conv1=Conv2d(3, 16, 3, 1, 1, bias=False),
        bn1=BatchNorm2d(16, activation="relu"),
        layer1=_stage(branch, 16, 16, n, 1, option, activated=True),
        layer2=_stage(branch, 16 * e, 32, n, 2, option),
        layer3=_stage(branch, 32 * e, 64, n, 2, option),
        bn4=BatchNorm2d(64 * e, activation="relu"),
        pool=GlobalAvgPool2d(),
        linear=Linear(64 * e, num_classes),
        input_shape=(32, 32, 3),
    ).initialize(he_normal(), 0.0)


# --- the residual branches, without the batch norm and ReLU before their first convolution --------


def basic(c_in: int, width: int, stride: int) -> dict[str, Any]:
    """Two 3x3 convolutions: c_in -> width channels."""
    return {
        "conv1": Conv2d(c_in, width, 3, stride, 1, bias=False),
        "bn2": BatchNorm2d(width, activation="relu"),
        "conv2": Conv2d(width, width, 3, 1, 1, bias=False),
    }


def bottleneck(c_in: int, width: int, stride: int, v1: bool = False) -> dict[str, Any]:
    """1x1, 3x3, 1x1: c_in -> 4 width channels. v1: stride in the first 1x1, not in the 3x3."""
    first, second = (stride, 1) if v1 else (1, stride)
    return {
        "conv1": Conv2d(c_in, width, 1, first, bias=False),
        "bn2": BatchNorm2d(width, activation="relu"),
        "conv2": Conv2d(width, width, 3, second, 1, bias=False),
        "bn3": BatchNorm2d(width, activation="relu"),
        "conv3": Conv2d(width, 4 * width, 1, bias=False),
    }


def bottleneck_v1(c_in: int, width: int, stride: int) -> dict[str, Any]:
    """`bottleneck` with the stride in the first 1x1."""
    return bottleneck(c_in, width, stride, v1=True)


Branch = Callable[[int, int, int], dict[str, Any]]
EXPANSION: dict[Branch, int] = {basic: 1, bottleneck: 4, bottleneck_v1: 4}


def shortcut(c_in: int, c_out: int, stride: int, option: str) -> Layer | None:
    """The shortcut around a unit; None is the identity. Options as in `resnet.shortcut`."""
    if needs_projection(c_in, c_out, stride, option):
        return Conv2d(c_in, c_out, 1, stride, bias=False)
    same = c_in == c_out and stride == 1
    return None if same else PadShortcut(c_in, c_out, stride)


def _stage(
    branch: Branch,
    c_in: int,
    width: int,
    count: int,
    stride: int,
    option: str,
    activated: bool = False,
) -> Sequential:
    """`count` units `y = x + F(x)`; the first one changes the shape.

    Its batch norm and ReLU come before the split, so that branch and shortcut both get their
    result (appendix). `activated`: they have already been applied, as at the start of the net.
    In the other units they belong to the branch, and the shortcut returns x unchanged.
    """
    c_out = width * EXPANSION[branch]
    first: Layer = Residual(
        Sequential(**branch(c_in, width, stride)), shortcut(c_in, c_out, stride, option)
    )
    if not activated:
        first = Sequential(bn1=BatchNorm2d(c_in, activation="relu"), unit=first)
    others = (
        Residual(
            Sequential(bn1=BatchNorm2d(c_out, activation="relu"), **branch(c_out, width, 1)),
            shortcut(c_out, c_out, 1, option),
        )
        for _ in range(count - 1)
    )
    return Sequential(first, *others)


# --- how they were trained ------------------------------------------------------------------------

IMAGENET = {"default": TORCHVISION, "paper": PAPER}
register("preresnet18", IMAGENET)(preresnet18)
register("preresnet34", IMAGENET)(preresnet34)
register("preresnet50", IMAGENET)(preresnet50)
register("preresnet101", IMAGENET)(preresnet101)
register("preresnet152", IMAGENET)(preresnet152)
register("preresnet200", IMAGENET)(preresnet200)

CIFAR10 = {"default": CIFAR, "paper": CIFAR}
register("preresnet20_cifar", CIFAR10)(preresnet20_cifar)
register("preresnet56_cifar", CIFAR10)(preresnet56_cifar)
register("preresnet110_cifar", CIFAR10)(preresnet110_cifar)
register("preresnet164_cifar", CIFAR10)(preresnet164_cifar)
register("preresnet1001_cifar", CIFAR10)(preresnet1001_cifar)
