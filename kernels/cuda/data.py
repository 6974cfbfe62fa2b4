"""Batches from a data set that lies on the device."""

import numpy as np

from .device import DIVISOR, THREADS, blocks, divisor, launch, runtime

_SIZES = ("height", "width", "channels", "image_height", "image_width", "image_channels", "top", "left")
FRAME = np.dtype([(name, np.int32) for name in _SIZES] + [(name, DIVISOR) for name in ("by_channels", "by_width", "by_height")])


def batch(images, labels, order, first: int, count: int, size, factor, shift):
    """Images `order[first : first + count]` of a set on the device, `(count, *size, channels)` float32, and their labels.

    images: uint8 `(N, h, w, c)`, centred in black; grey ones are repeated. labels: int64. order: int32. All on the device.
    size: (H, W). factor, shift: float32 `(channels,)`: x = pixel * factor - shift.
    """
    _, h, w, c = images.shape
    (height, width), channels = size, len(factor)
    x, chosen = runtime().empty((count, height, width, channels), np.float32), runtime().empty((count,), np.int64)
    sizes = height, width, channels, h, w, c, (height - h) // 2, (width - w) // 2
    frame = np.array([(*sizes, divisor(channels), divisor(width), divisor(height))], FRAME)
    launch("data.cu", "batch", blocks(x.size), THREADS, images, order, first, factor, shift, x, frame, x.size)
    launch("data.cu", "labels_of", blocks(count), THREADS, labels, order, first, chosen, count)
    return x, chosen
