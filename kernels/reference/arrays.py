"""Helpers for NumPy and CuPy arrays, and the two operations on windows: `windows`, `scatter`."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..geometry import Window
from ..types import Array, Shape


def array_module(x: Any) -> Any:
    """The module of the array `x`: `numpy` in host memory, `cupy` on the GPU."""
    return np if is_host_array(x) else sys.modules[type(x).__module__.partition(".")[0]]


def is_host_array(x: Any) -> bool:
    """True for a NumPy array of any kind, memory maps included, and for a NumPy scalar."""
    if type(x) is np.ndarray:
        return True
    on_gpu = hasattr(x, "__cuda_array_interface__")  # as CuPy's arrays have it
    return isinstance(x, (np.ndarray, np.generic)) and not on_gpu


def empty(x: Array, shape: Shape) -> Array:
    """An uninitialized array of that shape, of x's type and on x's device."""
    return array_module(x).empty(shape, x.dtype)


def write_to(out: Array | None, y: Array) -> Array:
    """Copy `y` into `out`, an array or a slice of one, and return `out`; y if `out` is None."""
    if out is None or y is out:
        return y
    out[...] = y
    return out


def windows(x: Array, geometry: Window, fill: float = 0) -> Array:
    """Every window of an image batch, as a view: `(N, H, W, C)` -> `(N, H_out, W_out, kH, kW, C)`.

    The border is padded with `fill`; without padding nothing is copied.
    """
    xp = array_module(x)
    if any(amount for side in geometry.reach for amount in side):
        x = xp.pad(x, ((0, 0), *geometry.reach, (0, 0)), constant_values=fill)
    (height, width), (sy, sx), (dy, dx) = geometry.output, geometry.stride, geometry.dilation
    batch, row, column, channel = x.strides
    return xp.lib.stride_tricks.as_strided(
        x,
        shape=(x.shape[0], height, width, *geometry.kernel, x.shape[3]),
        strides=(batch, row * sy, column * sx, row * dy, column * dx, channel),
    )


def scatter(contributions: Callable[[int, int], Array], x_shape: Shape, geometry: Window) -> Array:
    """The adjoint of `windows`: add every cell of every window to the pixel that it was read from.

    `contributions(i, j)` is the `(N, H_out, W_out, C)` part of kernel cell (i, j). The result is
    `(N, H, W, C)`.
    """
    first = contributions(0, 0)
    xp = array_module(first)
    n, height, width, channels = x_shape
    (top, bottom), (left, right) = geometry.reach
    padded = xp.zeros((n, height + top + bottom, width + left + right, channels), first.dtype)
    (h_out, w_out), (sy, sx), (dy, dx) = geometry.output, geometry.stride, geometry.dilation
    for i in range(geometry.kernel[0]):
        for j in range(geometry.kernel[1]):
            rows = slice(i * dy, i * dy + (h_out - 1) * sy + 1, sy)
            columns = slice(j * dx, j * dx + (w_out - 1) * sx + 1, sx)
            padded[:, rows, columns] += contributions(i, j) if i or j else first
    return padded[:, top : top + height, left : left + width]
