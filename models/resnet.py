"""ResNet: the ImageNet nets in the paper's and in torchvision's form, and the CIFAR nets.

| name                              | block         | stride 2 in | shortcut | source              |
|-----------------------------------|---------------|-------------|----------|---------------------|
| `resnet18`, `34`                  | two 3x3       | first 3x3   | B        | paper, torchvision  |
| `resnet50`, `101`, `152`          | 1x1, 3x3, 1x1 | the 3x3     | B        | torchvision, "v1.5" |
| `resnet50_v1`, `101_v1`, `152_v1` | 1x1, 3x3, 1x1 | first 1x1   | B        | paper, He's models  |
| `resnet20_cifar` ... `1202_cifar` | two 3x3       | first 3x3   | A        | paper, section 4.2  |

Shortcuts where the shape changes: A pads with zero channels, B projects with a 1x1 convolution.
C projects in every block.

Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015
(arXiv:1512.03385), table 1, sections 3.3 and 4.2.
"""

from dataclasses import replace
from typing import Any

from minicnn.data.augment import presets
from minicnn.errors import brief
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
from minicnn.registry import CaffeForm, TorchForm, register
from minicnn.training import Cosine, MultiStep, WarmUp

from . import caffe_names
from .recipes import (
    CIFAR,
    CIFAR10_INPUT,
    FB,
    IMAGENET_MEAN,
    IMAGENET_STD,
    TORCHVISION,
    imagenet_input,
)

# --- ImageNet: table 1 ----------------------------------------------------------------------------


