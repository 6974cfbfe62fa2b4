"""The rungs of batch norm: how their kernels are started, and what they wait for.

passes = rung.prepare(x, gamma, beta)         x (N, H, W, C), gamma and beta (C,)
passes["forward"]()                           y = max(batch norm of x, 0), as in training
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...cuda import norm
from ...cuda.arrays import empty
from ...cuda.device import THREADS, blocks, counted, launch, runtime
from ...types import Array
from . import roofs
from .rung import SOURCES, Passes, Rung, title

DRAM = "dram__throughput.avg.pct_of_peak_sustained_elapsed"
SECTORS = "l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_ld.ratio"
WARPS = "sm__warps_active.avg.pct_of_peak_sustained_active"
ERROR = 1e-5
UNROLLED = 4  # loads that a thread starts before it waits for the first


class Steps(NamedTuple):
    """What the kernels of a file do.

    vector: numbers of an access.
    is_fused: mean and variance are one pass, normalization and ReLU another.
    sectors: bytes that the statistics fetch for each byte that they use.
    multiple: of which C is.
    is_split: several blocks share the pixels of a channel.
    """

    file: str
    counter: str
    vector: int
    is_fused: bool
    sectors: int
    multiple: int
    is_split: bool = False


FILES = (
    Steps("norm01_scalar.cu", SECTORS, 1, False, 8, 1),
    Steps("norm02_vectors.cu", WARPS, 4, False, 2, 4),
    Steps("norm03_fused.cu", WARPS, 4, True, 2, 4),
    Steps("norm04_two_stage.cu", DRAM, 4, True, 1, 32, is_split=True),
)


def rungs() -> list[Rung]:
    """All rungs, lowest first; the last is the engine."""
    found = [
        Rung(
            *title(steps.file),
            lambda *arrays, steps=steps: {"forward": _forward(steps, *arrays)},
            ERROR,
            steps.counter,
            multiple=steps.multiple,
            least=lambda *shape, steps=steps: _least(steps, *shape),
        )
        for steps in FILES
    ]
    engine = "what minicnn trains with: also bf16, a residual, running statistics"
    return [*found, Rung("the engine", engine, _engine, ERROR, DRAM)]


def parts_of(channels: int, pixels: int, processors: int) -> int:
    """In how many parts the pixels are split: eight blocks for each multiprocessor."""
    return max(1, min(-(-pixels // 32), 8 * processors // (channels // 32)))


def _forward(steps: Steps, x: Array, gamma: Array, beta: Array) -> Callable[[], Array]:
    channels, size = x.shape[3], counted(x.size)
    pixels, vectors = size // channels, size // steps.vector
    y, mean, inverse = empty(x, x.shape), empty(x, (channels,)), empty(x, (channels,))
    parts = parts_of(channels, pixels, runtime().processors) if steps.is_split else 1
    partial = empty(x, (parts, channels, 3))

    def start(name: str, grid: int | tuple[int, ...], *arguments: object, shared: int = 0) -> None:
        launch(SOURCES / steps.file, name, grid, THREADS, *arguments, shared=shared)

    def call() -> Array:
        shape, few = (pixels, channels), channels // steps.vector
        if steps.is_split:
            start("moments", (channels // 32, parts), x, *shape, partial, shared=32 * 32 * 12)
            start("statistics", blocks(channels), partial, parts, channels, mean, inverse)
        elif steps.is_fused:
            start("statistics", few, x, *shape, mean, inverse, shared=8 * 12)
        else:
            start("mean_of", few, x, *shape, mean, shared=8 * 4)
            start("variance_of", few, x, *shape, mean, inverse, shared=8 * 4)
        affine = mean, inverse, gamma, beta, y
        start("normalize", blocks(vectors), x, vectors, channels, *affine)
        if not steps.is_fused:
            start("rectify", blocks(vectors), y, vectors)
        return y

    return call


def _engine(x: Array, gamma: Array, beta: Array) -> Passes:
    mean, var = (runtime().upload(np.ones(x.shape[3], np.float32)) for _ in range(2))
    return {
        "forward": lambda: norm.batch_norm(x, gamma, beta, mean, var, activation="relu")[0],
    }


def _least(steps: Steps, name: str, pixels: int, channels: int) -> roofs.Stream:
    """What the kernels wait for on an H100: those of the statistics, and the others."""
    size = 4 * pixels * channels
    passes, others = (1, 2) if steps.is_fused else (2, 4)
    count = channels // steps.vector
    if steps.is_split:
        count = channels // 32 * parts_of(channels, pixels, roofs.H100.processors)
    flight = count * THREADS * UNROLLED * 4 * steps.vector * steps.sectors
    return roofs.stream(passes * size, steps.sectors, flight, others * size)
