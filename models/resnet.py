"""ResNet: the ImageNet nets in the paper's and torchvision's form, the CIFAR nets, and the pre-activation nets.

| name                               | block               | stride 2 in      | shortcut | source                       |
|------------------------------------|---------------------|------------------|----------|------------------------------|
| `resnet18`, `34`                   | two 3x3             | first 3x3        | B        | paper, torchvision           |
| `resnet50`, `101`, `152`           | 1x1, 3x3, 1x1       | the 3x3          | B        | torchvision ("v1.5")         |
| `resnet50_v1`, `101_v1`, `152_v1`  | 1x1, 3x3, 1x1       | the first 1x1    | B        | paper, He's Caffe models     |
| `resnet20_cifar` ... `1202_cifar`  | two 3x3             | first 3x3        | A        | paper, section 4.2           |
| `preresnet18` ... `200`            | batch norm first    | the 3x3          | B        | identity mappings, fb.resnet |
| `preresnet20_cifar` ... `1001`     | batch norm first    | first convolution | A (basic), B | identity mappings        |

Shortcuts where the shape changes: A pads with zero channels, B projects by a 1x1 convolution; C projects in every block.

Sources: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015 (arXiv:1512.03385), table 1, section 3.3; "Identity
mappings in deep residual networks", 2016 (arXiv:1603.05027), section 4.
"""

from dataclasses import replace

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
from minicnn.training.recipe import Recipe
from minicnn.training.schedules import MultiStep

from .blocks import CIFAR10_INPUT, TORCHVISION, crop_and_flip, imagenet_input

PAPER = replace(
    TORCHVISION,
    source="He et al. 2015b, section 3.4; the rate fell by 10 when the error stalled; epochs as in fb.resnet.torch",
    preprocess=imagenet_input(224, std=1 / 255),
)
CIFAR = Recipe(
    source="He et al. 2015b, section 4.2: 64,000 iterations of 128 images, the rate / 10 at 32,000 and 48,000 of them; padded by 4",
    data="cifar10",
    preprocess=CIFAR10_INPUT,
    augment=crop_and_flip(32, padding=4),
    epochs=164,
    batch_size=128,
    lr=0.1,
    options={"momentum": 0.9, "weight_decay": 1e-4},
    schedule=MultiStep([32_000, 48_000], unit="step"),
)


def shortcut(
    c_in: int,
    c_out: int,
    stride: int,
    option: str,
    batch_norm: bool = True,
    both_sides: bool = False,
) -> Layer | None:
    """The way around a block; None is the identity."""
    if c_in == c_out and stride == 1 and option != "C":
        return None
    if option == "A":
        return PadShortcut(c_in, c_out, stride, both_sides)
    conv = Conv2d(c_in, c_out, 1, stride, bias=False)
    return Sequential(conv=conv, bn=BatchNorm2d(c_out)) if batch_norm else conv


class BasicBlock(Residual):
    """Two 3x3 convolutions (He et al. 2015b, figure 5, left)."""

    expansion = 1

    def __init__(
        self, c_in: int, width: int, stride: int = 1, option: str = "B", both_sides: bool = False
    ):
        super().__init__(
            Sequential(
                conv1=Conv2d(c_in, width, 3, stride, 1, bias=False),
                bn1=BatchNorm2d(width, activation="relu"),
                conv2=Conv2d(width, width, 3, 1, 1, bias=False),
                bn2=BatchNorm2d(width),
            ),
            shortcut(c_in, width, stride, option, both_sides=both_sides),
            activation="relu",
        )


class Bottleneck(Residual):
    """1x1, 3x3, 1x1 (figure 5, right); `v1` strides in the first 1x1 as the paper does, otherwise in the 3x3."""

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


def pre_activation_body(
    c_in: int, width: int, stride: int, bottleneck: bool, v1: bool
) -> tuple[dict[str, Layer], int]:
    """Batch norm and ReLU before each convolution but the first, whose own is `PreActBlock`'s; and the channels that come out."""
    if not bottleneck:
        return {
            "conv1": Conv2d(c_in, width, 3, stride, 1, bias=False),
            "bn2": BatchNorm2d(width, activation="relu"),
            "conv2": Conv2d(width, width, 3, 1, 1, bias=False),
        }, width
    first, second = (stride, 1) if v1 else (1, stride)
    return {
        "conv1": Conv2d(c_in, width, 1, first, bias=False),
        "bn2": BatchNorm2d(width, activation="relu"),
        "conv2": Conv2d(width, width, 3, second, 1, bias=False),
        "bn3": BatchNorm2d(width, activation="relu"),
        "conv3": Conv2d(width, 4 * width, 1, bias=False),
    }, 4 * width


