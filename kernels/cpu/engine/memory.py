"""A pool of reusable buffers for results: a training step asks for the same arrays over and over.

A fresh array of many megabytes costs more than filling it: the system hands it out page by page,
zeroed, at about 1 GB/s. `empty` reuses the memory of an earlier array. A block is free once only
the pool refers to it. Views keep their block alive, so arrays need not be returned explicitly.

Small blocks are kept in lists by size. Large blocks are cut from an arena, a range of addresses as
long as the machine's memory, at the smallest gap that is large enough. Neighboring gaps merge, so a
step needs little more memory than the arrays that are alive at the same time. Pages that were never
written take no memory.
"""

import contextlib
import ctypes
import itertools
import math
import mmap
import os
import sys
import threading

import numpy as np

Shape = int | tuple[int, ...]

ALIGNMENT = 64  # bytes: a cache line
CACHE_LINE_FLOATS = ALIGNMENT // 4
# Bytes by which blocks are shifted against each other. At distances of whole pages, equal places of
# all blocks would fall into the same cache sets, and a load would wait for a store to another block
# whose address ends in the same 12 bits: it might be to the same place.
BLOCK_GAP = 5 * ALIGNMENT
PAGE = 4096  # bytes: addresses are compared within it
_ITEM_SIZE: dict[type, int] = {np.float32: 4, np.uint8: 1, np.int64: 8}
SMALL = 1 << 12  # bytes; below, NumPy's own allocator is as good
SHIFTED = 1 << 16  # bytes; from here on blocks begin at different places of a page
LARGE = 1 << 21  # bytes; from here on blocks lie in an arena
NON_TEMPORAL_BYTES = 24 << 20  # a larger array does not stay in a cache until it is read
MIN_ARENA = 1 << 28  # bytes

# By size: (block, first aligned byte). Sizes that round to the same one share a list.
_blocks: dict[int, list[tuple[np.ndarray, int]]] = {}
_shifts = itertools.count()
_arenas: list["Arena"] = []
_lock = threading.Lock()


def _count_references(entries: list) -> int:
    """What getrefcount says for a block to which only its entry refers, asked as the pool asks.

    Python versions count differently (3.14 counts one less for local variables), so the number is
    measured. If it does not rise while an array uses the block, no block is ever free.
    """
    counts = [sys.getrefcount(entry[0]) for entry in entries]
    arrays = [np.ndarray(1, np.uint8, entry[0]) for entry in entries]
    in_use = [sys.getrefcount(entry[0]) for entry in entries]
    del arrays
    reliable = len(set(counts)) == 1 and min(in_use) > counts[0]
    return counts[0] if reliable else 0


UNUSED = _count_references([(np.empty(1, np.uint8), 0), ((ctypes.c_char * 1)(), 0)])


