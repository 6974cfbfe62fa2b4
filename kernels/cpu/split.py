"""Float32 convolutions of three products of bfloat16 numbers, `algorithm("split")`.

    x = x1 + x2 + e: x1 is x, rounded to bfloat16, x2 is x - x1, rounded; |e| <= 2^-18 |x|
    x w = x1 w1 + x1 w2 + x2 w1 + (x2 w2 and products with e: 2^-17 and less of x w)

The three sums are one that is three times as deep: of [x1, x1, x2] and [w1, w2, w1]. So these
passes are those of bfloat16.py, on arrays with three times the size of the axis of the sum:

| pass            | sums over                |
|-----------------|--------------------------|
| forward         | channels of each group   |
| input gradient  | filters of each group    |
| weight gradient | images, and their pixels |

The relative error is 5e-6 in the L2 norm. AVX-512's bfloat16 products are twice as many per cycle
as float32's, which three of them cannot gain from. Matrix units have ten times as many. Nobody has
measured this there, so it is never chosen, only forced. An infinite number becomes NaN: its x2 is
infinity minus infinity. (Henry, Tang and Heinecke 2019, arXiv:1904.06376.)
"""

import math

import numpy as np

from ..geometry import Window
from ..types import Array, Shape
from . import bfloat16
from .engine.arrays import address, contiguous
from .engine.launch import kernel, task_range
from .engine.memory import empty
from .engine.simd import FLOAT, LANES, Address, load_part, store_part
from .engine.simd.functions import constant
from .engine.simd.pairs import pair
from .engine.threads import threads_for

CHUNK = 1 << 12  # floats that a task splits at a time
LEFT, RIGHT = 2, 1  # the place of the remainders in each factor


@kernel
def _split(task: int, tasks: int, x: Address, rows: int, size: int, low: int, to: Address) -> None:
    """Rows `(3, size)` of the rounded numbers of x `(rows, size)`, at `low` of the remainders."""
    chunks = (size + CHUNK - 1) // CHUNK
    first, last = task_range(rows * chunks, task, tasks)
    for unit in range(first, last):
        row, start = unit // chunks, unit % chunks * CHUNK
        for i in range(start, min(start + CHUNK, size), LANES):
            v = load_part(x, row * size + i, size - i)
            rounded = pair(constant(0.0), v)  # the upper half of a float, and zeros
            for part in range(3):
                value = v - rounded if part == low else rounded
                store_part(to + FLOAT * (3 * row + part) * size, i, value, size - i)


def _thirds(a: Array, rows: int, low: int, shape: Shape) -> Array:
    """a, of `rows` rows, as rows of three parts, in that shape."""
    a, to = contiguous(a), empty(shape)
    tasks = threads_for(bytes=16 * a.size)
    _split(tasks, address(a), rows, a.size // rows, low, address(to))
    return to


def conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    groups: int,
    bounds: int,
    y: Array,
) -> None:
    """See `direct.conv2d`. The channels of a group are even in number."""
    (*pixels, channels), (*area, depth, filters) = x.shape, w.shape
    images = _thirds(x, math.prod(pixels) * groups, LEFT, (*pixels, 3 * channels))
    weights = _thirds(w, math.prod(area), RIGHT, (*area, 3 * depth, filters))
    bfloat16.conv2d(images, weights, scale, b, geometry, groups, bounds, y)


def conv2d_grad_input(dy: Array, w: Array, geometry: Window, groups: int, dx: Array) -> None:
    """See `direct.conv2d_grad_input`. The filters of a group are even in number."""
    (*pixels, filters), (*cells, _) = dy.shape, w.shape
    gradients = _thirds(dy, math.prod(pixels) * groups, LEFT, (*pixels, 3 * filters))
    weights = _thirds(w, math.prod(cells) * groups, RIGHT, (*cells, 3 * filters))
    bfloat16.conv2d_grad_input(gradients, weights, geometry, groups, dx)


def conv2d_grad_weight(
    dy: Array, x: Array, geometry: Window, groups: int, dw: Array, db: Array
) -> None:
    """See `direct.conv2d_grad_weight`."""
    gradients, images = (
        _thirds(a, 1, low, (3 * len(a), *a.shape[1:])) for a, low in ((dy, LEFT), (x, RIGHT))
    )
    bfloat16.conv2d_grad_weight(gradients, images, geometry, groups, dw, db)
    db[...] = dy.sum(axis=(0, 1, 2), dtype=np.float64)  # of the parts, it would have x1 twice