def pre_act_block(
    c_in: int,
    width: int,
    stride: int,
    bottleneck: bool,
    option: str,
    position: str,
    v1: bool = False,
) -> Layer:
    """A pre-activation unit: `x + F(x)`, and nothing after the addition (He et al. 2016, figure 1b).

    position "first": the net's first unit; the activation behind the first convolution has been applied already.
    position "change": its activation comes before the split, and feeds the projection too. position "inner": it is in the branch alone.
    """
    body, c_out = pre_activation_body(c_in, width, stride, bottleneck, v1)
    around = shortcut(c_in, c_out, stride, option, batch_norm=False)
    activation = BatchNorm2d(c_in, activation="relu")
    if position == "first":
        return Residual(Sequential(**body), around)
    if position == "change":
        return Sequential(bn1=activation, unit=Residual(Sequential(**body), around))
    return Residual(Sequential(bn1=activation, **body), around)


def _stage(block, c_in: int, width: int, count: int, stride: int, **options) -> Network:
    """`count` blocks, the first of which changes the shape."""
    out = width * block.expansion
    return Sequential(
        block(c_in, width, stride, **options),
        *(block(out, width, 1, **options) for _ in range(count - 1)),
    )


def _imagenet(block, counts, num_classes: int, input_size: int, init, **options) -> Network:
    e = block.expansion
    return Network(
        conv1=Conv2d(3, 64, 7, 2, 3, bias=False),
        bn1=BatchNorm2d(64, activation="relu"),
        pool1=MaxPool2d(3, stride=2, padding=1),
        layer1=_stage(block, 64, 64, counts[0], 1, **options),
        layer2=_stage(block, 64 * e, 128, counts[1], 2, **options),
        layer3=_stage(block, 128 * e, 256, counts[2], 2, **options),
        layer4=_stage(block, 256 * e, 512, counts[3], 2, **options),
        pool5=GlobalAvgPool2d(),
        fc=Linear(512 * e, num_classes),
        input_shape=(input_size, input_size, 3),
    ).initialize(init, 0.0)


def torch_names(name: str) -> str:
    """torchvision keeps a block's layers directly in the block, and calls the projection `downsample`."""
    return (
        name.replace(".body.", ".")
        .replace(".shortcut.conv.", ".downsample.0.")
        .replace(".shortcut.bn.", ".downsample.1.")
    )


DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


