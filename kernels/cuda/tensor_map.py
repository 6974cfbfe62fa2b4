"""The description of an array that Hopper's copying unit (TMA) reads, a structure of the driver."""

import ctypes
import sys

import numpy as np

from ..types import Shape

SIZE, ALIGNMENT = 128, 64  # bytes of CUtensorMap
BFLOAT16, NO_INTERLEAVING, SWIZZLE_128, PROMOTE_256, ZEROS = 9, 0, 3, 3, 0  # cuda.h


def tensor_map(address: int, shape: Shape, box: Shape) -> np.ndarray:
    """The structure CUtensorMap of a bfloat16 array (N, H, W, C) that is copied in boxes.

    The rows of a box are 128 bytes, whose chunks of 16 are swizzled. What is outside of the array
    is zero. Raises RuntimeError if the driver returns an error.
    """
    driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    memory = np.zeros(SIZE + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    found = memory[start : start + SIZE]
    sizes = np.array(shape[::-1], np.uint64)
    steps = (2 * np.cumprod(sizes)[:3]).astype(np.uint64)  # in bytes, from axis to axis
    boxes, ones = np.array(box[::-1], np.uint32), np.ones(4, np.uint32)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (sizes, steps, boxes, ones)]
    kinds = NO_INTERLEAVING, SWIZZLE_128, PROMOTE_256, ZEROS
    target, source = ctypes.c_void_p(found.ctypes.data), ctypes.c_void_p(address)
    code = driver.cuTensorMapEncodeTiled(target, BFLOAT16, 4, source, *pointers, *kinds)
    if code:
        raise RuntimeError(f"cuTensorMapEncodeTiled: error {code} for boxes {box} of {shape}")
    return found.view(np.dtype((np.void, SIZE)))
