"""The speed of convolutions by pass, each a captured graph of calls.

Spot checks compare the results that are timed. Buffers rotate, so that no input is in the L2 cache.
`bytes` and `flops` are the least that an operation moves and computes: divided by the machine's
ceilings they give the floor. PyTorch's side is in torch_side.py.
"""

import functools
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from minicnn.device import runtime, set_precision, to_input
from minicnn.kernels import functional as F
from minicnn.kernels.cuda import choice

from . import launches, spot
from .parts import Task

L2 = 128 << 20  # bytes that rotating buffers exceed: twice an H200's L2 cache
POOL = 4_194_301  # random numbers, which arrays repeat; a prime, so that no two pixels are the same

# name: images, kernel, filters, geometry
CONVOLUTIONS: dict[str, tuple] = {
    "VGG 3x3, 256 to 256 at 56": ((64, 56, 56, 256), 3, 256, {"padding": 1}),
    "ResNet 3x3, 64 to 64 at 56": ((128, 56, 56, 64), 3, 64, {"padding": 1}),
    "ResNet 1x1, 256 to 64 at 56": ((128, 56, 56, 256), 1, 64, {}),
    "ResNet 3x3/2, 128 to 256 at 28": ((128, 28, 28, 128), 3, 256, {"padding": 1, "stride": 2}),
    "VGG 3x3, 512 to 512 at 14": ((128, 14, 14, 512), 3, 512, {"padding": 1}),
    "ResNet 7x7/2, 3 to 64 at 224": ((64, 224, 224, 3), 7, 64, {"padding": 3, "stride": 2}),
    "ResNet 1x1, 512 to 2048 at 7": ((128, 7, 7, 512), 1, 2048, {}),
    "GoogLeNet 5x5, 32 to 96 at 14": ((128, 14, 14, 32), 5, 96, {"padding": 2}),
    "VGG 3x3, 64 to 64 at 224": ((32, 224, 224, 64), 3, 64, {"padding": 1}),
    **{
        f"MobileNet depthwise {r}x{r}/{s}, {c} at {size}": (
            *((128, size, size, c), r, c),
            {"padding": r // 2, "stride": s, "groups": c},
        )
        for r, s, c, size in ((3, 1, 128, 56), (3, 2, 128, 56), (3, 1, 512, 14), (5, 1, 512, 14))
    },
}
TINY: dict[str, tuple] = {
    "tiny 3x3": ((1, 6, 6, 8), 3, 8, {"padding": 1}),
    "tiny depthwise": ((1, 6, 6, 8), 3, 8, {"padding": 1, "groups": 8}),
}
PASSES = ("forward", "input gradient", "weight gradient")
BIAS = "weight and bias gradient"  # of the networks without batch norm
BIASED = ("VGG", "GoogLeNet", "tiny 3x3")


def passes(name: str, shape: tuple) -> tuple[str, ...]:
    """Those of a convolution; a first layer needs no input gradient."""
    found = tuple(what for what in PASSES if what != "input gradient" or shape[3] != 3)
    return (*found, BIAS) if name.startswith(BIASED) else found


def copies(nbytes: int) -> int:
    """How many sets of buffers of so many bytes exceed the L2 cache."""
    return max(1, min(8, -(-L2 // max(nbytes, 1))))


def row(
    group: str,
    name: str,
    precision: str,
    seconds: float,
    flops: float = 0.0,
    moved: float = 0.0,
    **more: Any,
) -> dict[str, Any]:
    """A measurement as a line of the results."""
    return {
        "kind": "speed",
        "group": group,
        "name": name,
        "precision": precision,
        "seconds": seconds,
        "flops": flops,
        "bytes": moved,
    } | more


@functools.cache
def _pool() -> np.ndarray:
    return np.random.default_rng().standard_normal(POOL, dtype=np.float32)


def normal(*shape: int) -> np.ndarray:
    """Random numbers, made faster than by a generator: a large array repeats those of a pool."""
    return np.resize(_pool(), shape)


def images(*shape: int) -> Any:
    """Random images on the device."""
    return to_input(normal(*shape), "cuda")


def operations(precision: str, tiny: bool) -> Iterator[Task]:
    """Convolutions by pass."""
    for name, shape in (TINY if tiny else CONVOLUTIONS).items():
        yield name, partial(_convolution, name, precision, *shape)


def _convolution(
    name: str, precision: str, shape: tuple, size: int, filters: int, geometry: dict[str, int]
) -> Iterator[dict]:
    set_precision(precision)
    ready = prepared(shape, size, filters, geometry)
    chosen = passes(name, shape)
    launches.compile_ahead(lambda: [ready[0][what](0) for what in chosen])
    for what in chosen:
        yield from measured(f"{name}, {what}", what, precision, ready, geometry)


def measured(
    name: str,
    what: str,
    precision: str,
    ready: tuple,
    geometry: dict[str, int],
    group: str = "convolution",
    **more: str,
) -> Iterator[dict]:
    """Measure a pass, and check some of its results; `ready`: see `prepared`."""
    work, sets, w, flops, moved = ready
    plans: list[tuple] = []
    noting = mock.patch.object(choice, "plan", partial(_noted, choice.plan, plans))
    with noting, launches.noted() as launched:
        result = work[what](0)
    numbers = precision, statistics.median(runtime().times(work[what])), flops, moved
    more |= {"plan": _described(plans), "launches": launches.described(launched)}
    yield row(group, name, *numbers, **more)
    x, dy = sets[0]
    yield spot.check(name, what, precision, x, dy, w, geometry, result).row()


def prepared(
    shape: tuple, size: int, filters: int, geometry: dict[str, int]
) -> tuple[dict[str, Callable], list[tuple], Any, float, int]:
    """Each pass as a call, the rotating buffers, the weights, and FLOPs and bytes per pass."""
    channels = shape[3] // geometry.get("groups", 1)
    w = runtime().upload(normal(size, size, channels, filters) / np.float32(size * channels**0.5))
    x = images(*shape)
    y = F.conv2d(x, w, **geometry)
    dy = images(*y.shape)
    moved = x.nbytes + y.nbytes + w.nbytes
    sets = [(x, dy)] + [(x.copy(), dy.copy()) for _ in range(copies(moved) - 1)]

    def of_weights(i: int, bias: bool) -> Any:
        x, dy = sets[i % len(sets)]
        return F.conv2d_grad_weight(dy, x, w.shape, **geometry, bias=bias)

    work = {
        "forward": lambda i: F.conv2d(sets[i % len(sets)][0], w, **geometry),
        "input gradient": lambda i: F.conv2d_grad_input(
            sets[i % len(sets)][1], w, shape, **geometry
        ),
        "weight gradient": lambda i: of_weights(i, False)[0],
        BIAS: lambda i: of_weights(i, True),
    }
    return work, sets, w, 2.0 * y.size * size * size * channels, moved


def _noted(plan: Callable, plans: list[tuple], *arguments: Any) -> Any:
    found = plan(*arguments)
    plans.append((arguments, found))
    return found


def _described(plans: list[tuple]) -> list[dict[str, Any]]:
    """Tile, stages, parts, blocks per multiprocessor and estimated cycles of each product."""
    return [
        {
            "tile": f"{way.tile.m}x{way.tile.n}",
            "stages": way.stages,
            "splits": way.splits,
            "blocks per SM": round(
                -(-m // way.tile.m) * -(-n // way.tile.n) * groups * way.splits / card.processors, 2
            ),
            "warps": way.warps,
            "balance": round(way.balance, 3),
            "cycles": round(way.cycles),
        }
        for (_, m, n, _, groups, _, card), way in plans
    ]
