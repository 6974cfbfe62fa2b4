"""Parts of recipes that several papers share: the input pipeline of a data set, a base recipe."""

from dataclasses import replace

from minicnn.data import Preprocess, RandomCropFlip
from minicnn.data.augment import presets
from minicnn.training import MultiStep, Recipe, StepDecay

# Channel statistics as torchvision uses them. The papers subtract only the mean.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The gray levels of R, G and B that Caffe's models of ImageNet subtract; VGG's authors' are exact.
CAFFE_MEAN, VGG_MEAN = (123.0, 117.0, 104.0), (123.68, 116.779, 103.939)

# Mean and standard deviation of the training pixels, where full brightness is 1.
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081
CIFAR10_INPUT = Preprocess(
    size=(32, 32), channels=3, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)
)


def imagenet_input(
    size: int, resize: int = 256, std: float | tuple[float, ...] = IMAGENET_STD
) -> Preprocess:
    """Resize the shorter side to `resize`, crop the central `size` x `size`, normalize.

    std=1/255 keeps the scale of 0 to 255 that the early papers use.
    """
    return Preprocess((size, size), 3, IMAGENET_MEAN, std, image_size=(resize, resize), crop=True)


def crop_and_flip(size: int, padding: int = 0) -> RandomCropFlip:
    """A random `size` x `size` crop, mirrored half of the time (Krizhevsky et al. 2012, 4.1)."""
    return RandomCropFlip(size, padding)


# The recipe of torchvision's ResNets; its other networks only change the learning rate.
TORCHVISION = Recipe(
    source="torchvision's reference training script: 90 epochs, lr divided by 10 every 30",
    data="imagenet",
    preprocess=imagenet_input(224),
    augment=presets.TORCHVISION.pipeline,
    epochs=90,
    batch_size=256,
    lr=0.1,
    options={"momentum": 0.9, "weight_decay": 1e-4},
    schedule=StepDecay(30),
)
FB = replace(
    TORCHVISION,
    source="fb.resnet.torch: 90 epochs, lr divided by 10 every 30, Nesterov momentum",
    augment=presets.FB_IMAGENET.pipeline,
    options={"momentum": 0.9, "weight_decay": 1e-4, "nesterov": True},
)

# The recipe of the ResNets for CIFAR, which DenseNet changes little.
CIFAR = Recipe(
    source="He et al. 2015b, section 4.2: 64,000 iterations of 128 images, lr divided by 10 at "
    "32,000 and 48,000; crops from images padded by 4",
    data="cifar10",
    preprocess=CIFAR10_INPUT,
    augment=crop_and_flip(32, padding=4),
    epochs=164,
    batch_size=128,
    lr=0.1,
    options={"momentum": 0.9, "weight_decay": 1e-4},
    schedule=MultiStep([32_000, 48_000], unit="step"),
)
