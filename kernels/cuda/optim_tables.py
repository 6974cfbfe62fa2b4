"""The tables with which the kernels of optim.cu find all parameters in one launch."""

import functools
from typing import Any, NamedTuple

import numpy as np

from ..types import Array

CHUNK = 2048  # values of a parameter that one block updates
POINTERS = ("w", "first", "second", "g", "rounded")
_TENSOR = np.dtype([*((name, np.uint64) for name in POINTERS), ("size", np.int64)])


class Tables(NamedTuple):
    """`Tensor` and `Chunk` of optim.cu, on the device, and the number of chunks."""

    tensors: Array
    chunks: Array
    blocks: int


@functools.lru_cache(maxsize=16)
def tables(run: Any, addresses: tuple[tuple[int, ...], ...], sizes: tuple[int, ...]) -> Tables:
    """The tables of parameters at those addresses, in the order of `POINTERS`; 0 is none.

    Cached, because the addresses seldom change.
    """
    rows = [(*pointers, size) for pointers, size in zip(addresses, sizes, strict=True)]
    chunks = [(i, chunk) for i, size in enumerate(sizes) for chunk in range(-(-size // CHUNK))]
    tensors = np.array(rows, _TENSOR).view(np.uint8)
    return Tables(run.upload(tensors), run.upload(np.array(chunks, np.int32)), len(chunks))
