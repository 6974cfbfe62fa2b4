"""Inverted dropout: values are scaled in training, and evaluation is the identity.

Srivastava et al. 2014 scale in evaluation instead; the expectation is the same. Whether an element
is dropped depends on a hash of its position in the batch and two random keys. Only the keys are
drawn from the generator, so every backend makes the same masks, in any order and in parallel.
Within `part_of_batch` the position is that in the whole batch.
"""

import math

import numpy as np

from ..thread_state import state
from ..types import Array, Shape
from .arrays import array_module, write_to


def draw_keys(generator: np.random.Generator) -> Array:
    """Two random 32-bit numbers."""
    return generator.integers(0, 1 << 32, 2, np.uint32)


def first_position(shape: Shape) -> int:
    """The position of the first element in the whole batch, modulo 2^32."""
    return state.first_image * math.prod(shape[1:]) % 2**32


def drop_threshold(p: float) -> int:
    """The 32-bit number below which a hash means "drop", so that a fraction p is dropped."""
    return min(round(p * 2**32), 2**32 - 1)


def hash32(x: Array) -> Array:
    """A bijection of 32-bit numbers ("lowbias32", Wellons 2018).

    One bit of x changes about half of the bits of the result.
    """
    x = (x ^ x >> 16) * np.uint32(0x7FEB352D)
    x = (x ^ x >> 15) * np.uint32(0x846CA68B)
    return x ^ x >> 16


def dropout(
    x: Array, p: float, generator: np.random.Generator, out: Array | None = None
) -> tuple[Array, Array]:
    """`y = x * mask / (1 - p)`; the mask is False with probability p."""
    position = array_module(x).arange(x.size, dtype=np.uint32) + np.uint32(first_position(x.shape))
    first, second = draw_keys(generator)
    number = hash32(hash32(position ^ first) + second)
    mask = (number >= np.uint32(drop_threshold(p))).reshape(x.shape)
    return write_to(out, x * (mask * x.dtype.type(1 / (1 - p)))), mask


def dropout_grad(dy: Array, mask: Array, p: float) -> Array:
    """`dx = dy * mask / (1 - p)`."""
    return dy * (mask * dy.dtype.type(1 / (1 - p)))
