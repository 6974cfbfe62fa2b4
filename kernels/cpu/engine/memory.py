"""Memory for results, used again: a training step asks for the same arrays over and over.

A fresh array of many megabytes costs more than filling it: the system hands it out page by page, zeroed, at about a GB/s. `empty` gives
memory that a former array has left. A block is free when the pool alone refers to it: views keep their block alive, so that nobody has
to give anything back.

Small blocks wait by size for the next array of theirs. Large ones are cut from a range of addresses as long as the machine's memory, at
the smallest gap that is large enough, and leave a gap that the next may share with its neighbors: a step needs little more memory than
its arrays do at the same time. Pages that nothing has ever lain on take none.
"""

import contextlib
import ctypes
import math
import mmap
import os
import sys
import threading

import numpy as np

ALIGNMENT = 64  # bytes: a cache line
APART = (
    5 * ALIGNMENT
)  # bytes behind a large block: at whole pages apart, equal places of all blocks would share sets of the caches
_ITEM = {np.float32: 4, np.uint8: 1, np.int64: 8}  # bytes
SMALL = 1 << 12  # bytes; below, NumPy's own allocator is as good
LARGE = 1 << 21  # bytes
FAR = 24 << 20  # bytes; an array of more does not wait in a cache for its next reader
LEAST_ARENA = 1 << 28  # bytes

_blocks: dict[
    int, list[tuple[np.ndarray, int]]
] = {}  # small ones by size; each with the first byte that is aligned
_arenas: list["Arena"] = []
_lock = threading.Lock()
_POOL_ALONE = (
    3  # references to an unused block: its tuple, the loop's variable, getrefcount's argument
)


class Arena:
    """A range of addresses and the large blocks in it, in order: (first byte, end, block)."""

    def __init__(self, size: int):
        private = (
            {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
        )
        self.size, self.memory = size, mmap.mmap(-1, size, **private)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without them
                self.memory.madvise(mmap.MADV_HUGEPAGE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.used: list[tuple[int, int, ctypes.Array]] = []
        self.reached = 0  # bytes from the start that blocks have lain on

    def take(self, size: int):
        """A block at the smallest gap that holds it, or None; blocks that nobody uses any more make gaps."""
        used, end, best = [], 0, (math.inf, 0, 0)  # length, first byte, position in the list
        for entry in self.used:
            first, last, block = entry
            if sys.getrefcount(block) <= _POOL_ALONE:
                continue
            if size <= first - end < best[0]:
                best = first - end, end, len(used)
            used.append(entry)
            end = last
        self.used = used
        if best[0] == math.inf:
            best = self.size - end, end, len(used)
        length, first, position = best
        if length < size:
            return None
        block = (ctypes.c_char * size).from_address(self.address + first)
        used.insert(position, (first, first + size, block))
        self.reached = max(self.reached, first + size)
        return block

    def release(self) -> int:
        """Give the pages of the gaps back to the system; returns their bytes."""
        self.used = [entry for entry in self.used if sys.getrefcount(entry[2]) > _POOL_ALONE - 1]
        ends = [0, *(last for _, last, _ in self.used)]
        gaps = [
            (end, first - end)
            for end, first in zip(
                ends, [*(first for first, _, _ in self.used), self.reached], strict=True
            )
        ]
        self.reached = ends[-1]
        for first, length in gaps:
            page = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
            if hasattr(mmap, "MADV_DONTNEED") and first + length >= page + mmap.PAGESIZE:
                self.memory.madvise(
                    mmap.MADV_DONTNEED,
                    page,
                    (first + length - page) // mmap.PAGESIZE * mmap.PAGESIZE,
                )
        return sum(length for _, length in gaps)


def _rounded(size: int) -> int:
    """`size` rounded up to one of 16 steps an octave, so that arrays of nearly one size share blocks."""
    step = 1 << max(size.bit_length() - 5, 6)
    return -(-size // step) * step


def empty(shape, dtype=np.float32) -> np.ndarray:
    """An uninitialized array that starts on a cache line."""
    size = (math.prod(shape) if isinstance(shape, tuple) else int(shape)) * _ITEM[dtype]
    if size < SMALL:
        return np.empty(shape, dtype)
    if size >= LARGE:
        return np.ndarray(shape, dtype, _large_block(-(-size // ALIGNMENT) * ALIGNMENT + APART))
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


def _large_block(size: int):
    with _lock:
        for arena in _arenas:
            block = arena.take(size)
            if block is not None:
                return block
        _arenas.append(_new_arena(size))
        return _arenas[-1].take(size)


def _new_arena(size: int) -> Arena:
    """An arena as long as the machine's memory, or as the system will give; on Windows, which counts what is not used yet, a short one."""
    longest = (
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if hasattr(os, "sysconf")
        else LEAST_ARENA
    )
    while longest > max(size, LEAST_ARENA):
        try:
            return Arena(longest)
        except OSError:
            longest = longest // 2 // mmap.PAGESIZE * mmap.PAGESIZE
    return Arena(max(size, LEAST_ARENA))


def is_far(a: np.ndarray, step: int = ALIGNMENT) -> bool:
    """Whether kernels should write `a` past the caches, vectors that start at multiples of `step` floats: if it is large and aligned."""
    return a.nbytes > FAR and a.ctypes.data % ALIGNMENT == 0 and 4 * step % ALIGNMENT == 0


def release() -> int:
    """Give back to the system what no array uses; returns the bytes."""
    with _lock:
        freed = sum(arena.release() for arena in _arenas)
        for size, blocks in _blocks.items():
            used = []
            for pair in blocks:
                block, _ = pair
                if sys.getrefcount(block) > _POOL_ALONE:
                    used.append(pair)
            freed += size * (len(blocks) - len(used))
            blocks[:] = used
    return freed
