"""airbench94: a small network that reads 94 % of CIFAR-10 after ten passes over the images.

| name         | input   | parameters | MACs        | source                           |
|--------------|---------|-----------:|------------:|----------------------------------|
| `airbench94` | 32x32x3 |  1,971,640 | 118,147,360 | the author's code, airbench94.py |

The first convolution whitens patches of 2x2 pixels: its filters are computed from the training
images, not trained. The first filters of every other convolution start as copies of their input.

Source: K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024 (arXiv:2404.00498), and
its code, github.com/KellerJordan/cifar10-airbench, legacy/airbench94.py.
"""

import numpy as np

from minicnn.data.augment import AlternatingFlip, Pipeline, RandomShift
from minicnn.device import copy_into, to_host
from minicnn.layers import (
    GELU,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Scale,
    Sequential,
)
from minicnn.layers.init import dirac
from minicnn.registry import register
from minicnn.training import (
    Callback,
    Freeze,
    Lookahead,
    PiecewiseLinear,
    Recipe,
    SoftmaxCrossEntropy,
    Trainer,
)

from .recipes import CIFAR10_INPUT

PATCH = 2  # pixels, the side of a patch
CHANNELS = 3 * PATCH**2  # of the whitened patches


def airbench94(num_classes: int = 10) -> Network:
    """airbench94: whitened patches, three groups of two 3x3 convolutions, batch norm and GELU."""
    net = Network(
        whiten=Conv2d(3, 2 * CHANNELS, PATCH, init=white_noise_filters, bias_init=0.0),
        gelu=GELU(),
        group1=group(2 * CHANNELS, 64),
        group2=group(64, 256),
        group3=group(256, 256),
        pool=MaxPool2d(3),
        flatten=Flatten(),
        fc=Linear(256, num_classes, bias=False),
        scale=Scale(1 / 9),
        input_shape=(32, 32, 3),
    )
    return net.freeze("whiten.weight")


def group(c_in: int, c_out: int) -> Sequential:
    """Two convolutions; the maps of the first are pooled before their batch norm.

    The author's batch norm keeps 0.6 of its statistics in each step: our momentum is the rest.
    """

    def conv(c_in: int) -> Conv2d:
        return Conv2d(c_in, c_out, 3, padding=1, bias=False, init=dirac())

    def norm() -> BatchNorm2d:
        return BatchNorm2d(c_out, eps=1e-12, momentum=0.4, activation="gelu", scale=False)

    return Sequential(
        conv1=conv(c_in), pool=MaxPool2d(2), norm1=norm(), conv2=conv(c_out), norm2=norm()
    )


# --- the first convolution ------------------------------------------------------------------------


def filters_of(directions: np.ndarray) -> np.ndarray:
    """Directions in the space of patches `(CHANNELS, K)`, and their negatives, as filters.

    A patch is flattened by row, column and channel. Returns `(PATCH, PATCH, 3, 2 K)`, float32.
    """
    both = np.concatenate([directions, -directions], axis=1)
    return both.reshape(PATCH, PATCH, 3, -1).astype(np.float32)


def white_noise_filters(*_: object) -> np.ndarray:
    """The filters before the images are known: those that whitening gives for white noise."""
    return filters_of(np.eye(CHANNELS))


def whitening_filters(images: np.ndarray, eps: float = 5e-4) -> np.ndarray:
    """Filters whose outputs on the patches of `images` are uncorrelated and of variance about 1.

    With the eigenvalues l_k and eigenvectors v_k of the mean of p p^T over all patches p, filter k
    is v_k / sqrt(l_k + eps). The largest eigenvalue comes first, and the negatives last.
    images: normalized, `(N, H, W, 3)`. Returns `(PATCH, PATCH, 3, 2 CHANNELS)`.
    """
    n, height, width, _ = images.shape
    total, count = np.zeros((CHANNELS, CHANNELS)), n * (height - PATCH + 1) * (width - PATCH + 1)
    for start in range(0, n, 500):
        windows = np.lib.stride_tricks.sliding_window_view(
            images[start : start + 500], (PATCH, PATCH), axis=(1, 2)
        )
        patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, CHANNELS)
        total += patches.T @ patches
    values, vectors = np.linalg.eigh(total / count)
    return filters_of((vectors / np.sqrt(values + eps))[:, ::-1])


class WhitenFirstLayer(Callback):
    """Before the first step, compute the filters of the layer `whiten` from training images.

    images: their number. The author takes the first ones; these are spread over the data set, which
    may be sorted by class. Filters that are no longer the initial ones, of a resumed run or of
    loaded weights, stay as they are.
    """

    def __init__(self, images: int = 5000):
        self.images = images

    def on_train_start(self, trainer: Trainer) -> None:
        weight = dict(trainer.model.named_parameters())["whiten.weight"].value
        if not np.array_equal(to_host(weight), white_noise_filters()):
            return
        dataset, preprocess = trainer.loader.dataset, trainer.loader.preprocess
        rows = np.linspace(0, len(dataset) - 1, min(self.images, len(dataset))).astype(np.int64)
        images = dataset.images[np.unique(rows)]
        copy_into(weight, whitening_filters(preprocess(images) if preprocess else images))


# --- how it was trained ---------------------------------------------------------------------------

# The author's code adds the losses of a batch, and divides rate and decay by 1024 (1 + 1 / (1 -
# momentum)), the decay without regard to the rate. The mean loss of 1024 images gives the same
# steps with the rates below.
LR, WEIGHT_DECAY, MOMENTUM, BIAS_LR = 11.5, 0.0153, 0.85, 64.0

AIRBENCH94 = Recipe(
    source="Jordan's code, legacy/airbench94.py: 9.9 epochs; its network stops training the first "
    "layer's bias after 3",
    data="cifar10",
    preprocess=CIFAR10_INPUT,
    augment=Pipeline(AlternatingFlip(), RandomShift(2, padding_mode="reflect")),
    epochs=9.9,
    batch_size=1024,
    drop_last=True,
    lr=LR / (1 + 1 / (1 - MOMENTUM)),
    options={"momentum": MOMENTUM, "nesterov": True, "weight_decay": WEIGHT_DECAY / LR},
    multipliers={"*.norm?.bias": (BIAS_LR, 1 / BIAS_LR)},
    schedule=PiecewiseLinear({0: 0.2, 0.23: 1, 1: 0.07}),
    average=Lookahead(every=5, decay=0.95**5, power=3),
    loss=SoftmaxCrossEntropy(label_smoothing=0.2),
    callbacks=(WhitenFirstLayer(), Freeze("whiten.bias", after=3)),
)

register("airbench94", {"default": AIRBENCH94, "paper": AIRBENCH94})(airbench94)
