"""Resampling on the GPU: one kernel finds where rows have weights, another adds pixels up."""

from typing import Any

import numpy as np

from ..dispatch import is_host_array
from ..geometry import resampled_shape, transposed
from ..reference.arrays import write_to
from ..types import Array
from .arrays import contiguous, options, output_array, pixel_step, spaced, vector_width
from .device import DIVISOR, THREADS, blocks, counted, divisor, launch, runtime

MATRIX = np.dtype([(name, np.int32) for name in ("count", "size")])
SIZES = np.dtype(
    [(name, np.int32) for name in ("x_step", "y_step")]
    + [(name, MATRIX) for name in ("rows", "columns")]
    + [(name, DIVISOR) for name in ("by_vectors", "by_columns", "by_rows")]
)
Operand = tuple[Array | None, Array | None, tuple[int, ...]]  # numbers, ranges, shape


def resample2d(
    x: Array, rows: Array | None, columns: Array | None, out: Array | None = None
) -> Array:
    """See `functional.resample2d`."""
    shape = resampled_shape(x.shape, rows, columns)
    x = spaced(x)
    y = output_array(out, x, shape)
    if not y.size:
        return write_to(out, y)
    counted(max(x.size, y.size))
    v = vector_width(shape[3], x, y)
    defines, vectors = options(x, v), y.size // v
    r = _operand(rows, x.shape[1], defines)
    s = _operand(columns, x.shape[2], defines)
    by = map(divisor, (shape[3] // v, shape[2], shape[1]))
    sizes = np.array([(pixel_step(x), pixel_step(y), r[2], s[2], *by)], SIZES)
    arguments = x, *r[:2], *s[:2], y, sizes, vectors
    launch("resample.cu", "resample", blocks(vectors), THREADS, *arguments, **defines)
    return write_to(out, y)


def resample2d_grad(dy: Array, rows: Array | None, columns: Array | None) -> Array:
    """See `functional.resample2d_grad`."""
    return resample2d(dy, *transposed(rows, columns))


def _operand(matrix: Array | None, size: int, defines: dict[str, Any]) -> Operand:
    """The numbers of a matrix on the device, where its rows have weights, and its shape."""
    if matrix is None:
        return None, None, (size, size)
    matrix = matrix.astype(np.float32, copy=False)
    matrix = runtime().upload(matrix) if is_host_array(matrix) else contiguous(matrix)
    ranges = runtime().empty((len(matrix), 2), np.int32)
    threads = 32 * len(matrix)  # a warp per row
    arguments = matrix, *matrix.shape, ranges
    launch("resample.cu", "ranges", blocks(threads), THREADS, *arguments, **defines)
    return matrix, ranges, matrix.shape
