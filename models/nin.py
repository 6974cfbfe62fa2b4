"""Network in Network: small perceptrons (1x1 convolutions) slide over the image, and each class's map is averaged into its logit.

| name           | input       | parameters | MACs          | source                                         |
|----------------|-------------|-----------:|--------------:|------------------------------------------------|
| `nin_cifar10`  | 32x32x3     |    966,986 |   222,486,528 | the author's cuda-convnet definition           |
| `nin_cifar100` | 32x32x3     |    984,356 |   223,592,448 | the same with 100 maps                         |
| `nin_mnist`    | 28x28x1     |    349,674 |    50,699,712 | the author's cuda-convnet definition           |
| `nin_imagenet` | 224 or 227  |  7,595,176 | 1,100,188,800 | Caffe model zoo; the paper has no ImageNet net |

Source: Lin, Chen, Yan, "Network in network", 2013 (arXiv:1312.4400), section 3.
"""

from dataclasses import replace

from minicnn.data import Preprocess
from minicnn.layers import Conv2d, Dropout, GlobalAvgPool2d, MaxPool2d, Sequential
from minicnn.layers.init import gaussian
from minicnn.registry import register
from minicnn.training.recipe import Recipe
from minicnn.training.schedules import MultiStep, StepDecay

from .blocks import CIFAR10_INPUT, crop_and_flip, imagenet_input

CIFAR = Recipe(
    source="the author's notes: 200 epochs, then 30 at a tenth and 30 at a hundredth of the rate; Caffe's gist for rate and decay",
    data="cifar10",
    preprocess=CIFAR10_INPUT,
    epochs=260,
    batch_size=128,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 1e-4, "form": "caffe"},
    schedule=MultiStep([200, 230]),
    bias_lr=2.0,
    bias_decay=0.0,
)
CIFAR_AUGMENTED = replace(
    CIFAR,
    source=f"{CIFAR.source}; with the translation and mirroring of the paper's table 1",
    augment=crop_and_flip(32, 4),
)
MNIST = replace(
    CIFAR,
    source="as for CIFAR-10; the paper gives no separate recipe",
    data="mnist",
    preprocess=Preprocess(size=(28, 28), mean=0.1307, std=0.3081),
    epochs=20,
    schedule=MultiStep([14, 18]),
)
IMAGENET = Recipe(
    source="Caffe model zoo, NIN-ImageNet: 450,000 iterations of 64 images, the rate divided by 10 every 200,000 (10 epochs)",
    data="imagenet",
    preprocess=imagenet_input(224, std=1 / 255),
    augment=crop_and_flip(224),
    epochs=22,
    batch_size=64,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=StepDecay(10),
    bias_lr=2.0,
    bias_decay=0.0,
)


def mlpconv(
    number: int,
    c_in: int,
    widths: tuple[int, int, int],
    size: int,
    stride: int = 1,
    padding: int = 0,
) -> dict[str, Conv2d]:
    """A convolution and the two 1x1 convolutions ("cccp") that make it a perceptron, each with its ReLU (section 3.1)."""
    conv, first, second = widths
    return {
        f"conv{number}": Conv2d(c_in, conv, size, stride, padding, activation="relu"),
        f"cccp{2 * number - 1}": Conv2d(conv, first, 1, activation="relu"),
        f"cccp{2 * number}": Conv2d(first, second, 1, activation="relu"),
    }


def _small(c_in: int, side: int, one, two, three, third_size: int) -> Sequential:
    return Sequential(
        **mlpconv(1, c_in, one, 5, padding=2),
        pool1=MaxPool2d(3, stride=2, ceil_mode=True),
        drop1=Dropout(0.5),
        **mlpconv(2, one[2], two, 5, padding=2),
        pool2=MaxPool2d(3, stride=2, ceil_mode=True),
        drop2=Dropout(0.5),
        **mlpconv(3, two[2], three, third_size, padding=third_size // 2),
        pool3=GlobalAvgPool2d(),
        input_shape=(side, side, c_in),
    ).initialize(gaussian(0.05), 0.0)


@register("nin_cifar10", {"default": CIFAR, "paper": CIFAR, "augmented": CIFAR_AUGMENTED})
def nin_cifar10(num_classes: int = 10) -> Sequential:
    """NiN for CIFAR-10: three mlpconv layers, no fully connected one."""
    return _small(3, 32, (192, 160, 96), (192, 192, 192), (192, 192, num_classes), 3)


@register("nin_cifar100", {"default": CIFAR, "paper": CIFAR, "augmented": CIFAR_AUGMENTED})
def nin_cifar100(num_classes: int = 100) -> Sequential:
    """NiN for CIFAR-100: as for CIFAR-10 with 100 maps at the end, and smaller initial weights at the front."""
    net = _small(3, 32, (192, 160, 96), (192, 192, 192), (192, 192, num_classes), 3)
    for name, std in (("conv1", 0.001), ("cccp1", 0.01), ("cccp2", 0.01)):
        net[name].initialize(gaussian(std))
    return net


@register("nin_mnist", {"default": MNIST})
def nin_mnist(num_classes: int = 10) -> Sequential:
    """NiN for MNIST: narrower, all three convolutions 5x5."""
    return _small(1, 28, (96, 64, 48), (128, 96, 48), (128, 96, num_classes), 5)


@register("nin_imagenet", {"default": IMAGENET})
def nin_imagenet(num_classes: int = 1000, input_size: int = 224) -> Sequential:
    """NiN for ImageNet (Caffe model zoo): four mlpconv layers, one dropout."""
    net = Sequential(
        **mlpconv(1, 3, (96, 96, 96), 11, stride=4),
        pool0=MaxPool2d(3, stride=2, ceil_mode=True),
        **mlpconv(2, 96, (256, 256, 256), 5, padding=2),
        pool2=MaxPool2d(3, stride=2, ceil_mode=True),
        **mlpconv(3, 256, (384, 384, 384), 3, padding=1),
        pool3=MaxPool2d(3, stride=2, ceil_mode=True),
        drop=Dropout(0.5),
        **mlpconv(4, 384, (1024, 1024, num_classes), 3, padding=1),
        pool4=GlobalAvgPool2d(),
        input_shape=(input_size, input_size, 3),
    ).initialize(gaussian(0.05), 0.0)
    for name in ("conv1", "conv3", "cccp8"):
        net[name].initialize(gaussian(0.01))
    return net
