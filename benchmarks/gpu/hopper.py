"""Products on Hopper's own units: each tile against float64, and their speed beside conv.cu's.

They are a part by themselves, because none of them has run on a card yet: one that hangs ends no
other comparison.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from minicnn.device import runtime, set_precision
from minicnn.kernels.cuda import hopper, hopper_check
from minicnn.kernels.cuda import plan as plans

from . import speed, steps, variants
from .cases import cases
from .correctness import compare
from .parts import Task

SHAPES = ("3x3", "3x3 strided", "1x1", "1x1 strided", "5x5", "groups", "dilated", "first layer")
TINY = ("5x5",)
PARTS = 1, 3  # of each sum
STEPS = "resnet50", "vgg16"


def is_here() -> bool:
    """True if the GPU has these units."""
    return runtime().capability == hopper.CAPABILITY


def tasks(tiny: bool) -> Iterator[Task]:
    """The runtime's own comparison of each tile, then convolutions by each, then their speed."""
    for tile in plans.HOPPER_TILES:
        for of_weights in (False, True):
            name = "weight gradient, " if of_weights else ""
            name = f"{name}the runtime's comparison [{_name(tile)}]"
            yield name, partial(_difference, of_weights, tile)
    for tile in plans.HOPPER_TILES:
        for splits in PARTS:
            for name, operation, arguments, options in cases(np.random.default_rng(), False):
                shape = name.removeprefix("conv ").split(",")[0]
                if name.startswith("conv ") and shape in (TINY if tiny else SHAPES):
                    label = f"{name} [{_name(tile)}, {splits} parts]"
                    given = operation, arguments, options, tile, splits
                    yield label, partial(_compared, label, *given)
    for name, large in ({} if tiny else variants.LARGE).items():
        for which in speed.PASSES:
            yield f"{name}, {which}, wgmma", partial(_large, name, which, *large)
    for name in () if tiny else STEPS:
        yield f"{name}, a step", partial(_step, name, *steps.STEPS[name])
    for name, shape in (speed.TINY if tiny else speed.CONVOLUTIONS).items():
        if "groups" not in shape[3]:  # a depthwise convolution has a kernel of its own
            yield f"{name}, speed", partial(_measured, name, *shape)


def _name(tile: plans.Tile) -> str:
    return f"wgmma {tile.m}x{tile.n}"


def _difference(of_weights: bool, tile: plans.Tile) -> Iterator[dict]:
    set_precision("bf16")
    found = hopper_check.difference(of_weights, tile)
    assert found is None, found
    yield from ()


def _compared(
    name: str, operation: str, arguments: tuple, options: dict, tile: plans.Tile, splits: int
) -> Iterator[dict]:
    set_precision("bf16")
    with variants.forced(tile, tile.stages, splits, "wgmma") as used:
        yield compare(name, operation, arguments, options, "bf16").row()
    assert used, "no product was computed on Hopper's units"


def _large(name: str, which: str, *large: tuple) -> Iterator[dict]:
    with hopper.algorithm("wgmma"):
        yield from variants.compared_large(f"{name}, wgmma", which, "bf16", *large)


def _measured(
    name: str, shape: tuple, size: int, filters: int, geometry: dict[str, int]
) -> Iterator[dict]:
    """Rows of the same buffers by either algorithm."""
    set_precision("bf16")
    ready = speed.prepared(shape, size, filters, geometry)
    for what in speed.passes(name, shape):
        for algorithm in ("mma", "wgmma"):
            title, group = f"{name}, {what}", f"convolution by {algorithm}"
            given = what, "bf16", ready, geometry, group
            with hopper.algorithm(algorithm):
                yield from speed.measured(f"{title}, {algorithm}", *given, against=title)


def _step(name: str, batch: int, classes: int) -> Iterator[dict]:
    """A row of a training step whose products are computed on Hopper's units where they can be."""
    with hopper.algorithm("wgmma"):
        call, flops = steps.training_step(name, batch, classes, "bf16")
        title, group = f"{name}, batch {batch}", "training step by wgmma"
        given = name, call, flops, "bf16", group
        yield steps.timed(f"{title}, wgmma", *given, against=title)
