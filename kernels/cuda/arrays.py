"""Arrays as kernels take them: float32 or bfloat16, in the order of memory, perhaps with gaps between pixels."""

import numpy as np

from ..geometry import pixel_step
from .device import NUMBER_TYPES, counted, pixels, runtime


def empty(x, shape, dtype=None):
    """See `reference.empty`."""
    return runtime().empty(tuple(shape), dtype or x.dtype)


def number_type(x) -> str:
    """The C name of the type of x's numbers. Raises TypeError for one that no kernel takes."""
    found = NUMBER_TYPES.get(x.dtype.name)
    if found is None:
        raise TypeError(f"the cuda backend computes in {' and '.join(NUMBER_TYPES)}; this array is {x.dtype}")
    return found


def contiguous(a):
    """`a`, or a copy without gaps."""
    return a if a.flags.c_contiguous else a.copy(order="C")


def spaced(a):
    """`a` if its pixels lie evenly in memory, else a copy without gaps."""
    return a if pixel_step(a) else a.copy(order="C")


def optional(a):
    """`spaced(a)` and its pixel step; None and 0 for None."""
    if a is None:
        return None, 0
    a = spaced(a)
    return a, pixel_step(a)


def destination(out, like, shape, dtype=None):
    """`out` if kernels can write to it, else memory of their own."""
    fits = out is not None and out.shape == tuple(shape) and out.dtype == (dtype or like.dtype) and pixel_step(out)
    return out if fits else empty(like, shape, dtype)


def layout(*arrays):
    """How kernels walk through arrays of one shape together: V, the number of vectors, and the structure `Pixels` of each.

    Arrays without gaps are one long row. For V see `vector_width`.
    """
    rows = all(a.flags.c_contiguous for a in arrays)
    channels = arrays[0].size if rows else arrays[0].shape[-1]
    steps = [channels if rows else pixel_step(a) for a in arrays]
    v = vector_width(channels, *arrays, steps=steps)
    vectors = counted(arrays[0].size // v)
    return v, vectors, [pixels(channels // v, 0 if rows else step) for step in steps]


def vector_width(channels: int, *arrays, steps=None, parameters=()) -> int:
    """How many neighbouring numbers a thread moves at once of arrays in rows of `channels`: 16 bytes of them, or 1.

    That is 8 where some array is of bfloat16, and 4 else, or if it has to be. All rows are a multiple of it, and all arrays begin, and
    their rows follow each other (`steps`, or pixel by pixel), at one; `parameters`, a number for each channel, begin at 16 bytes.
    """
    address, steps = runtime().address, steps or [pixel_step(a) for a in arrays]
    for v in (8, 4) if any(a.itemsize == 2 for a in arrays) else (4,):
        aligned = all(address(a) % min(16, v * a.itemsize) == 0 for a in (*arrays, *parameters))
        if aligned and all(size % v == 0 for size in (channels, *steps)):
            return v
    return 1


def parameter(a):
    """A parameter or statistic as kernels take it: float32 without gaps. Raises TypeError for any other type."""
    if a is None:
        return None
    if a.dtype != np.float32:
        raise TypeError(f"the cuda backend keeps parameters in float32; this one is {a.dtype}")
    return contiguous(a)
