"""What the twins share: how many blocks cover an array."""

from ..reference.arrays import array_module

THREADS = 128


def blocks(count: int, each: int = THREADS) -> int:
    """How many blocks of `each` threads cover `count`."""
    return -(-count // each)


def contiguous(a):
    """`a` in the order of memory, in its own type."""
    return array_module(a).ascontiguousarray(a)
