"""Random changes of training images.

An augmentation is called as `augment(images, generator)` with uint8 pixels `(n, h, w, c)`, and
returns new ones. `Pipeline` is several of them in order; those that mix labels too, and those that
work on the normalized input, need it.
"""

from .color import FB_RESNET, KRIZHEVSKY, ColorJitter, ColorStep, Components, Lighting
from .erase import Cutout, RandomErasing
from .geometry import AlternatingFlip, RandomCropFlip, RandomFlip, RandomShift
from .mix import CutMix, Mixing, Mixup, RandomChoice
from .pipeline import NORMALIZE, Pipeline
from .step import ImageStep

__all__ = [
    "FB_RESNET",
    "KRIZHEVSKY",
    "NORMALIZE",
    "AlternatingFlip",
    "ColorJitter",
    "ColorStep",
    "Components",
    "CutMix",
    "Cutout",
    "ImageStep",
    "Lighting",
    "Mixing",
    "Mixup",
    "Pipeline",
    "RandomChoice",
    "RandomCropFlip",
    "RandomErasing",
    "RandomFlip",
    "RandomShift",
]
