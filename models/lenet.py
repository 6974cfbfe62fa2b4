"""LeNet-5 and its descendants.

| name             | input   | pooling         | non-linearity         | parameters |
|------------------|---------|-----------------|-----------------------|-----------:|
| `lenet5`         | 32x32x1 | average         | ReLU                  |     61,706 |
| `lenet5_sigmoid` | 32x32x3 | max             | sigmoid, after pools  |     62,006 |
| `lenet5_1998`    | 32x32x1 | trainable       | 1.7159 tanh(2x/3)     |     60,000 |
| `lenet_caffe`    | 28x28x1 | max             | ReLU, only after ip1  |    431,080 |

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proc. IEEE 86 (1998). MNIST's 28 x 28 digits are centered in a 32 x 32 black frame (section II.B).
"""

from dataclasses import replace

import numpy as np

from minicnn.data import Preprocess, RandomShift
from minicnn.layers import (
    RBF,
    AvgPool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Sigmoid,
    Subsample2d,
)
from minicnn.layers.init import caffe_xavier, he_normal, lecun_uniform
from minicnn.registry import CaffeForm, register
from minicnn.training import Cosine, InverseTimeDecay, MAPLoss, PiecewiseConstant, Recipe

from .recipes import MNIST_MEAN, MNIST_STD


def lenet5(num_classes: int = 10, in_channels: int = 1) -> Network:
    """LeNet-5 as it is usually drawn today: average pooling and ReLU; C5 is a 5x5 convolution."""
    return Network(
        C1=Conv2d(in_channels, 6, 5, activation="relu"),
        S2=AvgPool2d(2),
        C3=Conv2d(6, 16, 5, activation="relu"),
        S4=AvgPool2d(2),
        C5=Conv2d(16, 120, 5, activation="relu"),
        flatten=Flatten(),
        F6=Linear(120, 84, activation="relu"),
        output=Linear(84, num_classes),
        input_shape=(32, 32, in_channels),
    ).initialize(weight=he_normal(), bias=0.0)


def lenet5_sigmoid(num_classes: int = 10, in_channels: int = 3) -> Network:
    """Max pooling, then sigmoid; three linear layers that together are one affine map."""
    return Network(
        conv1=Conv2d(in_channels, 6, 5),
        pool1=MaxPool2d(2),
        sigmoid1=Sigmoid(),
        conv2=Conv2d(6, 16, 5),
        pool2=MaxPool2d(2),
        sigmoid2=Sigmoid(),
        flatten=Flatten(),
        fc1=Linear(400, 120),
        fc2=Linear(120, 84),
        fc3=Linear(84, num_classes),
        input_shape=(32, 32, in_channels),
    )


def lenet5_1998() -> Network:
    """The paper's LeNet-5: trainable subsampling, C3 partly connected, scaled tanh, RBF output."""
    return Network(
        C1=Conv2d(1, 6, 5, activation="scaled_tanh"),
        S2=Subsample2d(6, 2, activation="scaled_tanh"),
        C3=Conv2d(6, 16, 5, activation="scaled_tanh", connections=C3_CONNECTIONS),
        S4=Subsample2d(16, 2, activation="scaled_tanh"),
        C5=Conv2d(16, 120, 5, activation="scaled_tanh"),
        flatten=Flatten(),
        F6=Linear(120, 84, activation="scaled_tanh"),
        output=RBF(rbf_codes()),
        input_shape=(32, 32, 1),
    ).initialize(weight=lecun_uniform(), bias=0.0)


def lenet_caffe(num_classes: int = 10, in_channels: int = 1) -> Network:
    """Caffe's LeNet (examples/mnist): max pooling, 20 and 50 maps, a single ReLU."""
    return Network(
        conv1=Conv2d(in_channels, 20, 5),
        pool1=MaxPool2d(2),
        conv2=Conv2d(20, 50, 5),
        pool2=MaxPool2d(2),
        flatten=Flatten(),
        ip1=Linear(800, 500, activation="relu"),
        ip2=Linear(500, num_classes),
        input_shape=(28, 28, in_channels),
    ).initialize(weight=caffe_xavier(), bias=0.0)


# Table I of the paper: which of S2's six maps (rows) feed which of C3's sixteen (columns).
C3_CONNECTIONS = np.array(
    [
        [1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1],
        [1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1],
        [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1],
        [0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1],
        [0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1],
        [0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1],
    ]
)

