"""AlexNet as its authors ran it: net #145 of the code that was released in 2025, and its variants.

The code differs from the paper in many points, see docs/fidelity.md. Its nets by their numbers:

| option                      | net          | what changes                                     |
|-----------------------------|--------------|--------------------------------------------------|
| (none)                      | 145          | two columns, the paper's "1 CNN"                 |
| `normalization="first"`     | 167          | no normalization after conv2                     |
| `normalization="none"`      | 148          | no normalization                                 |
| `overlap=False`             | 147          | 2x2 pooling, and padding that keeps the sizes    |
| `talk=False`                | 150          | columns that meet in fc8 only, and are wider     |
| `columns=1`                 | 145-half     | one column, with the same conv5, fc6 and fc7     |

Source: github.com/computerhistory/AlexNet-Source-Code, commit 2f8b81f7: layers/layers-145.cfg,
layer-params-145.cfg (with the author's log of the runs), layer.py and convdata.py.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minicnn.data import RandomCropFlip
from minicnn.data.augment import KRIZHEVSKY, ColorStep, Lighting, Pipeline
from minicnn.data.augment.step import Numbers
from minicnn.errors import brief
from minicnn.kernels.types import Shape
from minicnn.layers import (
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Network,
    ReLU,
    Sequential,
)
from minicnn.layers.init import gaussian
from minicnn.registry import register
from minicnn.training import Freeze, MultiStep, Recipe, ScaleRate, SwitchAugment

from .alexnet import conv1_padding
from .recipes import imagenet_input

NORMALIZATIONS = ("all", "first", "none")


def alexnet_2012_code(
    num_classes: int = 1000,
    input_size: int = 224,
    hidden: int = 4096,
    columns: int = 2,
    normalization: str = "all",
    overlap: bool = True,
    talk: bool = True,
) -> Network:
    """AlexNet as the authors' code ran it (net #145), and its variants."""
    if columns not in (1, 2):
        raise ValueError(f"columns={brief(columns)}: expected 1 or 2")
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization={brief(normalization)}: expected one of {', '.join(NORMALIZATIONS)}"
        )
    if not talk and columns == 1:
        raise ValueError("talk=False: one column has no other to talk to; expected columns=2")
    shape = (input_size, input_size, 3)
    features = _features(shape, columns, normalization, overlap, talk)
    _, height, width, channels = Sequential(**features).output_shape((1, *shape))
    wide = 1 if talk else 2  # columns that do not talk have 4096 units each in fc6
    fc6, fc7 = _hidden((height, width, channels), wide * hidden, hidden, columns, talk)
    net = Network(
        **features,
        **({"flatten": Flatten()} if talk else {}),
        fc6=fc6,
        drop6=Dropout(0.5),
        fc7=fc7,
        drop7=Dropout(0.5),
        **({} if talk else {"flatten": Flatten()}),
        fc8=Linear(hidden, num_classes),
        input_shape=shape,
    )
    return _initialize(net)


def _features(
    shape: Shape, columns: int, normalization: str, overlap: bool, talk: bool
) -> dict[str, Any]:
    """From conv1 to the ReLU after pool5. conv2, 4 and 5 read only the maps of their own column."""
    maps2 = (128 if talk else 160) * columns
    # With 2x2 windows, other paddings lead to 13x13 and 6x6 maps as well.
    padding2, padding5 = (2, 1) if overlap else (1, 0)

    def norm() -> LocalResponseNorm:
        return LocalResponseNorm(5, alpha=1e-4, k=2.0, alpha_div_n=True, groups=columns)

    def within_map() -> LocalResponseNorm:  # cuda-convnet's "rnorm", whose k is 1
        return LocalResponseNorm(5, 1e-3, 0.75, k=1.0, alpha_div_n=True, within_channel=True)

    def pool() -> MaxPool2d:
        return MaxPool2d(3 if overlap else 2, stride=2, ceil_mode=True)

    layers: dict[str, Any] = {
        "conv1": Conv2d(3, 48 * columns, 11, stride=4, padding=conv1_padding(shape[0])),
        "norm1": norm() if normalization != "none" else None,
        "pool1": pool(),
        "relu1": ReLU(),
        "conv2": Conv2d(
            48 * columns, maps2, 5, padding=padding2, groups=columns, activation="relu"
        ),
        "norm2": norm() if normalization == "all" else None,
        "map_norm2": within_map() if normalization == "all" else None,
        "pool2": pool(),
        "conv3": Conv2d(
            maps2, 192 * columns, 3, padding=1, groups=1 if talk else columns, activation="relu"
        ),
        "conv4": Conv2d(
            192 * columns, 192 * columns, 3, padding=1, groups=columns, activation="relu"
        ),
        "conv5": Conv2d(192 * columns, 256, 3, padding=padding5, groups=columns),
        "pool5": pool(),
        "relu5": ReLU(),
    }
    return {name: layer for name, layer in layers.items() if layer}


def _hidden(
    maps: tuple[int, int, int], first: int, second: int, columns: int, talk: bool
) -> tuple[Layer, Layer]:
    """fc6 and fc7. A linear layer whose columns do not talk is a convolution in groups."""
    height, width, channels = maps
    if talk:
        return (
            Linear(height * width * channels, first, activation="relu"),
            Linear(first, second, activation="relu"),
        )
    return (
        Conv2d(channels, first, (height, width), groups=columns, activation="relu"),
        Conv2d(first, second, 1, groups=columns, activation="relu"),
    )


def _initialize(net: Network) -> Network:
    """N(0, 0.01^2), and 0.03 in conv3, 4 and 5; biases of 1 where the code has initB=1."""
    net.initialize(gaussian(0.01), 0.0)
    for name in ("conv3", "conv4", "conv5"):
        net[name].initialize(gaussian(0.03))
    for name in ("conv2", "conv4", "conv5", "fc6", "fc7"):
        net[name].initialize(bias=1.0)
    return net


# --- how it was trained ---------------------------------------------------------------------------

MEAN = tuple(level / 255 for level in (127.30, 119.72, 104.91))  # of Krizhevsky's mean image


@dataclass(frozen=True, repr=False)
class Contract(ColorStep):
    """Divide the distance from the mean by `by`, as convdata.py does after its color noise.

    y = mean + (x - mean) / by
    """

    by: float

    def maps(self, means: np.ndarray, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        n, c = means.shape
        rest = (1 - 1 / self.by) * 255 * np.array(MEAN)
        return np.tile(np.eye(c) / self.by, (n, 1, 1)), np.tile(rest, (n, 1))


CROPS = RandomCropFlip(224, shared_by=32)
NOISY = Pipeline(CROPS, Lighting(0.1, KRIZHEVSKY), Contract(1.1))
QUIET = Pipeline(CROPS)

CODE = Recipe(
    source="AlexNet-Source-Code, layer-params-145.cfg and its log: lr / 10 after 25, 51 and 79 "
    "epochs, biases at 0.02 throughout; conv1 slower after 67 epochs, frozen after 72",
    data="imagenet",
    preprocess=replace(imagenet_input(224, std=1 / 255), mean=MEAN),
    augment=NOISY,
    epochs=90,
    batch_size=128,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=MultiStep([25, 51, 79]),
    bias_lr=2.0,
    bias_decay=0.0,
    callbacks=(
        ScaleRate("*.bias", factors={25: 10, 51: 100, 79: 1000}),
        ScaleRate("conv1.weight", factors={67: 0.1}),
        Freeze("conv1", after=72),
        SwitchAugment(NOISY, QUIET, after=67),
    ),
)

register("alexnet_2012_code", {"default": CODE, "paper": CODE})(alexnet_2012_code)
