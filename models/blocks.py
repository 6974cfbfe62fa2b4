"""What several papers' networks share: AlexNet's classifier, and how ImageNet's pictures reach a network."""

import math
from collections.abc import Callable

from minicnn.data import Preprocess, RandomCropFlip
from minicnn.layers import Dropout, Flatten, Layer, Linear, Sequential
from minicnn.training.recipe import Recipe
from minicnn.training.schedules import StepDecay

# torchvision's channel statistics; the mean alone is what the papers subtract (their std is 1, on a scale of 0 to 255).
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


# The mean and standard deviation of CIFAR-10's training pixels.
CIFAR10_INPUT = Preprocess(
    size=(32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)
)


def imagenet_input(size: int, resize: int = 256, std=IMAGENET_STD) -> Preprocess:
    """RGB, the central `size` x `size` pixels of a picture whose shorter side is `resize`, minus the mean, over the std."""
    return Preprocess(
        size=(size, size), mean=IMAGENET_MEAN, std=std, image_size=(resize, resize), crop=True
    )


def crop_and_flip(size: int, padding: int = 0) -> RandomCropFlip:
    """A random `size` x `size` window, mirrored half of the time (Krizhevsky et al. 2012, section 4.1)."""
    return RandomCropFlip(size, padding)


# What torchvision's reference script does with its ResNets; other networks change the learning rate.
TORCHVISION = Recipe(
    source="torchvision's reference training script: 90 epochs, the rate divided by 10 every 30",
    data="imagenet",
    preprocess=imagenet_input(224),
    augment=crop_and_flip(224),
    epochs=90,
    batch_size=256,
    lr=0.1,
    options={"momentum": 0.9, "weight_decay": 1e-4},
    schedule=StepDecay(30),
)


def flattened(features: dict[str, Layer], input_shape: tuple[int, int, int]) -> int:
    """How many values the features of one image are: what the first fully connected layer reads."""
    return math.prod(Sequential(**features).output_shape((1, *input_shape))[1:])


def classifier(
    inputs: int, num_classes: int, hidden: int = 4096, dropout: float = 0.5
) -> dict[str, Layer]:
    """AlexNet's fully connected layers, which ZFNet and VGG kept: two of `hidden` units with dropout behind each, then the logits."""
    return {
        "flatten": Flatten(),
        "fc6": Linear(inputs, hidden, activation="relu"),
        "drop6": Dropout(dropout),
        "fc7": Linear(hidden, hidden, activation="relu"),
        "drop7": Dropout(dropout),
        "fc8": Linear(hidden, num_classes),
    }


def renamed(pairs: dict[str, str]) -> Callable[[str], str]:
    """A translation of tensor names: the layer's name through `pairs`, the tensor's own name as it is."""

    def translate(name: str) -> str:
        layer, _, tensor = name.rpartition(".")
        return f"{pairs[layer]}.{tensor}"

    return translate
