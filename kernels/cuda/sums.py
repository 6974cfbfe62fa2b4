"""Sums over the pixels of every channel: how many threads and chunks do them."""

import numpy as np

from .arrays import empty, pixel_step, vector_width
from .device import launch, runtime


def partial_sums(file: str, kernel: str, sums: int, arrays, *arguments, **defines):
    """Run a kernel built on `column_sums` over `arrays` (of one shape, evenly spaced); returns its partial sums and their chunks.

    Arrays among the arguments have a number for each channel.
    """
    x = arrays[0]
    channels = x.shape[-1]
    count = x.size // channels
    steps = [pixel_step(a) for a in arrays]
    v = vector_width(channels, *arrays, parameters=[a for a in arguments if getattr(a, "ndim", 0)])
    columns = min(32, 1 << (-(-channels // v) - 1).bit_length())
    rows = 256 // columns
    across = -(-channels // (columns * v))
    chunks = max(1, min(-(-count // (4 * rows)), 8 * runtime().processors // across))
    partial = empty(x, (chunks, sums, channels), np.float32)
    steady = [item for pair in zip(arrays, steps, strict=True) for item in pair]
    shared = rows * sums * columns * v * 4
    launch(file, kernel, (across, chunks), (columns, rows), *steady, count, channels, *arguments, partial, shared=shared, V=v, **defines)
    return partial, chunks
