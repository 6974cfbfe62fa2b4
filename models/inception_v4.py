"""Inception-v4, the last descendant of GoogLeNet without residual connections.

| name           | input   | parameters | MACs           |
|----------------|---------|-----------:|---------------:|
| `inception_v4` | 299x299 | 42,679,816 | 12,253,974,624 |

Source: Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the impact of residual
connections on learning", 2016 (arXiv:1602.07261), figures 3 to 9. Some pairs of 1x7 and 7x1
convolutions are in another order in the authors' released code. The order here is the code's; the
counts are the same.
"""

from minicnn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Network,
    Sequential,
)
from minicnn.layers.init import he_normal
from minicnn.registry import register
from minicnn.training import Recipe, StepDecay

from .recipes import crop_and_flip, imagenet_input


def inception_v4(num_classes: int = 1000, input_size: int = 299) -> Network:
    """Inception-v4 (figure 9): stem, 4 x A, reduction, 7 x B, reduction, 3 x C."""
    return Network(
        stem=stem(),
        inception_a=Sequential(*(inception_a() for _ in range(4))),
        reduction_a=reduction_a(),
        inception_b=Sequential(*(inception_b() for _ in range(7))),
        reduction_b=reduction_b(),
        inception_c=Sequential(*(inception_c() for _ in range(3))),
        pool=GlobalAvgPool2d(),
        drop=Dropout(0.2),
        fc=Linear(1536, num_classes),
        input_shape=(input_size, input_size, 3),
    ).initialize(he_normal(), 0.0)


def conv(
    c_in: int, c_out: int, size: int | tuple[int, int], stride: int = 1, padding: str = "same"
) -> Sequential:
    """A convolution without bias, batch norm with eps 1e-3, ReLU.

    padding: "same", or "valid" where the figures have a V.
    """
    height, width = size if isinstance(size, tuple) else (size, size)
    around = (height // 2, width // 2) if padding == "same" else 0
    return Sequential(
        conv=Conv2d(c_in, c_out, (height, width), stride, around, bias=False),
        bn=BatchNorm2d(c_out, eps=1e-3, activation="relu"),
    )


def pool_branch(c_in: int, c_out: int) -> Sequential:
    """The pooling branch of a module: average pooling that does not count its padding, then 1x1."""
    return Sequential(
        AvgPool2d(3, stride=1, padding=1, count_include_pad=False), conv(c_in, c_out, 1)
    )


def stem() -> Sequential:
    """Figure 3: 299 x 299 x 3 -> 35 x 35 x 384."""
    return Sequential(
        conv1=conv(3, 32, 3, 2, "valid"),
        conv2=conv(32, 32, 3, 1, "valid"),
        conv3=conv(32, 64, 3),
        split1=Concat(MaxPool2d(3, stride=2), conv(64, 96, 3, 2, "valid")),
        split2=Concat(
            Sequential(conv(160, 64, 1), conv(64, 96, 3, 1, "valid")),
            Sequential(
                conv(160, 64, 1),
                conv(64, 64, (1, 7)),
                conv(64, 64, (7, 1)),
                conv(64, 96, 3, 1, "valid"),
            ),
        ),
        split3=Concat(conv(192, 192, 3, 2, "valid"), MaxPool2d(3, stride=2)),
    )


def inception_a() -> Concat:
    """Figure 4: 35 x 35 x 384 -> the same."""
    return Concat(
        conv(384, 96, 1),
        Sequential(conv(384, 64, 1), conv(64, 96, 3)),
        Sequential(conv(384, 64, 1), conv(64, 96, 3), conv(96, 96, 3)),
        pool_branch(384, 96),
    )


def reduction_a() -> Concat:
    """Figure 7 with k, l, m, n = 192, 224, 256, 384: 35 x 35 x 384 -> 17 x 17 x 1024."""
    return Concat(
        conv(384, 384, 3, 2, "valid"),
        Sequential(conv(384, 192, 1), conv(192, 224, 3), conv(224, 256, 3, 2, "valid")),
        MaxPool2d(3, stride=2),
    )


def inception_b() -> Concat:
    """Figure 5: 17 x 17 x 1024 -> the same."""
    return Concat(
        conv(1024, 384, 1),
        Sequential(conv(1024, 192, 1), conv(192, 224, (1, 7)), conv(224, 256, (7, 1))),
        Sequential(
            conv(1024, 192, 1),
            conv(192, 192, (7, 1)),
            conv(192, 224, (1, 7)),
            conv(224, 224, (7, 1)),
            conv(224, 256, (1, 7)),
        ),
        pool_branch(1024, 128),
    )


def reduction_b() -> Concat:
    """Figure 8: 17 x 17 x 1024 -> 8 x 8 x 1536."""
    return Concat(
        Sequential(conv(1024, 192, 1), conv(192, 192, 3, 2, "valid")),
        Sequential(
            conv(1024, 256, 1),
            conv(256, 256, (1, 7)),
            conv(256, 320, (7, 1)),
            conv(320, 320, 3, 2, "valid"),
        ),
        MaxPool2d(3, stride=2),
    )


def inception_c() -> Concat:
    """Figure 6: 8 x 8 x 1536 -> the same; two branches split again at their ends."""
    return Concat(
        conv(1536, 256, 1),
        Sequential(conv(1536, 384, 1), Concat(conv(384, 256, (1, 3)), conv(384, 256, (3, 1)))),
        Sequential(
            conv(1536, 384, 1),
            conv(384, 448, (3, 1)),
            conv(448, 512, (1, 3)),
            Concat(conv(512, 256, (1, 3)), conv(512, 256, (3, 1))),
        ),
        pool_branch(1536, 256),
    )


# --- how it was trained ---------------------------------------------------------------------------

PAPER = Recipe(
    source="Szegedy et al. 2016, section 4: RMSProp with decay 0.9 and eps 1.0, lr multiplied by "
    "0.94 every 2 epochs",
    data="imagenet",
    preprocess=imagenet_input(299, resize=341, std=0.5),
    augment=crop_and_flip(299),
    epochs=160,
    batch_size=32,
    lr=0.045,
    optimizer="rmsprop",
    options={"decay": 0.9, "eps": 1.0, "momentum": 0.9},
    schedule=StepDecay(2, gamma=0.94),
)

register("inception_v4", {"default": PAPER, "paper": PAPER})(inception_v4)
