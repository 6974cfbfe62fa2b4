"""Network in Network: a small perceptron (1x1 convolutions) slides over the image.

Each class has one map in the last layer; its average is the logit.

| name           | input      | parameters | MACs          | source                               |
|----------------|------------|-----------:|--------------:|--------------------------------------|
| `nin_cifar10`  | 32x32x3    |    966,986 |   222,486,528 | the author's cuda-convnet definition |
| `nin_cifar100` | 32x32x3    |    984,356 |   223,592,448 | the same with 100 maps               |
| `nin_mnist`    | 28x28x1    |    349,674 |    50,699,712 | the author's cuda-convnet definition |
| `nin_imagenet` | 224 or 227 |  7,595,176 | 1,100,188,800 | Caffe model zoo (not in the paper)   |

Source: Lin, Chen, Yan, "Network in network", 2013 (arXiv:1312.4400), section 3.
"""

from dataclasses import replace

from minicnn.data import Preprocess
from minicnn.layers import Conv2d, Dropout, GlobalAvgPool2d, MaxPool2d, Network
from minicnn.layers.init import gaussian
from minicnn.registry import CaffeForm, register
from minicnn.training import Cosine, MultiStep, Recipe, StepDecay, WarmUp

from .recipes import CAFFE_MEAN, CIFAR10_INPUT, MNIST_MEAN, MNIST_STD, crop_and_flip, imagenet_input


def nin_cifar10(num_classes: int = 10) -> Network:
    """NiN for CIFAR-10: three mlpconv layers, no fully connected layer."""
    return _small(3, 32, (192, 160, 96), (192, 192, 192), (192, 192, num_classes), last_size=3)


def nin_cifar100(num_classes: int = 100) -> Network:
    """NiN for CIFAR-100: as for CIFAR-10, with smaller initial weights in the first layers."""
    net = nin_cifar10(num_classes)
    for name, std in (("conv1", 0.001), ("cccp1", 0.01), ("cccp2", 0.01)):
        net[name].initialize(gaussian(std))
    return net


def nin_mnist(num_classes: int = 10) -> Network:
    """NiN for MNIST: narrower, all three convolutions 5x5."""
    return _small(1, 28, (96, 64, 48), (128, 96, 48), (128, 96, num_classes), last_size=5)


def nin_imagenet(num_classes: int = 1000, input_size: int = 224) -> Network:
    """NiN for ImageNet (Caffe model zoo): four mlpconv layers, one dropout."""
    net = Network(
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


def mlpconv(
    number: int,
    c_in: int,
    widths: tuple[int, int, int],
    size: int,
    stride: int = 1,
    padding: int = 0,
) -> dict[str, Conv2d]:
    """A convolution and the two 1x1 convolutions ("cccp") that make it a perceptron (section 3.1).

    widths: the maps of the three; each is followed by ReLU.
    """
    conv, first, second = widths
    return {
        f"conv{number}": Conv2d(c_in, conv, size, stride, padding, activation="relu"),
        f"cccp{2 * number - 1}": Conv2d(conv, first, 1, activation="relu"),
        f"cccp{2 * number}": Conv2d(first, second, 1, activation="relu"),
    }


def _small(
    c_in: int,
    side: int,
    widths1: tuple[int, int, int],
    widths2: tuple[int, int, int],
    widths3: tuple[int, int, int],
    last_size: int,
) -> Network:
    net = Network(
        **mlpconv(1, c_in, widths1, 5, padding=2),
        pool1=MaxPool2d(3, stride=2, ceil_mode=True),
        drop1=Dropout(0.5),
        **mlpconv(2, widths1[-1], widths2, 5, padding=2),
        pool2=MaxPool2d(3, stride=2, ceil_mode=True),
        drop2=Dropout(0.5),
        **mlpconv(3, widths2[-1], widths3, last_size, padding=last_size // 2),
        pool3=GlobalAvgPool2d(),
        input_shape=(side, side, c_in),
    ).initialize(gaussian(0.05), 0.0)
    # From 0, the ReLU of a class may be 0 for all images, and stay so. Softmax does not see the 1.
    net["cccp6"].initialize(bias=1.0)
    return net


# --- how they were trained ------------------------------------------------------------------------

CIFAR = Recipe(
    source="the author's notes: 200 epochs, then 30 at lr / 10 and 30 at lr / 100; lr and weight "
    "decay: Caffe's gist",
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
CIFAR_SHORT = replace(
    CIFAR_AUGMENTED,
    source="ours: a rate that rises for one epoch and then falls along a cosine (Loshchilov & "
    "Hutter 2017), and Nesterov momentum; a tenth of it for the last layer: Caffe's gist",
    epochs=10,
    lr=0.05,
    options={"momentum": 0.9, "weight_decay": 1e-4, "nesterov": True},
    schedule=WarmUp(1, Cosine()),
    multipliers={"cccp6.weight": (0.1, 1.0), "cccp6.bias": (0.1, 0.0)},
)
MNIST = replace(
    CIFAR,
    source="as for CIFAR-10; the paper gives no separate recipe",
    data="mnist",
    preprocess=Preprocess(
        size=(28, 28), mean=MNIST_MEAN, std=MNIST_STD, fit="inside", light_on_dark=True
    ),
    epochs=20,
    schedule=MultiStep([14, 18]),
)
IMAGENET = Recipe(
    source="Caffe model zoo, NIN-ImageNet: 450,000 iterations of 64 images, lr divided by 10 every "
    "200,000 (10 epochs)",
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


def caffe_names(name: str) -> str:
    """The last three layers of the model zoo's file have their widths in their names."""
    return f"{name}-1024" if name in ("conv4", "cccp7", "cccp8") else name


CIFAR_RECIPES = {
    "default": CIFAR,
    "paper": CIFAR,
    "augmented": CIFAR_AUGMENTED,
    "short": CIFAR_SHORT,
}
register("nin_cifar10", CIFAR_RECIPES, caffe=CaffeForm(966_986))(nin_cifar10)
register("nin_cifar100", CIFAR_RECIPES, caffe=CaffeForm(984_356))(nin_cifar100)
register("nin_mnist", {"default": MNIST}, caffe=CaffeForm(349_674))(nin_mnist)
register(
    "nin_imagenet", {"default": IMAGENET}, caffe=CaffeForm(7_595_176, caffe_names, mean=CAFFE_MEAN)
)(nin_imagenet)
