"""Convolutions with fewer filters than vector lanes, such as LeNet's: several pixels per vector."""

import functools
from typing import NamedTuple

import numpy as np

from ..geometry import Window
from ..types import Array
from .engine.simd import LANES


class PixelsPerVector(NamedTuple):
    """Compute `pixels` neighboring output pixels at once, as extra filters of one wider kernel.

    The filter of pixel t is the kernel, shifted t strides to the right. The results
    `(H, W / pixels, pixels * K)` have the same order in memory as `(H, W, K)`.
    """

    pixels: int
    geometry: Window

    def pack_filter(self, w: Array) -> Array:
        """`(kH, kW, C, K)` -> `(kH, kW + (pixels - 1) * stride, C, pixels * K)`."""
        (rows, columns, channels, filters), step = w.shape, self.geometry.stride[1] // self.pixels
        wide = np.zeros((rows, self.geometry.kernel[1], channels, self.pixels, filters), np.float32)
        for t in range(self.pixels):
            wide[:, t * step : t * step + columns, :, t] = w
        return wide.reshape(rows, -1, channels, self.pixels * filters)

    def unpack_gradient(self, dw: Array, columns: int) -> Array:
        """The gradient of `pack_filter`: the sum of its parts, `(kH, columns, C, K)`."""
        rows, _, channels, filters = dw.shape
        parts = dw.reshape(rows, -1, channels, self.pixels, filters // self.pixels)
        step = self.geometry.stride[1] // self.pixels
        shifted = [parts[:, t * step : t * step + columns, :, t] for t in range(self.pixels)]
        return functools.reduce(np.add, shifted)


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
