"""Rows of floats: how tasks share them, filling with zeros, and copying."""

from .launch import inline, task_range
from .simd import LANES, ROWS, Address, load_part, store, store_part
from .simd.functions import constant


@inline
def span(n: int, task: int, tasks: int, multiple: int = LANES) -> tuple[int, int]:
    """The range [first, last) of n items that belongs to `task`.

    It has a multiple of `multiple` items, such as floats in whole vectors, but for the end.
    """
    first, last = task_range((n + multiple - 1) // multiple, task, tasks)
    return first * multiple, min(last * multiple, n)


def even_block(count: int, tasks: int, most: int, multiple: int = ROWS) -> int:
    """At most `most` of `count` rows, a multiple of `multiple`: all tasks get equally many blocks.

    By default these are whole register tiles.
    """
    rounds = -(-count // (tasks * most))
    return -(-count // (tasks * rounds * multiple)) * multiple


@inline
def fill_zeros(p: Address, n: int) -> None:
    """p[:n] = 0."""
    for i in range(0, n, LANES):
        store_part(p, i, constant(0.0), n - i)


@inline
def copy(source: Address, target: Address, n: int) -> None:
    """target[:n] = source[:n]; up to LANES - 1 floats after target[:n] are overwritten."""
    for i in range(0, n, LANES):
        store(target, i, load_part(source, i, n - i))


@inline
def copy_pixels(
    source: Address, source_step: int, target: Address, target_step: int, count: int, channels: int
) -> None:
    """Copy a row of pixels `(count, channels)` between arrays of any pixel steps."""
    if source_step == target_step == channels:
        count, channels = 1, count * channels
    for q in range(count):
        for c in range(0, channels, LANES):
            v = load_part(source, q * source_step + c, channels - c)
            store_part(target, q * target_step + c, v, channels - c)
