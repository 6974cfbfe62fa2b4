"""Arrays as the kernels take them: float32 or bfloat16, in C order, with or without gaps.

A gap is between pixels, as in a slice of channels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..geometry import pixel_step
from ..types import Array, Shape
from .device import NUMBER_TYPES, counted, pixels, runtime


def empty(x: Array, shape: Shape, dtype: DTypeLike | None = None) -> Array:
    """An uninitialized array on the device, of the type of x unless `dtype` names another."""
    return runtime().empty(tuple(shape), dtype or x.dtype)


def number_type(x: Array) -> str:
    """The C name of x's element type. Raises TypeError for a type that no kernel takes."""
    found = NUMBER_TYPES.get(x.dtype.name)
    if found is None:
        expected = " and ".join(NUMBER_TYPES)
        raise TypeError(f"the cuda backend computes in {expected}; this array is {x.dtype}")
    return found


def options(x: Array, v: int = 1) -> dict[str, Any]:
    """The options REAL and V with which kernels on arrays like x are compiled."""
    return {"REAL": number_type(x), "V": v}


def contiguous(a: Array) -> Array:
    """`a`, or a copy without gaps."""
    return a if a.flags.c_contiguous else a.copy(order="C")


def spaced(a: Array) -> Array:
    """`a` if its pixels are evenly spaced in memory, else a copy without gaps."""
    return a if pixel_step(a) else a.copy(order="C")


def optional(a: Array | None) -> tuple[Array | None, int]:
    """`spaced(a)` and its pixel step; None and 0 for None."""
    if a is None:
        return None, 0
    a = spaced(a)
    return a, pixel_step(a)


def output_array(out: Array | None, x: Array, shape: Shape) -> Array:
    """The array that a kernel writes to: `out` if the kernel can, else a new one of the type of x.

    `write_to(out, y)` follows.
    """
    if out is not None and out.shape == tuple(shape) and out.dtype == x.dtype and pixel_step(out):
        return out
    return empty(x, shape)


def parameter(a: Array | None) -> Array | None:
    """A parameter or statistic without gaps. Raises TypeError for any type but float32."""
    if a is None:
        return None
    if a.dtype != np.float32:
        raise TypeError(f"the cuda backend keeps parameters in float32; this one is {a.dtype}")
    return contiguous(a)


def layout(*arrays: Array) -> tuple[int, int, list[np.ndarray]]:
    """How kernels walk through arrays of one shape together.

    Returns V (see `vector_width`), the number of vectors, and the structure `Pixels` of each array.
    Arrays without gaps are one long row.
    """
    rows = all(a.flags.c_contiguous for a in arrays)
    channels = arrays[0].size if rows else arrays[0].shape[-1]
    steps = [channels if rows else pixel_step(a) for a in arrays]
    v = vector_width(channels, *arrays, steps=steps)
    vectors = counted(arrays[0].size // v)
    return v, vectors, [pixels(channels // v, 0 if rows else step) for step in steps]


def vector_width(
    channels: int,
    *arrays: Array,
    steps: Sequence[int] | None = None,
    parameters: Sequence[Array] = (),
) -> int:
    """V, the number of neighboring channels that a thread moves in one access: 8, 4 or 1.

    8 bfloat16 or 4 float32 are 16 bytes. V > 1 needs rows of a multiple of V `channels`, `steps`
    from row to row (by default the pixel steps) that are one, and addresses that are multiples of
    the access. `parameters` `(C,)` need addresses that are multiples of 16 bytes.
    """
    address, steps = runtime().address, steps or [pixel_step(a) for a in arrays]
    for v in (8, 4) if any(a.itemsize == 2 for a in arrays) else (4,):
        aligned = all(address(a) % min(16, v * a.itemsize) == 0 for a in (*arrays, *parameters))
        if aligned and all(size % v == 0 for size in (channels, *steps)):
            return v
    return 1