class Arena:
    """A range of addresses and the large blocks in it, in order: (block, first byte, end)."""

    def __init__(self, size: int) -> None:
        private = (
            {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
        )
        self.size, self.memory = size, mmap.mmap(-1, size, **private)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a system without them
                self.memory.madvise(mmap.MADV_HUGEPAGE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.used: list[tuple[ctypes.Array, int, int]] = []
        self.reached = 0  # bytes from the start that blocks have lain on

    def take(self, size: int) -> ctypes.Array | None:
        """A block in the smallest gap that holds it, or None. Unused blocks become gaps first."""
        used: list[tuple[ctypes.Array, int, int]] = []
        end, best = 0, (math.inf, 0, 0)  # length, first byte, position in the list
        for entry in self.used:
            if sys.getrefcount(entry[0]) <= UNUSED:
                continue
            if size <= entry[1] - end < best[0]:
                best = entry[1] - end, end, len(used)
            used.append(entry)
            end = entry[2]
        self.used = used
        if best[0] == math.inf:
            best = self.size - end, end, len(used)
        length, first, position = best
        if length < size:
            return None
        block = self.block(first, size)
        used.insert(position, (block, first, first + size))
        self.reached = max(self.reached, first + size)
        return block

    def block(self, first: int, size: int) -> ctypes.Array:
        """The memory from byte `first` on."""
        return (ctypes.c_char * size).from_address(self.address + first)

    def release(self) -> int:
        """Return the pages of the gaps to the system. Returns their size in bytes."""
        used = []
        for entry in self.used:
            if sys.getrefcount(entry[0]) > UNUSED:
                used.append(entry)
        self.used = used
        ends = [0, *(end for _, _, end in used)]
        starts = [*(first for _, first, _ in used), self.reached]
        gaps = [(end, first - end) for end, first in zip(ends, starts, strict=True)]
        self.reached = ends[-1]
        for first, length in gaps:
            page = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
            whole = (first + length - page) // mmap.PAGESIZE * mmap.PAGESIZE
            if hasattr(mmap, "MADV_DONTNEED") and whole > 0:
                self.memory.madvise(mmap.MADV_DONTNEED, page, whole)
        return sum(length for _, length in gaps)


def rounded(size: int) -> int:
    """`size` rounded up to one of 16 steps per octave: arrays of similar size share blocks."""
    step = 1 << max(size.bit_length() - 5, 6)
    return -(-size // step) * step


def block_size(size: int) -> int:
    """The bytes of the block for an array of `size` bytes, with room to shift it."""
    if size >= LARGE:
        return -(-size // PAGE) * PAGE + BLOCK_GAP
    return rounded(size) + (PAGE if size >= SHIFTED else ALIGNMENT)


def empty(shape: Shape, dtype: type = np.float32) -> np.ndarray:
    """An uninitialized array that starts on a cache line. Raises MemoryError."""
    size = (math.prod(shape) if isinstance(shape, tuple) else int(shape)) * _ITEM_SIZE[dtype]
    if size < SMALL:
        return np.empty(shape, dtype)
    try:
        if size >= LARGE:
            block = _large_block(block_size(size))
            return np.ndarray(shape, dtype, block)  # type: ignore[arg-type]
        return _small_array(shape, dtype, size)
    except (OSError, OverflowError, MemoryError) as error:
        raise MemoryError(
            f"out of memory: an array of shape {shape} and type {np.dtype(dtype)} takes"
            f" {size:,} bytes, and the system gives no more"
        ) from error


def _small_array(shape: Shape, dtype: type, size: int) -> np.ndarray:
    """An array of `size` bytes in a free block of about that size, or in a new one.

    It is made under the lock: from then on its reference marks the block as used.
    """
    with _lock:
        blocks = _blocks.get(size)
        if blocks is None:
            blocks = _blocks[size] = _blocks.setdefault(rounded(size), [])
        for entry in blocks:
            if sys.getrefcount(entry[0]) <= UNUSED:
                break
        else:
            block = np.empty(block_size(size), np.uint8)
            within = PAGE if size >= SHIFTED else ALIGNMENT
            entry = block, (next(_shifts) * BLOCK_GAP - block.ctypes.data) % within
            blocks.append(entry)
        return np.ndarray(shape, dtype, *entry)


def _large_block(size: int) -> ctypes.Array:
    with _lock:
        for arena in _arenas:
            block = arena.take(size)
            if block is not None:
                return block
        arena = _new_arena(size)
        _arenas.append(arena)
        block = arena.take(size)
        assert block is not None
        return block


def _new_arena(size: int) -> Arena:
    """An arena as long as the machine's memory, or the longest that the system grants.

    Windows reserves memory when it is asked for, not when it is used: a short one there.
    """
    longest = (
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if hasattr(os, "sysconf")
        else MIN_ARENA
    )
    while longest > max(size, MIN_ARENA):
        try:
            return Arena(longest)
        except OSError:
            longest = longest // 2 // mmap.PAGESIZE * mmap.PAGESIZE
    try:
        return Arena(max(size, MIN_ARENA))
    except OSError:
        return Arena(size)


def non_temporal(a: np.ndarray, step: int = ALIGNMENT) -> bool:
    """True if kernels should write `a` with non-temporal stores: it is large and aligned.

    Vectors must start at multiples of `step` floats.
    """
    if a.nbytes <= NON_TEMPORAL_BYTES:
        return False
    return a.ctypes.data % ALIGNMENT == 0 and 4 * step % ALIGNMENT == 0


def release() -> int:
    """Return all memory that no array uses to the system. Returns its size in bytes."""
    with _lock:
        freed = sum(arena.release() for arena in _arenas)
        for blocks in _blocks.values():
            before, used = sum(block.nbytes for block, _ in blocks), []
            for entry in blocks:
                if sys.getrefcount(entry[0]) > UNUSED:
                    used.append(entry)
            freed += before - sum(block.nbytes for block, _ in used)
            blocks[:] = used
    return freed
