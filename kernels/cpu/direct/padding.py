"""Images with a border of zeros."""

import numpy as np

from ...geometry import PaddingPairs
from ...types import Array
from ..engine.arrays import Image, address, pixels
from ..engine.launch import kernel, task_range
from ..engine.memory import empty
from ..engine.rows import copy_pixels, fill_zeros
from ..engine.simd import FLOAT, Address
from ..engine.threads import threads_for


@kernel
def _pad(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    to: Address,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """A contiguous copy of the images with borders of zeros."""
    rows = top + x.height + bottom
    line = (left + x.width + right) * x.channels
    first, last = task_range(images * rows, task, tasks)
    for unit in range(first, last):
        n, row = unit // rows, unit % rows - top
        target = to + FLOAT * unit * line
        if not 0 <= row < x.height:
            fill_zeros(target, line)
            continue
        fill_zeros(target, left * x.channels)
        source = x.data + FLOAT * (n * x.height + row) * x.width * x.step
        target += FLOAT * left * x.channels
        copy_pixels(source, x.step, target, x.channels, x.width, x.channels)
        fill_zeros(target + FLOAT * x.width * x.channels, right * x.channels)


def padded(x: Array, padding: PaddingPairs) -> tuple[np.ndarray, int]:
    """x with its border of zeros, and its pixel step; x itself if there is no border."""
    x, step = pixels(x)
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x, step
    n, height, width, channels = x.shape
    result = empty((n, top + height + bottom, left + width + right, channels))
    source = Image(address(x), step, height, width, channels)
    tasks = threads_for(flops=2 * result.size)
    _pad(tasks, source, n, address(result), top, bottom, left, right)
    return result, channels
