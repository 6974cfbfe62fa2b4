"""Convolutions with fewer filters than vector lanes, such as LeNet's: several pixels at once."""

import functools
from typing import NamedTuple

import numpy as np

from ..geometry import Window
from .engine.simd import LANES


class PixelsPerVector(NamedTuple):
    """Compute `count` neighboring output pixels at once, as extra filters of one wider kernel.

    The filter of pixel t is the kernel, shifted t strides to the right. The results
    `(..., count * K)` lie in memory as the pixels `(..., K)` do.
    """

    count: int
    geometry: Window

    def pack_filter(self, w: np.ndarray) -> np.ndarray:
        """`(kH, kW, C, K)` -> `(kH, kW + (count - 1) * stride, C, count * K)`."""
        (rows, columns, channels, filters), step = w.shape, self.geometry.stride[1] // self.count
        wide = np.zeros((rows, self.geometry.kernel[1], channels, self.count, filters), np.float32)
        for t in range(self.count):
            wide[:, t * step : t * step + columns, :, t] = w
        return wide.reshape(rows, -1, channels, self.count * filters)

    def unpack_gradient(self, dw: np.ndarray, columns: int) -> np.ndarray:
        """The gradient of `pack_filter`: the sum of its parts, `(kH, columns, C, K)`."""
        rows, _, channels, filters = dw.shape
        parts = dw.reshape(rows, -1, channels, self.count, filters // self.count)
        step = self.geometry.stride[1] // self.count
        return sum(parts[:, t * step : t * step + columns, :, t] for t in range(self.count))


@functools.lru_cache(maxsize=1024)
def pixels_per_vector(
    geometry: Window, filters: int, groups: int, width: int = LANES
) -> PixelsPerVector | None:
    """As many pixels as fill `width` lanes and divide the row evenly; None if that is one."""
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
