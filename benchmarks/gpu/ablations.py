"""What a convolution waits for: its time without the copies, the products, or the stores.

The kernels' text is changed before it is compiled, so that their pages say nothing of it. What such
a kernel computes has no meaning; only its time counts. The part whose absence saves the most is
the one that the others hide behind.
"""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from minicnn.device import runtime, set_precision
from minicnn.kernels.cuda import hopper, product
from minicnn.kernels.cuda import runtime as sources

from . import launches, speed
from .parts import Task

SHAPES = (
    "VGG 3x3, 256 to 256 at 56",
    "ResNet 3x3, 64 to 64 at 56",
    "ResNet 1x1, 256 to 64 at 56",
    "ResNet 3x3/2, 128 to 256 at 28",
)
TINY = ("tiny 3x3",)

# What is left out -> pairs of texts of conv.cu and its includes. The first steps' copies stay, and
# sums are still computed where nothing is stored: no sum of random numbers is STORED.
CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "loads": (("if (next < last) load(next, empty, empty + A::SIZE);", ""),),
    "products": (("add(full, full + A::SIZE);", ""),),
    "stores": (
        (
            "if (m >= g.m || n >= g.n) return;",
            "if (m >= g.m || n >= g.n || v0 != STORED) return;",
        ),
    ),
}


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A task per convolution."""
    for name in TINY if tiny else SHAPES:
        shape = (speed.TINY | speed.CONVOLUTIONS)[name]
        yield name, partial(_convolution, name, precision, *shape)


@contextmanager
def without(what: str) -> Iterator[None]:
    """In this block, products are computed by kernels that lack these lines."""
    source, launch = sources.source, product.launch

    def changed(file: Any) -> str:
        text = source(file)
        if file == "conv.cu":
            for old, new in CHANGES[what]:
                assert text.count(old) == 1, f"conv.cu has not one line {old!r}"
                text = text.replace(old, new)
        return text

    def marked(file: str, *rest: Any, **options: Any) -> None:
        # also its own entry in the caches
        extra = {"WITHOUT": what, "STORED": "1e30f"} if file == "conv.cu" else {}
        launch(file, *rest, **options, **extra)

    with (
        hopper.algorithm("mma"),
        mock.patch.object(sources, "source", changed),
        mock.patch.object(product, "launch", marked),
    ):
        yield


def _convolution(
    name: str, precision: str, shape: tuple, size: int, filters: int, geometry: dict[str, int]
) -> Iterator[dict]:
    """The seconds of each pass as it is, and without each part."""
    set_precision(precision)
    work, *_ = speed.prepared(shape, size, filters, geometry)
    seconds: dict[str, dict[str, float]] = {what: {} for what in speed.PASSES}
    for left_out in ("nothing", *CHANGES):
        with without(left_out) if left_out in CHANGES else hopper.algorithm("mma"):
            launches.compile_ahead(lambda: [work[what](0) for what in seconds])
            for what, found in seconds.items():
                found[left_out] = statistics.median(runtime().times(work[what], repeats=3))
    for what, found in seconds.items():
        title = f"{name}, {what}"
        yield {"kind": "ablation", "name": title, "precision": precision, "seconds": found}
