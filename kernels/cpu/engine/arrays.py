"""Arrays as kernels take them: float32, an address, and the distance of one pixel from the next."""

import ctypes

import numpy as np

from ... import geometry

_pointer_at = ctypes.c_size_t.from_address
_HEADER = (
    object.__basicsize__
)  # bytes of any object's header; in an array the pointer to its data is what follows


def address(a: np.ndarray) -> int:
    """Where the array's first element lies in memory. The caller keeps the array alive while a kernel works on it.

    A quarter of a microsecond, where `a.ctypes.data` takes one: a step of a small network asks some hundred times.
    """
    return _pointer_at(id(a) + _HEADER).value


if (
    address(_probe := np.empty(1)) != _probe.ctypes.data
):  # another layout of objects than CPython's usual one

    def address(a: np.ndarray) -> int:
        """Where the array's first element lies in memory. The caller keeps the array alive while a kernel works on it."""
        return a.ctypes.data


def is_contiguous(a: np.ndarray) -> bool:
    """Whether kernels can take `a` as it is."""
    return a.dtype == np.float32 and a.flags.c_contiguous


def contiguous(a: np.ndarray) -> np.ndarray:
    """`a`, or a float32 copy without gaps."""
    return a if is_contiguous(a) else np.ascontiguousarray(a, np.float32)


def pixel_step(a: np.ndarray) -> int:
    """The distance in floats from one pixel to the next, or 0 if kernels cannot take `a` as it is: see `geometry.pixel_step`."""
    return geometry.pixel_step(a) if a.dtype == np.float32 else 0


def pixels(a: np.ndarray) -> tuple[np.ndarray, int]:
    """`a` and its pixel step; a copy without gaps if it has none."""
    step = pixel_step(a)
    if step:
        return a, step
    a = np.ascontiguousarray(a, np.float32)
    return a, a.shape[-1]
