"""Rows of floats that kernels fill with zeros and copy."""

from .launch import inline
from .simd import LANES, Address, load_part, store, store_part
from .simd.functions import constant


@inline
def fill_zeros(p: Address, n: int) -> None:
    """p[:n] = 0."""
    for i in range(0, n, LANES):
        store_part(p, i, constant(0.0), n - i)


@inline
def copy(source: Address, target: Address, n: int) -> None:
    """target[:n] = source[:n]; up to LANES - 1 floats behind the target's end are overwritten."""
    for i in range(0, n, LANES):
        store(target, i, load_part(source, i, n - i))


@inline
def copy_pixels(
    source: Address, source_step: int, target: Address, target_step: int, count: int, channels: int
) -> None:
    """Copy a row of pixels between arrays whose distances between pixels may differ."""
    if source_step == target_step == channels:
        count, channels = 1, count * channels
    for q in range(count):
        for c in range(0, channels, LANES):
            v = load_part(source, q * source_step + c, channels - c)
            store_part(target, q * target_step + c, v, channels - c)
