"""The pixels of a convolution's input that the same taps read, which a stride sets apart."""

import functools
from math import gcd
from typing import NamedTuple

from ..geometry import Window


class PixelClass(NamedTuple):
    """Pixels h = first + s h' along one axis, for h' < pixels, that the same taps read.

    Tap number t of `taps` is the kernel's tap + t * between. It read h from the output at
    p = h' + offset + t * move.
    """

    pixels: int
    first: int
    offset: int
    move: int
    tap: int
    between: int
    taps: int


@functools.lru_cache(maxsize=4096)
def pixel_classes(size: int, g: Window, axis: int) -> list[PixelClass]:
    """The classes of pixels along one axis of `size` pixels: one per remainder of h modulo s.

    Tap r reads pixel h if the stride s divides h + padding - dilation * r.
    """
    s, d, before, kernel = g.stride[axis], g.dilation[axis], g.padding[axis][0], g.kernel[axis]
    between = s // gcd(s, d)
    found = []
    for a in range(min(s, size)):
        taps = [r for r in range(kernel) if (a + before - r * d) % s == 0]
        tap = taps[0] if taps else 0
        pixels, offset = -(-(size - a) // s), (a + before - tap * d) // s
        found.append(PixelClass(pixels, a, offset, -between * d // s, tap, between, len(taps)))
    return found
