"""Dropout in one pass over memory.

The mask is a hash of the position and two keys, so it needs no array of random numbers. It is kept
as bytes for the gradient.
"""

import numpy as np

from ..reference.dropout import draw_keys, drop_threshold, first_position
from ..types import Array
from .engine.arrays import address, contiguous, expect_shape, output_array, write_to
from .engine.launch import kernel
from .engine.memory import empty
from .engine.rows import span
from .engine.simd import (
    LANES,
    Address,
    bernoulli_mask,
    load_bytes_part,
    load_part,
    splat,
    store_bytes_part,
    store_part,
)
from .engine.threads import threads_for


@kernel
def _dropout(
    task: int,
    tasks: int,
    x: Address,
    size: int,
    position: int,
    first_key: int,
    second_key: int,
    least: int,
    scale: float,
    y: Address,
    keep: Address,
) -> None:
    """y = x * scale and keep = 1 where the hash is at least `least`; both 0 elsewhere.

    position: that of the first element, which is hashed.
    """
    first, last = span(size, task, tasks)
    for i in range(first, last, LANES):
        n, kept = last - i, bernoulli_mask(position + i, first_key, second_key, least)
        store_bytes_part(keep, i, kept, n)
        store_part(y, i, load_part(x, i, n) * (kept * splat(scale)), n)


@kernel
def _dropout_grad(
    task: int, tasks: int, dy: Address, size: int, keep: Address, scale: float, dx: Address
) -> None:
    """dx = dy * scale where keep is 1, else 0."""
    first, last = span(size, task, tasks)
    for i in range(first, last, LANES):
        n = last - i
        factor = load_bytes_part(keep, i, n) * splat(scale)
        store_part(dx, i, load_part(dy, i, n) * factor, n)


def dropout(
    x: Array, p: float, generator: np.random.Generator, out: Array | None = None
) -> tuple[Array, Array]:
    """See `reference.dropout`."""
    x = contiguous(x)
    y, keep = output_array(out, x.shape), empty(x.shape, np.uint8)
    first, second = map(int, draw_keys(generator))
    _dropout(
        threads_for(bytes=x.nbytes),
        address(x),
        x.size,
        first_position(x.shape),
        first,
        second,
        drop_threshold(p),
        1 / (1 - p),
        address(y),
        address(keep),
    )
    return write_to(out, y), keep.view(np.bool_)


def dropout_grad(dy: Array, mask: Array, p: float) -> Array:
    """See `reference.dropout_grad`."""
    expect_shape("dropout_grad: dy", dy, mask.shape)
    dy, mask = contiguous(dy), np.ascontiguousarray(mask, np.bool_)
    dx = empty(dy.shape)
    _dropout_grad(
        threads_for(bytes=dy.nbytes), address(dy), dy.size, address(mask), 1 / (1 - p), address(dx)
    )
    return dx
