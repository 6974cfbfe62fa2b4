"""Convolutions with fewer filters than vector lanes, such as LeNet's: several pixels per vector."""

import functools
from typing import NamedTuple

from ..geometry import Window
from ..types import Array, Shape
from .engine.arrays import address
from .engine.launch import inline, kernel
from .engine.memory import empty
from .engine.rows import fill_zeros
from .engine.simd import LANES, Address, load_part, store_part
from .engine.simd.functions import constant


class Shifts(NamedTuple):
    """Filters `(rows, columns, channels, filters)`, each `pixels` times, `step` columns apart."""

    rows: int
    columns: int
    channels: int
    filters: int
    pixels: int
    step: int


@inline
def _place(s: Shifts, i: int, j: int, c: int, t: int) -> int:
    """The place of filter row `(i, j, c)` of pixel t in `(rows, width, channels, pixels * K)`."""
    width = s.columns + (s.pixels - 1) * s.step
    return (((i * width + j + t * s.step) * s.channels + c) * s.pixels + t) * s.filters


@kernel
def _shift(task: int, tasks: int, w: Address, s: Shifts, wide: Address) -> None:
    """wide[i, j + t step, c, t] = w[i, j, c] for each pixel t, and 0 elsewhere."""
    fill_zeros(wide, _place(s, s.rows, 0, 0, 0))
    for i in range(s.rows):
        for j in range(s.columns * s.channels):
            source = (i * s.columns * s.channels + j) * s.filters
            for t in range(s.pixels):
                to = _place(s, i, 0, j, t)
                for f in range(0, s.filters, LANES):
                    n = s.filters - f
                    store_part(wide, to + f, load_part(w, source + f, n), n)


@kernel
def _sum_shifted(task: int, tasks: int, wide: Address, s: Shifts, w: Address) -> None:
    """w[i, j, c] = sum over t of wide[i, j + t step, c, t]."""
    for i in range(s.rows):
        for j in range(s.columns * s.channels):
            to = (i * s.columns * s.channels + j) * s.filters
            for f in range(0, s.filters, LANES):
                n, sums = s.filters - f, constant(0.0)
                for t in range(s.pixels):
                    sums = sums + load_part(wide, _place(s, i, 0, j, t) + f, n)
                store_part(w, to + f, sums, n)


class PixelsPerVector(NamedTuple):
    """Compute `pixels` neighboring output pixels at once, as extra filters of one wider kernel.

    The filter of pixel t is the kernel, shifted t strides to the right. The results
    `(H, W / pixels, pixels * K)` have the same order in memory as `(H, W, K)`.
    """

    pixels: int
    geometry: Window

    def _shifts(self, shape: Shape) -> Shifts:
        """Those of filters `(kH, kW, C, K)`, or of numbers per filter, `(K,)`."""
        step = self.geometry.stride[1] // self.pixels if len(shape) == 4 else 0
        rows, columns, channels, filters = (1, 1, 1, *shape)[-4:]
        return Shifts(rows, columns, channels, filters, self.pixels, step)

    def repeat(self, w: Array) -> Array:
        """`(kH, kW, C, K)` -> `(kH, kW + (pixels - 1) * stride, C, pixels * K)`.

        The bias or scale of the filters: `(K,)` -> `(pixels * K,)`.
        """
        s = self._shifts(w.shape)
        shape = s.rows, s.columns + (s.pixels - 1) * s.step, s.channels, s.pixels * s.filters
        wide = empty(shape)
        _shift(1, address(w), s, address(wide))
        return wide if w.ndim == 4 else wide.reshape(-1)

    def sum_repeated(self, wide: Array, shape: Shape) -> Array:
        """The gradient of `repeat`: the sum of the parts, in the shape of its input."""
        w = empty(shape)
        _sum_shifted(1, address(wide), self._shifts(shape), address(w))
        return w


@functools.lru_cache(maxsize=1024)
def pixels_per_vector(
    geometry: Window, filters: int, groups: int, width: int = LANES
) -> PixelsPerVector | None:
    """The most pixels that fit into `width` lanes and divide the row evenly; None for one pixel."""
    fit = range(1, max(width // filters, 1) + 1)
    count = max(n for n in fit if geometry.output[1] % n == 0)
    if count == 1 or groups > 1 or geometry.dilation != (1, 1):
        return None
    wide = geometry._replace(
        kernel=(geometry.kernel[0], geometry.kernel[1] + (count - 1) * geometry.stride[1]),
        stride=(geometry.stride[0], geometry.stride[1] * count),
        output=(geometry.output[0], geometry.output[1] // count),
    )
    return PixelsPerVector(count, wide)
