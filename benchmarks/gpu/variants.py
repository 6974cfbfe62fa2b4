"""Every variant of the convolutions: each tile, whole and split sums, two and three stages.

The plan chooses a tile by the product's size and the card: comparisons of only small shapes would
never run the large tiles. Then follow large shapes and long sums.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from minicnn.device import set_precision
from minicnn.kernels.cuda import choice, hopper
from minicnn.kernels.cuda import plan as plans
from minicnn.kernels.cuda.precision import PRECISIONS

from .cases import Images, cases
from .correctness import compare
from .parts import Task

SHAPES = (
    "3x3",
    "3x3 odd",
    "3x3 strided",
    "1x1 strided",
    "groups",
    "dilated",
    "first layer",
    "one pixel",
)
TINY = ("3x3 odd",)

# name: images, kernel, filters, geometry; the last has a weight gradient that sums 200,704 pixels
LARGE: dict[str, tuple] = {
    "VGG 3x3 at 56": ((16, 56, 56, 64), 3, 128, {"padding": 1}),
    "VGG 3x3 at 28": ((32, 28, 28, 128), 3, 256, {"padding": 1}),
    "ResNet 1x1/2 at 28": ((32, 28, 28, 256), 1, 512, {"stride": 2}),
    "VGG 3x3 at 224": ((4, 224, 224, 16), 3, 32, {"padding": 1}),
}


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A task for each convolution in each variant, and for each pass of a large one."""
    how = {"bf16": "BF16"}.get(precision) or PRECISIONS[precision]
    for tile in plans.tiles(how):
        for stages, splits in ((3, 1), (2, 3)):
            for name, operation, arguments, options in cases(np.random.default_rng(), False):
                shape = name.removeprefix("conv ").split(",")[0]
                if name.startswith("conv ") and shape in (TINY if tiny else SHAPES):
                    label = f"{name} [{tile.m}x{tile.n}, {stages} stages, {splits} parts]"
                    yield (
                        label,
                        partial(
                            _compared,
                            label,
                            operation,
                            arguments,
                            options,
                            precision,
                            tile,
                            stages,
                            splits,
                        ),
                    )
    for name, large in ({} if tiny else LARGE).items():
        for which in ("forward", "input gradient", "weight gradient"):
            yield f"{name}, {which}", partial(compared_large, name, which, precision, *large)


@contextmanager
def forced(
    tile: plans.Tile, stages: int, splits: int, algorithm: str = "mma"
) -> Iterator[list[plans.Plan]]:
    """In this block the products of that algorithm are cut so, as far as they can be.

    The list is filled with their plans.
    """
    found: list[plans.Plan] = []

    def plan(
        kernel: str, m: int, n: int, k: int, groups: int, how: str, card: plans.Card
    ) -> plans.Plan:
        if (how == "WGMMA") != (algorithm == "wgmma"):  # one that the algorithm cannot compute
            return plans.plan(kernel, m, n, k, groups, how, card)
        steps = max(1, -(-k // plans.inner(how)))
        room = plans.shared_bytes(kernel, tile, how, stages) <= card.block_memory
        parts = -(-steps // -(-steps // min(splits, steps)))  # none of them empty
        found.append(plans.Plan(how, tile, stages if room else stages - 1, parts, 0.0, 0, 0.0))
        return found[-1]

    with hopper.algorithm(algorithm), mock.patch.object(choice, "plan", plan):
        yield found


def _compared(
    name: str,
    operation: str,
    arguments: tuple,
    options: dict,
    precision: str,
    tile: plans.Tile,
    stages: int,
    splits: int,
) -> Iterator[dict]:
    set_precision(precision)
    with forced(tile, stages, splits):
        yield compare(name, operation, arguments, options, precision).row()


def compared_large(
    name: str,
    which: str,
    precision: str,
    shape: tuple,
    size: int,
    filters: int,
    geometry: dict[str, Any],
) -> Iterator[dict]:
    """One pass of a large convolution."""
    generator = np.random.default_rng()

    def normal(*sizes: int) -> np.ndarray:
        return generator.standard_normal(sizes, dtype=np.float32)

    x, w = (
        Images(normal(*shape)),
        normal(size, size, shape[3], filters) / np.float32(size * shape[3] ** 0.5),
    )
    side = (shape[1] - 1) // geometry.get("stride", 1) + 1
    dy = Images(normal(shape[0], side, side, filters))
    operation, arguments = {
        "forward": ("conv2d", (x, w, normal(filters))),
        "input gradient": ("conv2d_grad_input", (dy, w, shape)),
        "weight gradient": ("conv2d_grad_weight", (dy, x, w.shape)),
    }[which]
    set_precision(precision)
    yield compare(f"{name}, {which}", operation, arguments, geometry, precision).row()
