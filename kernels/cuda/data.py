"""Batches from a data set that is kept on the device."""

import numpy as np

from ..types import Array, Pair
from .device import DIVISOR, THREADS, blocks, divisor, launch, runtime

_SIZES = ("height", "width", "channels", "image_height", "image_width", "image_channels")
_INTS = (*_SIZES, "top", "left")
_DIVISORS = ("by_channels", "by_width", "by_height")
FRAME = np.dtype([(name, np.int32) for name in _INTS] + [(name, DIVISOR) for name in _DIVISORS])


def batch(
    images: Array,
    labels: Array,
    order: Array,
    first: int,
    count: int,
    size: Pair,
    factor: Array,
    shift: Array,
) -> tuple[Array, Array]:
    """Images `order[first : first + count]` of a data set on the device, and their labels.

        x = pixel * factor - shift

    Args:
        images: uint8 `(N, h, w, c)`, centered in black; gray images are repeated per channel.
        labels: int64 `(N,)`.
        order: int32 `(N,)`, the order of the images.
        first, count: the part of `order` to take.
        size: (H, W) of the batch.
        factor, shift: float32 `(C,)`.

    Returns x float32 `(count, H, W, C)` and the labels `(count,)`.
    """
    run, (_, h, w, c) = runtime(), images.shape
    (height, width), channels = size, len(factor)
    x = run.empty((count, height, width, channels), np.float32)
    chosen = run.empty((count,), np.int64)
    sizes = height, width, channels, h, w, c, (height - h) // 2, (width - w) // 2
    frame = np.array([(*sizes, divisor(channels), divisor(width), divisor(height))], FRAME)
    arguments = images, order, first, factor, shift, x, frame, x.size
    launch("data.cu", "batch", blocks(x.size), THREADS, *arguments)
    launch("data.cu", "gather_labels", blocks(count), THREADS, labels, order, first, chosen, count)
    return x, chosen
