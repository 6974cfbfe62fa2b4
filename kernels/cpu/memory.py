"""Memory for results, used again: a training step asks for the same arrays over and over.

A fresh array of many megabytes costs more than filling it: the system hands it out page by page, zeroed, at about a GB/s. `empty` gives
memory that a former array has left. A block is free when the pool alone refers to it: views keep their block alive, so that nobody has
to give anything back.
"""

import math
import sys
import threading

import numpy as np

ALIGNMENT = 64  # bytes: a cache line
_ITEM = {np.float32: 4, np.uint8: 1, np.int64: 8}  # bytes
FAR = 24 << 20  # bytes; an array of more does not wait in a cache for its next reader
SMALL = 1 << 12  # bytes; below, NumPy's own allocator is as good

_blocks: dict[int, list[tuple[np.ndarray, int]]] = {}  # by size; each with the first byte that is aligned
_lock = threading.Lock()
_POOL_ALONE = 3  # references to an unused block: its pair, the loop's variable, getrefcount's argument


def _rounded(size: int) -> int:
    """`size` rounded up to one of 16 steps an octave, so that arrays of nearly one size share blocks."""
    step = 1 << max(size.bit_length() - 5, 6)
    return -(-size // step) * step


def empty(shape, dtype=np.float32) -> np.ndarray:
    """An uninitialised array that starts on a cache line."""
    size = (math.prod(shape) if isinstance(shape, tuple) else int(shape)) * _ITEM[dtype]
    if size < SMALL:
        return np.empty(shape, dtype)
    size = _rounded(size)
    with _lock:
        blocks = _blocks.setdefault(size, [])
        for block, start in blocks:  # noqa: B007 - start is used after the loop
            if sys.getrefcount(block) <= _POOL_ALONE:
                break
        else:
            block = np.empty(size + ALIGNMENT, np.uint8)
            start = -block.ctypes.data % ALIGNMENT
            blocks.append((block, start))
        return np.ndarray(shape, dtype, block, start)


def is_far(a: np.ndarray, step: int = ALIGNMENT) -> bool:
    """Whether kernels should write `a` past the caches, vectors that start at multiples of `step` floats: if it is large and aligned."""
    return a.nbytes > FAR and a.ctypes.data % ALIGNMENT == 0 and 4 * step % ALIGNMENT == 0


def release() -> int:
    """Give back to the system what no array uses; returns the bytes."""
    freed = 0
    with _lock:
        for size, blocks in _blocks.items():
            used = []
            for pair in blocks:
                block, _ = pair
                if sys.getrefcount(block) > _POOL_ALONE:
                    used.append(pair)
            freed += size * (len(blocks) - len(used))
            blocks[:] = used
    return freed
