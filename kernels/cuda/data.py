"""Batches of bytes on the device become the input of a network."""

import numpy as np

from ..types import Array, Pair
from .device import DIVISOR, THREADS, blocks, divisor, launch, runtime

_SIZES = ("height", "width", "channels", "image_height", "image_width", "image_channels")
_INTS = (*_SIZES, "top", "left")
_DIVISORS = ("by_channels", "by_width", "by_height")
FRAME = np.dtype([(name, np.int32) for name in _INTS] + [(name, DIVISOR) for name in _DIVISORS])


def normalized(
    images: Array,
    size: Pair,
    factor: Array,
    shift: Array,
    order: Array | None = None,
    first: int = 0,
    count: int | None = None,
) -> Array:
    """Images `order[first : first + count]`, framed and normalized.

        x = pixel * factor - shift

    Args:
        images: uint8 `(N, h, w, c)`, centered in black; gray images are repeated per channel.
        size: (H, W) of the batch.
        factor, shift: float32 `(C,)`.
        order: int32 `(N,)`, the order of the images; None for their own.
        first, count: the part of it to take; by default all.

    Returns x float32 `(count, H, W, C)`, with the bits of `Preprocess` on the host.
    """
    run, (n, h, w, c) = runtime(), images.shape
    (height, width), channels, count = size, len(factor), n if count is None else count
    x = run.empty((count, height, width, channels), np.float32)
    sizes = height, width, channels, h, w, c, (height - h) // 2, (width - w) // 2
    frame = np.array([(*sizes, divisor(channels), divisor(width), divisor(height))], FRAME)
    arguments = images, order, first, factor, shift, x, frame, x.size
    launch("data.cu", "batch", blocks(x.size), THREADS, *arguments)
    return x


def chosen_labels(labels: Array, order: Array, first: int, count: int) -> Array:
    """The labels `order[first : first + count]` of a data set, int64."""
    chosen = runtime().empty((count,), np.int64)
    launch("data.cu", "gather_labels", blocks(count), THREADS, labels, order, first, chosen, count)
    return chosen
