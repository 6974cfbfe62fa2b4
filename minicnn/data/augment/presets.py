"""Augmentations as papers and their code have them, by name: `PRESETS["airbench"]`.

Each stands with the sizes that it is for; `Pipeline.for_input` gives it for another network.
"""

from dataclasses import dataclass

from ..windows import RandomResizedCrop, ScaleJitter
from .color import FB_RESNET, KRIZHEVSKY, ColorJitter, Lighting
from .erase import Cutout
from .geometry import AlternatingFlip, RandomCropFlip, RandomFlip, RandomShift
from .pipeline import NORMALIZE, Pipeline


@dataclass(frozen=True)
class Preset:
    """A pipeline and its source.

    input_size: of the network, in pixels. image_size: of the images that it is given.
    """

    source: str
    pipeline: Pipeline
    input_size: int
    image_size: int


KRIZHEVSKY_2012 = Preset(
    "Krizhevsky et al. 2012, section 4.1: crops, mirrors, PCA lighting with their own components",
    Pipeline(RandomCropFlip(224), Lighting(0.1, KRIZHEVSKY)),
    input_size=224,
    image_size=256,
)

# The mean image is subtracted before the crop, and 32 images share a window. While there is
# color noise, the code also divides training pixels by 1.1: a std of the preprocess of 1.1 / 255.
KRIZHEVSKY_CODE = Preset(
    "the code of Krizhevsky et al. 2012, convdata.py",
    Pipeline(Lighting(0.1, KRIZHEVSKY), NORMALIZE, RandomCropFlip(224, shared_by=32)),
    input_size=224,
    image_size=256,
)

VGG = Preset(
    "Simonyan & Zisserman 2014, section 3.1: the shorter side scaled to 256 to 512 pixels, crops, "
    "mirrors, the color shifts of Krizhevsky et al.",
    Pipeline(ScaleJitter(224, shorter=(256, 512)), RandomFlip(), Lighting(0.1, KRIZHEVSKY)),
    input_size=224,
    image_size=256,
)

# Howard 2013 names the distortions: contrast, brightness and color by factors of 0.5 to 1.5.
GOOGLENET = Preset(
    "Szegedy et al. 2014, section 6: windows of 8 to 100 % of the area, a random interpolation, "
    "the photometric distortions of Howard 2013",
    Pipeline(
        RandomResizedCrop(
            224, "googlenet", interpolation=("bilinear", "area", "nearest", "bicubic")
        ),
        RandomFlip(),
        ColorJitter(0.5, 0.5, 0.5),
    ),
    input_size=224,
    image_size=256,
)

RESNET = Preset(
    "He et al. 2015b, section 3.4: the shorter side scaled to 256 to 480 pixels, crops, mirrors, "
    "the color shifts of Krizhevsky et al.",
    Pipeline(ScaleJitter(224, shorter=(256, 480)), RandomFlip(), Lighting(0.1, KRIZHEVSKY)),
    input_size=224,
    image_size=256,
)

FB_IMAGENET = Preset(
    "fb.resnet.torch, datasets/imagenet.lua",
    Pipeline(
        RandomResizedCrop(224, "fb.resnet.torch"),
        ColorJitter(0.4, 0.4, 0.4),
        Lighting(0.1, FB_RESNET),
        NORMALIZE,
        RandomFlip(),
    ),
    input_size=224,
    image_size=256,
)

TORCHVISION = Preset(
    "torchvision, references/classification/presets.py: windows of 8 to 100 % of the area, mirrors",
    Pipeline(RandomResizedCrop(224, "torchvision"), RandomFlip()),
    input_size=224,
    image_size=256,
)

CIFAR = Preset(
    "He et al. 2015b, section 4.2: crops from images padded by 4, mirrors",
    Pipeline(RandomCropFlip(32, padding=4)),
    input_size=32,
    image_size=32,
)

# Padded after normalization: with the mean, where `CIFAR` pads with black.
FB_CIFAR = Preset(
    "fb.resnet.torch, datasets/cifar10.lua",
    Pipeline(NORMALIZE, RandomCropFlip(32, padding=4)),
    input_size=32,
    image_size=32,
)

CUTOUT_CIFAR = Preset(
    "DeVries & Taylor 2017, section 4, for CIFAR-10",
    Pipeline(RandomCropFlip(32, padding=4), NORMALIZE, Cutout(16)),
    input_size=32,
    image_size=32,
)

AIRBENCH = Preset(
    "airbench94: flips that alternate by epoch, translation by 2 with reflection",
    Pipeline(AlternatingFlip(), RandomShift(2, "reflect")),
    input_size=32,
    image_size=32,
)

PRESETS = {
    "krizhevsky": KRIZHEVSKY_2012,
    "krizhevsky_code": KRIZHEVSKY_CODE,
    "vgg": VGG,
    "inception": GOOGLENET,
    "resnet": RESNET,
    "fb_imagenet": FB_IMAGENET,
    "torchvision": TORCHVISION,
    "cifar": CIFAR,
    "fb_cifar": FB_CIFAR,
    "cutout_cifar": CUTOUT_CIFAR,
    "airbench": AIRBENCH,
}
