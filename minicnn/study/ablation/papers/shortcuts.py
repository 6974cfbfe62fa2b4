"""Shortcuts A (zero channels), B (projections where the shape changes) and C (all projections)."""

from functools import partial

from ..claim import TEST_ERROR, Claim, Statement, Variant
from ..networks import RESNET, plain, registered

POINT = 0.01

CLAIM = Claim(
    name="shortcuts",
    title="Shortcuts A, B and C all beat a plain network, and differ little from each other",
    source="He et al. 2015b, section 4.1 and table 3",
    setting="20 layers and small images; the paper has 34 layers and ImageNet",
    variants={
        "plain": Variant(partial(plain, 20), RESNET),
        **{
            option: Variant(registered("resnet20_cifar", option=option), RESNET) for option in "ABC"
        },
    },
    statements=[
        Statement("A", "plain", TEST_ERROR, "25.03 % against 28.54 %"),
        Statement("B", "plain", TEST_ERROR, "24.52 % against 28.54 %"),
        Statement("C", "plain", TEST_ERROR, "24.19 % against 28.54 %"),
        Statement("B", "A", TEST_ERROR, "24.52 % against 25.03 %: slightly better"),
        Statement("C", "B", TEST_ERROR, "24.19 % against 24.52 %: marginally better"),
        Statement(
            "A", "C", TEST_ERROR, "25.03 % against 24.19 %: projections are not essential", POINT
        ),
    ],
    limit=5_000,
    epochs=12,
    minutes=25,
)
