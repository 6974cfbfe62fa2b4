"""Resampling: maps of another size, whose pixels are weighted sums along rows and columns.

`resample2d` takes any two matrices. The other functions make the usual ones, `(count, size)`: row i
has the weights of the pixels that output i reads. They are kept, and cannot be written to.
"""

from functools import lru_cache

import numpy as np

from . import reference
from .dispatch import select
from .geometry import adaptive_windows
from .types import Array

MODES = ("nearest", "bilinear")
KEPT = 32  # matrices per function; one from 512 to 1,024 pixels takes 4 MB


def resample2d(
    x: Array, rows: Array | None, columns: Array | None, out: Array | None = None
) -> Array:
    """`y = R x S^T` for every map of x `(N, H, W, C)`.

    rows: R `(H_out, H)`, columns: S `(W_out, W)`, on the host or on x's device; None for an axis
    that stays as it is.
    Returns y `(N, H_out, W_out, C)`. Raises ValueError if a matrix does not fit x.
    """
    return select(reference.resample2d, x)(x, rows, columns, out)


def resample2d_grad(dy: Array, rows: Array | None, columns: Array | None) -> Array:
    """The gradient of `resample2d`, `dx = R^T dy S`: dy `(N, H_out, W_out, C)`, dx as x."""
    return select(reference.resample2d_grad, dy)(dy, rows, columns)


@lru_cache(maxsize=KEPT)
def upsampling(size: int, count: int, mode: str, scale: float | None = None) -> Array:
    """The weights of upsampling, to any size: torch's `interpolate` with `align_corners=False`.

    The centers of pixels are at half-integers. With r = size / count, or 1 / scale, output i reads

        nearest:    pixel floor(i r)
        bilinear:   pixels floor(h) and floor(h) + 1, weighted by 1 - f and f,
                    h = max((i + 1/2) r - 1/2, 0),  f = h - floor(h)

    no further than the last pixel. Raises ValueError for an unknown mode.
    """
    i, pixel = np.arange(count), np.arange(size)
    if mode == "nearest":
        source = i * size // count if scale is None else np.floor(i / scale)
        return _constant(np.minimum(source, size - 1)[:, None] == pixel)
    if mode != "bilinear":
        raise ValueError(f"mode={mode!r}: expected one of {', '.join(MODES)}")
    h = np.maximum((i + 0.5) * (size / count if scale is None else 1 / scale) - 0.5, 0)
    # The weight falls linearly with the distance: 1 - f at floor(h), f at the next pixel.
    distance = abs(np.minimum(h, size - 1)[:, None] - pixel)
    return _constant(np.maximum(1 - distance, 0))


@lru_cache(maxsize=KEPT)
def means(size: int, count: int) -> Array:
    """The weights of adaptive average pooling: 1 / (its size) for each pixel of a window.

    Window i covers the pixels floor(i size / count) to ceil((i + 1) size / count) - 1, as in torch.
    """
    found = np.zeros((count, size))
    for row, (first, end) in zip(found, adaptive_windows(size, count), strict=True):
        row[first:end] = 1 / (end - first)
    return _constant(found)


def _constant(matrix: Array) -> Array:
    matrix = matrix.astype(np.float64)
    matrix.setflags(write=False)
    return matrix