def resnet18(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """ResNet-18: basic blocks."""
    return _imagenet(BasicBlock, (2, 2, 2, 2), num_classes, input_size, option=option)


def resnet34(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """ResNet-34: basic blocks."""
    return _imagenet(BasicBlock, (3, 4, 6, 3), num_classes, input_size, option=option)


def resnet50(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """ResNet-50: bottlenecks, stride in the 3x3 (torchvision)."""
    return _imagenet(Bottleneck, (3, 4, 6, 3), num_classes, input_size, option=option)


def resnet101(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """ResNet-101: bottlenecks, stride in the 3x3 (torchvision)."""
    return _imagenet(Bottleneck, (3, 4, 23, 3), num_classes, input_size, option=option)


def resnet152(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
    """ResNet-152: bottlenecks, stride in the 3x3 (torchvision)."""
    return _imagenet(Bottleneck, (3, 8, 36, 3), num_classes, input_size, option=option)


def resnet50_v1(
    num_classes: int = 1000, input_size: int = 224, option: str = "B", caffe_pool: bool = False
) -> Network:
    """ResNet-50: bottlenecks, stride in the first 1x1 (the paper).

    caffe_pool: True for pool1 without padding, as in the authors' .caffemodel.
    """
    return _v1((3, 4, 6, 3), num_classes, input_size, option, caffe_pool)


def resnet101_v1(
    num_classes: int = 1000, input_size: int = 224, option: str = "B", caffe_pool: bool = False
) -> Network:
    """ResNet-101: bottlenecks, stride in the first 1x1 (the paper).

    caffe_pool: True for pool1 without padding, as in the authors' .caffemodel.
    """
    return _v1((3, 4, 23, 3), num_classes, input_size, option, caffe_pool)


def resnet152_v1(
    num_classes: int = 1000, input_size: int = 224, option: str = "B", caffe_pool: bool = False
) -> Network:
    """ResNet-152: bottlenecks, stride in the first 1x1 (the paper).

    caffe_pool: True for pool1 without padding, as in the authors' .caffemodel.
    """
    return _v1((3, 8, 36, 3), num_classes, input_size, option, caffe_pool)


def _v1(
    counts: tuple[int, int, int, int],
    num_classes: int,
    input_size: int,
    option: str,
    caffe_pool: bool,
) -> Network:
    net = _imagenet(Bottleneck, counts, num_classes, input_size, option=option, v1=True)
    if caffe_pool:  # its windows start one pixel later than those with padding
        net["pool1"] = MaxPool2d(3, stride=2, ceil_mode=True)
    return net


def _imagenet(
    block: type["BasicBlock | Bottleneck"],
    counts: tuple[int, int, int, int],
    num_classes: int,
    input_size: int,
    **form: Any,
) -> Network:
    """Four stages with `counts` blocks; `form` holds the arguments of the blocks."""
    e = block.expansion
    net = Network(
        conv1=Conv2d(3, 64, 7, 2, 3, bias=False),
        bn1=BatchNorm2d(64, activation="relu"),
        pool1=MaxPool2d(3, stride=2, padding=1),
        layer1=_stage(block, 64, 64, counts[0], 1, **form),
        layer2=_stage(block, 64 * e, 128, counts[1], 2, **form),
        layer3=_stage(block, 128 * e, 256, counts[2], 2, **form),
        layer4=_stage(block, 256 * e, 512, counts[3], 2, **form),
        pool5=GlobalAvgPool2d(),
        fc=Linear(512 * e, num_classes),
        input_shape=(input_size, input_size, 3),
    )
    # The paper's initialization for its own form, torchvision's for the others.
    return net.initialize(he_normal("fan_in" if form.get("v1") else "fan_out"), 0.0)


# --- CIFAR: section 4.2, 6n + 2 layers ------------------------------------------------------------


def resnet20_cifar(
    num_classes: int = 10, option: str = "A", pad_both_ends: bool = False
) -> Network:
    """ResNet-20 for 32x32 images: three stages of 3 basic blocks with 16, 32 and 64 maps."""
    return _cifar(3, num_classes, option, pad_both_ends)


def resnet32_cifar(
    num_classes: int = 10, option: str = "A", pad_both_ends: bool = False
) -> Network:
    """ResNet-32 for 32x32 images: three stages of 5 basic blocks with 16, 32 and 64 maps."""
    return _cifar(5, num_classes, option, pad_both_ends)


def resnet44_cifar(
    num_classes: int = 10, option: str = "A", pad_both_ends: bool = False
) -> Network:
    """ResNet-44 for 32x32 images: three stages of 7 basic blocks with 16, 32 and 64 maps."""
    return _cifar(7, num_classes, option, pad_both_ends)


def resnet56_cifar(
    num_classes: int = 10, option: str = "A", pad_both_ends: bool = False
) -> Network:
    """ResNet-56 for 32x32 images: three stages of 9 basic blocks with 16, 32 and 64 maps."""
    return _cifar(9, num_classes, option, pad_both_ends)


def resnet110_cifar(
    num_classes: int = 10, option: str = "A", pad_both_ends: bool = False
) -> Network:
    """ResNet-110 for 32x32 images: three stages of 18 basic blocks with 16, 32 and 64 maps."""
    return _cifar(18, num_classes, option, pad_both_ends)


def resnet1202_cifar(
    num_classes: int = 10, option: str = "A", pad_both_ends: bool = False
) -> Network:
    """ResNet-1202 for 32x32 images: three stages of 200 basic blocks with 16, 32 and 64 maps."""
    return _cifar(200, num_classes, option, pad_both_ends)


def _cifar(n: int, num_classes: int, option: str, pad_both_ends: bool) -> Network:
    return Network(
        conv1=Conv2d(3, 16, 3, 1, 1, bias=False),
        bn1=BatchNorm2d(16, activation="relu"),
        layer1=_stage(BasicBlock, 16, 16, n, 1, option=option, pad_both_ends=pad_both_ends),
        layer2=_stage(BasicBlock, 16, 32, n, 2, option=option, pad_both_ends=pad_both_ends),
        layer3=_stage(BasicBlock, 32, 64, n, 2, option=option, pad_both_ends=pad_both_ends),
        pool=GlobalAvgPool2d(),
        linear=Linear(64, num_classes),
        input_shape=(32, 32, 3),
    ).initialize(he_normal(), 0.0)


# --- blocks: figure 5 and section 3.3 -------------------------------------------------------------


class BasicBlock(Residual):
    """Two 3x3 convolutions (figure 5, left): c_in -> width channels."""

    expansion = 1

    def __init__(
        self, c_in: int, width: int, stride: int = 1, option: str = "B", pad_both_ends: bool = False
    ):
        super().__init__(
            Sequential(
                conv1=Conv2d(c_in, width, 3, stride, 1, bias=False),
                bn1=BatchNorm2d(width, activation="relu"),
                conv2=Conv2d(width, width, 3, 1, 1, bias=False),
                bn2=BatchNorm2d(width),
            ),
            shortcut(c_in, width, stride, option, pad_both_ends),
            activation="relu",
        )


class Bottleneck(Residual):
    """1x1, 3x3, 1x1 (figure 5, right): c_in -> 4 width channels.

    v1: stride in the first 1x1, as in the paper; otherwise in the 3x3.
    """

    expansion = 4

    def __init__(self, c_in: int, width: int, stride: int = 1, option: str = "B", v1: bool = False):
        first, second = (stride, 1) if v1 else (1, stride)
        super().__init__(
            Sequential(
                conv1=Conv2d(c_in, width, 1, first, bias=False),
                bn1=BatchNorm2d(width, activation="relu"),
                conv2=Conv2d(width, width, 3, second, 1, bias=False),
                bn2=BatchNorm2d(width, activation="relu"),
                conv3=Conv2d(width, 4 * width, 1, bias=False),
                bn3=BatchNorm2d(4 * width),
            ),
            shortcut(c_in, 4 * width, stride, option),
            activation="relu",
        )


def shortcut(
    c_in: int, c_out: int, stride: int, option: str, pad_both_ends: bool = False
) -> Layer | None:
    """The shortcut around a block (section 3.3); None is the identity.

    option: "A" pads with zero channels, "B" projects where the shape changes, "C" everywhere.
    pad_both_ends: with "A", half of the zero channels come before and half after the others, as
        in common CIFAR checkpoints; otherwise all come after, as in fb.resnet.torch.
    Raises ValueError for an unknown option.
    """
    if needs_projection(c_in, c_out, stride, option):
        conv = Conv2d(c_in, c_out, 1, stride, bias=False)
        return Sequential(conv=conv, bn=BatchNorm2d(c_out))
    same = c_in == c_out and stride == 1
    return None if same else PadShortcut(c_in, c_out, stride, pad_both_ends)


def needs_projection(c_in: int, c_out: int, stride: int, option: str) -> bool:
    """True if the shortcut has a convolution: B if the shape changes, C always, A never."""
    if option not in ("A", "B", "C"):
        raise ValueError(f"shortcut option={brief(option)}: expected 'A', 'B' or 'C'")
    changes = c_in != c_out or stride != 1
    return option == "C" or (option == "B" and changes)


def _stage(
    block: type[BasicBlock | Bottleneck],
    c_in: int,
    width: int,
    count: int,
    stride: int,
    **form: Any,
) -> Sequential:
    """`count` blocks; the first one changes the shape."""
    c_out = width * block.expansion
    first = block(c_in, width, stride, **form)
    return Sequential(first, *(block(c_out, width, 1, **form) for _ in range(count - 1)))


# --- how they were trained ------------------------------------------------------------------------

PAPER = replace(
    TORCHVISION,
    source="He et al. 2015b, section 3.4; lr was divided by 10 when the error stalled; epochs as "
    "in fb.resnet.torch",
    preprocess=imagenet_input(224, std=1 / 255),
    augment=presets.RESNET.pipeline,
)
CIFAR_FB = replace(
    CIFAR,
    source="fb.resnet.torch: 164 epochs, lr divided by 10 after 81 and 122, Nesterov momentum; "
    "crops from images padded by 4 after normalization",
    preprocess=replace(
        CIFAR10_INPUT,
        mean=(125.3 / 255, 123.0 / 255, 113.9 / 255),
        std=(63.0 / 255, 62.1 / 255, 66.7 / 255),
    ),
    augment=presets.FB_CIFAR.pipeline,
    options={"momentum": 0.9, "weight_decay": 1e-4, "nesterov": True},
    schedule=MultiStep([81, 122]),
)
CIFAR_SHORT = replace(
    CIFAR,
    source="ours: a quarter of the paper's epochs, with a rate that rises for two epochs and then "
    "falls along a cosine (Loshchilov & Hutter 2017), Nesterov momentum and more weight decay",
    epochs=40,
    options={"momentum": 0.9, "weight_decay": 5e-4, "nesterov": True},
    schedule=WarmUp(2, Cosine()),
)


def torch_names(name: str) -> str:
    """Torchvision has no `body`, and calls the projection `downsample`."""
    return (
        name.replace(".body.", ".")
        .replace(".shortcut.conv.", ".downsample.0.")
        .replace(".shortcut.bn.", ".downsample.1.")
    )


TORCH = TorchForm(torch_names, TORCHVISION.preprocess)
IMAGENET = {"default": TORCHVISION, "paper": PAPER, "fb": FB}
register("resnet18", IMAGENET, torch=TORCH)(resnet18)
register("resnet34", IMAGENET, torch=TORCH)(resnet34)
register("resnet50", IMAGENET, torch=TORCH)(resnet50)
register("resnet101", IMAGENET, torch=TORCH)(resnet101)
register("resnet152", IMAGENET, torch=TORCH)(resnet152)

V1 = {"default": PAPER, "paper": PAPER}
CAFFE_POOLS: tuple[dict[str, bool], ...] = ({"caffe_pool": True}, {})
register("resnet50_v1", V1, caffe=CaffeForm(25_557_032, caffe_names.resnet(False), CAFFE_POOLS))(
    resnet50_v1
)
register("resnet101_v1", V1, caffe=CaffeForm(44_549_160, caffe_names.resnet(True), CAFFE_POOLS))(
    resnet101_v1
)
register("resnet152_v1", V1, caffe=CaffeForm(60_192_808, caffe_names.resnet(True), CAFFE_POOLS))(
    resnet152_v1
)

CIFAR10 = {"default": CIFAR, "paper": CIFAR, "fb": CIFAR_FB, "short": CIFAR_SHORT}
# akamaster's and its relatives: the statistics of ImageNet, and shortcuts padded on both sides.
TORCH_CIFAR = TorchForm(
    torch_names,
    replace(CIFAR10_INPUT, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    undecided={
        "pad_both_ends": "True for the files of akamaster's code and its relatives, "
        "False for shortcuts that are padded behind the channels"
    },
)
register("resnet20_cifar", CIFAR10, torch=TORCH_CIFAR)(resnet20_cifar)
register("resnet32_cifar", CIFAR10, torch=TORCH_CIFAR)(resnet32_cifar)
register("resnet44_cifar", CIFAR10, torch=TORCH_CIFAR)(resnet44_cifar)
register("resnet56_cifar", CIFAR10, torch=TORCH_CIFAR)(resnet56_cifar)
register("resnet110_cifar", CIFAR10, torch=TORCH_CIFAR)(resnet110_cifar)
register("resnet1202_cifar", CIFAR10, torch=TORCH_CIFAR)(resnet1202_cifar)
