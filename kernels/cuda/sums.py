"""Sums over the pixels of each channel: how they are divided among threads and chunks."""

from typing import Any, NamedTuple

import numpy as np

from ..types import Array
from .arrays import empty, number_type, pixel_step, spaced, vector_width
from .device import THREADS, blocks, launch, runtime


class Partial(NamedTuple):
    """`values` `(layers * chunks, sums, C)`; `rows` rows of threads share a chunk's pixels."""

    values: Array
    chunks: int
    rows: int


def partial_sums(
    file: str,
    kernel: str,
    sums: int,
    arrays: list[Array],
    *arguments: Any,
    layers: int = 1,
    **defines: Any,
) -> Partial:
    """Run a kernel whose blocks are those of `column_sums` over `arrays`.

    The arrays have one shape `(..., C)` and evenly spaced pixels. Arrays among the other arguments
    have rows of C; NumPy's are structures. Each of the `layers`, along blockIdx.z, has sums of its
    own.
    """
    x = arrays[0]
    channels = x.shape[-1]
    count = x.size // channels
    steps = [pixel_step(a) for a in arrays]
    parameters = [a for a in arguments if getattr(a, "ndim", 0) and type(a) is not np.ndarray]
    v = vector_width(channels, *arrays, parameters=parameters)
    columns = min(32, 1 << (-(-channels // v) - 1).bit_length())
    rows = 256 // columns
    across = -(-channels // (columns * v))
    chunks = max(1, min(-(-count // (4 * rows)), 8 * runtime().processors // (across * layers)))
    partial = empty(x, (layers * chunks, sums, channels), np.float32)
    steady = [item for pair in zip(arrays, steps, strict=True) for item in pair]
    numbers = *steady, count, channels, *arguments, partial
    shared = rows * sums * columns * v * 4
    grid, block = (across, chunks, layers), (columns, rows)
    launch(file, kernel, grid, block, *numbers, shared=shared, V=v, **defines)
    return Partial(partial, chunks, rows)


def sum_pixels(dy: Array, db: Array) -> None:
    """`db[k] = sum dy[..., k]`, float32: the bias's gradient by a pass of its own."""
    sums = partial_sums("conv_sums.cu", "bias_sums", 1, [spaced(dy)], REAL=number_type(dy))
    arguments = sums.values, sums.chunks, db.size, db
    launch("conv_sums.cu", "bias_totals", blocks(db.size), THREADS, *arguments)
