"""20 and 56 layers, with and without residual connections."""

from functools import partial

from ..claim import TEST_ERROR, TRAIN_ERROR, Claim, Statement, Variant
from ..networks import RESNET, plain, registered

CLAIM = Claim(
    name="depth",
    title="More layers make a plain network worse, and a residual network better",
    source="He et al. 2015b, section 4.2, figures 1 and 6, table 6",
    setting="few images and epochs; the paper has 45,000 and 182",
    variants={
        "plain-20": Variant(partial(plain, 20), RESNET),
        "plain-56": Variant(partial(plain, 56), RESNET),
        "resnet-20": Variant(registered("resnet20_cifar"), RESNET),
        "resnet-56": Variant(registered("resnet56_cifar"), RESNET),
    },
    statements=[
        Statement("plain-20", "plain-56", TRAIN_ERROR, "figure 6: the deeper one trains worse"),
        Statement("resnet-56", "plain-56", TRAIN_ERROR, "figure 6: shortcuts remove this"),
        Statement("resnet-56", "resnet-20", TEST_ERROR, "table 6: 6.97 % against 8.75 %"),
    ],
    limit=5_000,
    epochs=15,
    minutes=60,
)
