"""From pixels to the input of a network, in one pass over memory."""

import math

import numpy as np

from ..types import Array
from .activation import at_least
from .engine.arrays import address
from .engine.launch import kernel
from .engine.memory import empty, non_temporal
from .engine.simd import LANES, Address, fence, load, load_bytes_part, splat, store_nt_part


@kernel
def _normalize(
    task: int,
    tasks: int,
    pixels: Address,
    size: int,
    factors: Address,
    shifts: Address,
    period: int,
    least: float,
    y: Address,
    nt: bool,
) -> None:
    """y = pixel * factor - shift; factors and shifts repeat after `period` elements.

    least: -inf. The maximum with it keeps the compiler from a fused multiply-add, which would round
    once where NumPy rounds twice.
    """
    for i in range(0, size, period):
        for j in range(0, period, LANES):
            n = size - i - j
            product = load_bytes_part(pixels, i + j, n) * load(factors, j)
            store_nt_part(y, i + j, at_least(product, splat(least)) - load(shifts, j), n, nt)
    fence()


def normalize(images: Array, factor: Array, shift: Array) -> Array:
    """y = pixel * factor - shift, by one thread: batches are made beside the training step.

    images: uint8 `(n, h, w, C)`. factor, shift: float32 `(C,)`. y: float32 `(n, h, w, C)`, equal to
    NumPy's to the last bit.
    """
    images, channels = np.ascontiguousarray(images), images.shape[-1]
    y = empty(images.shape)
    factors, shifts = np.tile(factor, LANES), np.tile(shift, LANES)
    pattern = address(factors), address(shifts), LANES * channels
    out = address(y), non_temporal(y, LANES)
    _normalize(1, address(images), images.size, *pattern, -math.inf, *out)
    return y