def _register_imagenet(depth: int, v1: bool):
    basic = depth < 50
    recipes = {"default": PAPER if v1 else TORCHVISION, "paper": PAPER}

    @register(f"resnet{depth}" + "_v1" * v1, recipes, torch_names=None if v1 else torch_names)
    def resnet(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
        init = he_normal("fan_in" if v1 else "fan_out")  # the paper's rule; torchvision's
        if basic:
            return _imagenet(
                BasicBlock, DEPTHS[depth], num_classes, input_size, init, option=option
            )
        return _imagenet(
            Bottleneck, DEPTHS[depth], num_classes, input_size, init, option=option, v1=v1
        )

    form = (
        "basic blocks"
        if basic
        else "bottlenecks, stride in the "
        + ("first 1x1 (the paper)" if v1 else "3x3 (torchvision)")
    )
    resnet.__doc__ = f"ResNet-{depth}: {form}."
    return resnet


resnet18, resnet34, resnet50, resnet101, resnet152 = (
    _register_imagenet(d, v1=False) for d in (18, 34, 50, 101, 152)
)
resnet50_v1, resnet101_v1, resnet152_v1 = (_register_imagenet(d, v1=True) for d in (50, 101, 152))


def _register_cifar(depth: int):
    blocks = (depth - 2) // 6

    @register(f"resnet{depth}_cifar", {"default": CIFAR, "paper": CIFAR}, torch_names=torch_names)
    def resnet_cifar(num_classes: int = 10, option: str = "A", both_sides: bool = False) -> Network:
        options = {"option": option, "both_sides": both_sides}
        return Network(
            conv1=Conv2d(3, 16, 3, 1, 1, bias=False),
            bn1=BatchNorm2d(16, activation="relu"),
            layer1=_stage(BasicBlock, 16, 16, blocks, 1, **options),
            layer2=_stage(BasicBlock, 16, 32, blocks, 2, **options),
            layer3=_stage(BasicBlock, 32, 64, blocks, 2, **options),
            pool=GlobalAvgPool2d(),
            linear=Linear(64, num_classes),
            input_shape=(32, 32, 3),
        ).initialize(he_normal(), 0.0)

    resnet_cifar.__doc__ = f"ResNet-{depth} for 32x32 images: three stages of {blocks} basic blocks with 16, 32 and 64 maps."
    return resnet_cifar


(
    resnet20_cifar,
    resnet32_cifar,
    resnet44_cifar,
    resnet56_cifar,
    resnet110_cifar,
    resnet1202_cifar,
) = map(_register_cifar, (20, 32, 44, 56, 110, 1202))


def _pre_stage(
    c_in: int,
    width: int,
    count: int,
    stride: int,
    first: bool,
    bottleneck: bool,
    option: str,
    v1: bool,
) -> Network:
    out = width * (4 if bottleneck else 1)
    units = [
        pre_act_block(c_in, width, stride, bottleneck, option, "first" if first else "change", v1)
    ]
    units += [
        pre_act_block(out, width, 1, bottleneck, option, "inner", v1) for _ in range(count - 1)
    ]
    return Sequential(*units)


def _register_pre_imagenet(depth: int):
    bottleneck = depth >= 50

    @register(f"preresnet{depth}", {"default": TORCHVISION, "paper": PAPER})
    def preresnet(num_classes: int = 1000, input_size: int = 224, option: str = "B") -> Network:
        e = 4 if bottleneck else 1
        form = {"bottleneck": bottleneck, "option": option, "v1": False}
        counts = DEPTHS[depth]
        return Network(
            conv1=Conv2d(3, 64, 7, 2, 3, bias=False),
            bn1=BatchNorm2d(64, activation="relu"),
            pool1=MaxPool2d(3, stride=2, padding=1),
            layer1=_pre_stage(64, 64, counts[0], 1, True, **form),
            layer2=_pre_stage(64 * e, 128, counts[1], 2, False, **form),
            layer3=_pre_stage(128 * e, 256, counts[2], 2, False, **form),
            layer4=_pre_stage(256 * e, 512, counts[3], 2, False, **form),
            bn5=BatchNorm2d(512 * e, activation="relu"),
            pool5=GlobalAvgPool2d(),
            fc=Linear(512 * e, num_classes),
            input_shape=(input_size, input_size, 3),
        ).initialize(he_normal("fan_out"), 0.0)

    preresnet.__doc__ = (
        f"Pre-activation ResNet-{depth}: batch norm and ReLU before every convolution."
    )
    return preresnet


preresnet18, preresnet34, preresnet50, preresnet101, preresnet152, preresnet200 = map(
    _register_pre_imagenet, (18, 34, 50, 101, 152, 200)
)


def _register_pre_cifar(depth: int):
    bottleneck = depth in (164, 1001)
    blocks = (depth - 2) // (9 if bottleneck else 6)

    @register(f"preresnet{depth}_cifar", {"default": CIFAR, "paper": CIFAR})
    def preresnet_cifar(num_classes: int = 10, option: str = "B" if bottleneck else "A") -> Network:
        e = 4 if bottleneck else 1
        form = {"bottleneck": bottleneck, "option": option, "v1": True}
        return Network(
            conv1=Conv2d(3, 16, 3, 1, 1, bias=False),
            bn1=BatchNorm2d(16, activation="relu"),
            layer1=_pre_stage(16, 16, blocks, 1, True, **form),
            layer2=_pre_stage(16 * e, 32, blocks, 2, False, **form),
            layer3=_pre_stage(32 * e, 64, blocks, 2, False, **form),
            bn4=BatchNorm2d(64 * e, activation="relu"),
            pool=GlobalAvgPool2d(),
            linear=Linear(64 * e, num_classes),
            input_shape=(32, 32, 3),
        ).initialize(he_normal(), 0.0)

    preresnet_cifar.__doc__ = f"Pre-activation ResNet-{depth} for 32x32 images, {'bottlenecks' if bottleneck else 'basic blocks'}."
    return preresnet_cifar


(
    preresnet20_cifar,
    preresnet56_cifar,
    preresnet110_cifar,
    preresnet164_cifar,
    preresnet1001_cifar,
) = map(_register_pre_cifar, (20, 56, 110, 164, 1001))
