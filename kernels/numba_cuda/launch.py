"""What the twins share: how many blocks cover an array."""

from ..reference.arrays import array_module
from ..types import Array

THREADS = 128


def blocks(count: int, each: int = THREADS) -> int:
    """How many blocks of `each` threads cover `count`."""
    return -(-count // each)


def contiguous(a: Array) -> Array:
    """`a` in C order, in its own type."""
    return array_module(a).ascontiguousarray(a)