# The codes of the output units: 7 x 12 drawings of the ten digits, `#` = +1, `.` = -1.
# They have the size of the drawings in the paper's figure 3, but are not the same.
GLYPHS = """
..###..   ...#...   .#####.   #######   .....#.   #######   ...###.   #######   .#####.   .#####.
.#...#.   ..##...   #.....#   .....#.   ....##.   #......   ..#....   ......#   #.....#   #.....#
#.....#   .#.#...   ......#   ....#..   ...#.#.   #......   .#.....   .....#.   #.....#   #.....#
#.....#   ...#...   ......#   ...#...   ..#..#.   #......   #......   .....#.   #.....#   #.....#
#.....#   ...#...   .....#.   ..####.   .#...#.   ######.   #.####.   ....#..   #.....#   #.....#
#.....#   ...#...   ....#..   ......#   #....#.   ......#   ##....#   ....#..   .#####.   #....##
#.....#   ...#...   ...#...   ......#   #######   ......#   #.....#   ...#...   #.....#   .####.#
#.....#   ...#...   ..#....   ......#   .....#.   ......#   #.....#   ...#...   #.....#   ......#
#.....#   ...#...   .#.....   ......#   .....#.   ......#   #.....#   ..#....   #.....#   ......#
#.....#   ...#...   #......   ......#   .....#.   ......#   #.....#   ..#....   #.....#   .....#.
.#...#.   ...#...   #......   #.....#   .....#.   #.....#   #.....#   ..#....   #.....#   ....#..
..###..   .#####.   #######   .#####.   .....#.   .#####.   .#####.   ..#....   .#####.   .###...
"""


def rbf_codes() -> np.ndarray:
    """The ten drawings as +1 and -1, `(10, 84)`, each read row by row."""
    rows = [line.split() for line in GLYPHS.splitlines() if line]
    drawings = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1.0 if mark == "#" else -1.0 for mark in drawing] for drawing in drawings])


# --- how they are trained -------------------------------------------------------------------------

# MNIST's digits are light on dark, and fill 20 of its 28 pixels; LeNet-5 reads them in a frame.
MNIST_INPUT = Preprocess(
    size=(32, 32),
    image_size=(28, 28),
    mean=MNIST_MEAN,
    std=MNIST_STD,
    fit="inside",
    light_on_dark=True,
)

LENET5 = Recipe(
    source="minicnn's own; there is no published recipe for this form",
    preprocess=MNIST_INPUT,
    epochs=10,
    batch_size=64,
    lr=0.05,
    options={"momentum": 0.9, "weight_decay": 5e-4},
    schedule=Cosine(),
)

# 1,438 images are memorized quickly: augment with shifts and train longer.
LENET5_DIGITS = replace(
    LENET5,
    data="digits",
    preprocess=replace(MNIST_INPUT, image_size=None),
    epochs=30,
    batch_size=32,
    lr=0.02,
    augment=RandomShift(2),
)

LENET5_SIGMOID = Recipe(
    source="minicnn's own; there is no published recipe for this form",
    preprocess=MNIST_INPUT,
    epochs=10,
    batch_size=64,
    lr=2e-3,
    optimizer="adam",
    schedule=Cosine(),
)

# Background -0.1, foreground 1.175: about mean 0 and variance 1 (section II.B).
LENET5_1998_INPUT = replace(MNIST_INPUT, mean=0.1 / 1.275, std=1 / 1.275)

LENET5_1998 = Recipe(
    source="minicnn's own: plain SGD with momentum instead of the paper's diagonal "
    "Levenberg-Marquardt",
    preprocess=LENET5_1998_INPUT,
    epochs=20,
    batch_size=16,
    lr=1e-3,
    options={"momentum": 0.9},
    schedule=Cosine(),
)

LENET5_1998_PAPER = Recipe(
    source="LeCun et al. 1998, section III.B and appendix C; one lr for all parameters, where the "
    "paper divides each by its diagonal curvature",
    preprocess=LENET5_1998_INPUT,
    epochs=20,
    batch_size=1,
    lr=5e-4,
    schedule=PiecewiseConstant({0: 1, 2: 0.4, 5: 0.2, 8: 0.1, 12: 0.02}),
)

LENET_CAFFE = Recipe(
    source="Caffe, examples/mnist/lenet_solver.prototxt: 10,000 iterations of 64 images "
    "(10.7 epochs)",
    preprocess=replace(MNIST_INPUT, size=(28, 28), mean=0.0, std=256 / 255),
    epochs=11,
    batch_size=64,
    lr=0.01,
    options={"momentum": 0.9, "weight_decay": 5e-4, "form": "caffe"},
    schedule=InverseTimeDecay(gamma=1e-4, power=0.75),
    bias_lr=2.0,
)

register("lenet5", {"default": LENET5, "digits": LENET5_DIGITS})(lenet5)
register("lenet5_sigmoid", {"default": LENET5_SIGMOID})(lenet5_sigmoid)
register("lenet5_1998", {"default": LENET5_1998, "paper": LENET5_1998_PAPER}, loss=MAPLoss(j=0.1))(
    lenet5_1998
)
register("lenet_caffe", {"default": LENET_CAFFE}, caffe=CaffeForm(431_080))(lenet_caffe)
