"""The rungs of the convolution: how their kernels are started, and what they wait for."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import ml_dtypes
import numpy as np

from ...cuda import conv
from ...cuda.activation import convert
from ...cuda.arrays import contiguous, empty
from ...cuda.device import DIVISOR, THREADS, blocks, counted, divisor, launch, runtime
from ...types import Array, Shape
from . import roofs
from .rung import SOURCES, Passes, Rung, title

PROBLEM = np.dtype(  # the structure Problem of problem.cuh
    [(name, np.int32) for name in ("pixels", "channels", "filters", "taps")]
    + [(name, DIVISOR) for name in ("height", "width", "size", "by_channels")]
)
PASSES = ("forward", "grad_input", "grad_weight")
BF16 = np.dtype(ml_dtypes.bfloat16)

WAVEFRONTS = "l1tex__data_pipe_lsu_wavefronts.avg.pct_of_peak_sustained_elapsed"
SECTORS = "l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_ld.ratio"
TENSOR = "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active"
FMA = "sm__pipe_fma_cycles_active.avg.pct_of_peak_sustained_active"
LATENCY = "smsp__warp_issue_stalled_long_scoreboard_per_warp_active.pct"


class Kernel(NamedTuple):
    """The kernels `convolve` and `grad_weight` of one file.

    tile: rows and filters of a block; 0: each of 256 threads has one result.
    multiple: of which C and K are.
    port: wavefronts for 32 multiply-adds in `convolve` and in `grad_weight`, counted in the source:
        reads of fragments, and the copies of a step divided by its multiply-adds.
    """

    file: str
    tile: int
    shared: int  # bytes
    port: tuple[float, float]
    counter: str
    units: str = "fp32"
    error: float = 1e-4
    threads: int = THREADS
    multiple: int = 1
    passes: tuple[str, ...] = PASSES
    capability: int = 80


BOX = (2, 8, 8, 64)  # images, lines, columns and channels of a copy of conv11_wgmma.cu
WGMMA_SHARED = (4 * 32 << 10) + 1024 + 64  # stages, the alignment of the first, barriers
KERNELS = (
    Kernel("conv01_naive.cu", 0, 0, (33, 2), SECTORS),
    Kernel("conv02_coalesced.cu", 0, 0, (2, 2), WAVEFRONTS),
    Kernel("conv03_shared.cu", 16, 2 << 10, (2.25, 2.25), WAVEFRONTS, multiple=16),
    Kernel("conv04_registers.cu", 64, 8320, (0.58, 0.56), WAVEFRONTS, multiple=16),
    Kernel("conv05_vectors.cu", 128, 8 << 10, (0.13, 0.13), LATENCY, multiple=8),
    Kernel("conv06_async.cu", 128, 36 << 10, (0.11, 0.11), FMA, multiple=16),
    Kernel("conv07_tensor.cu", 128, 37888, (0.063, 0.063), WAVEFRONTS, "tf32", 5e-3, multiple=16),
    Kernel("conv08_swizzle.cu", 128, 64 << 10, (0.031, 0.031), WAVEFRONTS, "bf16", 2e-2, 256, 64),
    Kernel("conv09_pipeline.cu", 128, 96 << 10, (0.023, 0.023), WAVEFRONTS, "bf16", 2e-2, 128, 64),
    Kernel(
        *("conv10_split.cu", 128, 96 << 10, (0.023, 0.023), TENSOR, "bf16", 2e-2, 128, 64),
        passes=("grad_weight",),
    ),
    Kernel(
        *("conv11_wgmma.cu", 128, WGMMA_SHARED, (0.02, 0.0), TENSOR, "bf16", 2e-2, 384, 64),
        passes=("forward", "grad_input"),
        capability=90,
    ),
)


def rungs() -> list[Rung]:
    """All rungs, lowest first; the last is the engine, in bfloat16."""
    found = [
        Rung(
            *title(kernel.file),
            lambda *arrays, kernel=kernel: _prepared(kernel, *arrays),
            kernel.error,
            kernel.counter,
            kernel.capability,
            multiple=kernel.multiple,
            least=lambda *arguments, kernel=kernel: _least(kernel, *arguments),
        )
        for kernel in KERNELS
    ]
    engine = "what minicnn trains with: the plan chooses tiles and splits for every shape"
    return [*found, Rung("the engine", engine, _engine, 2e-2, TENSOR)]


def problem(shape: Shape, filters: int, size: int) -> np.ndarray:
    """The structure `Problem` for x of this shape, and a kernel of `size` x `size`."""
    n, height, width, channels = shape
    by = tuple(divisor(d) for d in (height, width, size, channels))
    return np.array([(n * height * width, channels, filters, size * size, *by)], PROBLEM)


def turned(w: Array) -> Array:
    """The kernel of the input gradient, w[R-1-i, R-1-j, k, c]."""
    return contiguous(w[::-1, ::-1].transpose(0, 1, 3, 2))


def _half(kernel: Kernel, *arrays: Array) -> Iterable[Array]:
    """The arrays in the type that a kernel reads."""
    return (convert(a, BF16) for a in arrays) if kernel.units == "bf16" else arrays


def _prepared(kernel: Kernel, x: Array, w: Array, b: Array, dy: Array) -> Passes:
    """Each pass as a call; conversions and the turned kernel are made here."""
    x_shape, filters, size = x.shape, w.shape[3], len(w)
    for shape in (x_shape, dy.shape, w.shape):
        counted(int(np.prod(shape)))
    back = turned(w)
    x, w, back, dy = _half(kernel, x, w, back, dy)
    convolve = _convolve_boxes if kernel.capability == 90 else _convolve
    found = {
        "forward": convolve(kernel, x, w, b),
        "grad_input": convolve(kernel, dy, back, None),
        "grad_weight": _grad_weight(kernel, x, dy, problem(x_shape, filters, size)),
    }
    return {name: found[name] for name in kernel.passes}


def _grid(kernel: Kernel, rows: int, filters: int) -> tuple[int, ...]:
    if not kernel.tile:
        return (blocks(rows * filters),)
    return blocks(rows, kernel.tile), blocks(filters, kernel.tile)


def _start(kernel: Kernel, name: str, grid: tuple[int, ...], *arguments: Array | None) -> None:
    file = SOURCES / kernel.file
    launch(file, name, grid, kernel.threads, *arguments, shared=kernel.shared)


def _convolve(kernel: Kernel, x: Array, w: Array, b: Array | None) -> Callable[[], Array]:
    y = empty(x, (*x.shape[:3], w.shape[3]))
    shape = problem(x.shape, w.shape[3], len(w))
    grid = _grid(kernel, y.size // w.shape[3], w.shape[3])

    def call() -> Array:
        _start(kernel, "convolve", grid, x, w, b, y, shape)
        return y

    return call


def _convolve_boxes(kernel: Kernel, x: Array, w: Array, b: Array | None) -> Callable[[], Array]:
    """As `_convolve`, with TMA; the filters (K, taps C) lie as the patches do."""
    n, height, width = x.shape[:3]
    filters, tensor_map = w.shape[3], runtime().tensor_map
    y, shape = empty(x, (n, height, width, filters)), problem(x.shape, filters, len(w))
    rows = contiguous(w.reshape(-1, filters).T)
    images = tensor_map(x, BOX)
    weights = tensor_map(rows.reshape(1, 1, *rows.shape), (1, 1, kernel.tile, BOX[3]))
    tiles = blocks(n, BOX[0]) * blocks(height, BOX[1]) * blocks(width, BOX[2])
    grid, file = (tiles, blocks(filters, kernel.tile)), SOURCES / kernel.file

    def call(kept: tuple[Array, Array] = (x, rows)) -> Array:  # to which the maps point
        arguments = images, weights, b, y, shape
        threads, shared = kernel.threads, kernel.shared
        launch(file, "convolve", grid, threads, *arguments, shared=shared, architecture="sm_90a")
        return y

    return call


def _grad_weight(kernel: Kernel, x: Array, dy: Array, shape: np.ndarray) -> Callable[[], Array]:
    (pixels, channels, filters, taps), size = shape[0].item()[:4], int(shape["size"]["d"][0])
    dw = empty(x, (size, size, channels, filters), np.float32)
    grid = _grid(kernel, taps * channels, filters)
    if "forward" in kernel.passes:

        def call() -> Array:
            _start(kernel, "grad_weight", grid, x, dy, dw, shape)
            return dw

        return call
    parts = split(grid[0] * grid[1], pixels)
    partial = empty(x, (parts, *dw.shape), np.float32)

    def summed() -> Array:
        _start(kernel, "grad_weight", (*grid, parts), x, dy, partial, shape)
        add = partial, parts, dw.size, dw
        launch(SOURCES / kernel.file, "add_parts", blocks(dw.size), THREADS, *add)
        return dw

    return summed


def split(tiles: int, pixels: int, processors: int | None = None) -> int:
    """In how many parts a sum over pixels is split: two blocks for each multiprocessor."""
    steps, processors = -(-pixels // 64), processors or runtime().processors
    parts = max(1, min(steps, 2 * processors // tiles))
    return -(-steps // -(-steps // parts))  # none of them empty


def _engine(x: Array, w: Array, b: Array, dy: Array) -> Passes:
    shape, pad = x.shape, len(w) // 2
    x, dy = (convert(a, BF16) for a in (x, dy))  # the engine converts the weights itself
    return {
        "forward": lambda: conv.conv2d(x, w, b, padding=pad, activation="relu"),
        "grad_input": lambda: conv.conv2d_grad_input(dy, w, shape, padding=pad),
        "grad_weight": lambda: conv.conv2d_grad_weight(dy, x, w.shape, padding=pad, bias=False)[0],
    }


def _least(
    kernel: Kernel, name: str, pixels: int, channels: int, filters: int, taps: int
) -> roofs.Least | None:
    """What a pass waits for on an H100; None for a pass that the rung does not have."""
    if name not in kernel.passes:
        return None
    number = 2 if kernel.units == "bf16" else 4
    weights = taps * channels * filters
    moved = number * (pixels * (channels + filters) + weights)
    is_sum = name == "grad_weight"
    rows, columns = (taps * channels, filters) if is_sum else (pixels, filters)
    if name == "grad_input":
        columns = channels
    count = int(np.prod(_grid(kernel, rows, columns)))
    if "forward" not in kernel.passes:
        parts = split(count, pixels, roofs.H100.processors)
        moved, count = moved + 8 * parts * weights, count * parts
    flops = 2.0 * pixels * weights
    return roofs.least(flops, moved, kernel.port[is_sum], kernel.units, count)
