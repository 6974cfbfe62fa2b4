"""Resampling on the CPU: weighted sums of the few pixels that have a weight.

In each row of a usual matrix the weights lie side by side. The pixels before the first and behind
the last of them are not read. Matrices of many weights are multiplied by BLAS.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from .. import reference
from ..geometry import resampled_shape, transposed
from ..types import Array
from .engine.arrays import (
    Image,
    address,
    contiguous,
    image,
    output_array,
    pixel_step,
    pixels,
    write_to,
)
from .engine.launch import kernel, task_range
from .engine.simd import (
    LANES,
    Address,
    load_index,
    load_part,
    load_scalar,
    splat,
    store_part,
)
from .engine.simd.functions import constant
from .engine.threads import threads_for

FEW = 32  # pixels per result, or results per pixel; above it BLAS is faster
MOST_KEPT = 64  # operands: of 32 matrices, forward and transposed


class Matrix(NamedTuple):
    """A matrix as the kernel takes it: the address of a `table`, and how many weights a row has."""

    ranges: Address
    weights: Address
    most: int


@kernel
def _weighted_sums(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    rows: Matrix,
    columns: Matrix,
    height: int,
    width: int,
    y: Address,
    y_step: int,
) -> None:
    """y[n, p, q, :] = sum of R[p, a] S[q, b] x[n, a, b, :], `(N, height, width, C)`."""
    first, last = task_range(images * height, task, tasks)
    for line in range(first, last):
        n, p = line // height, line % height
        top, bottom = load_index(rows.ranges, 2 * p), load_index(rows.ranges, 2 * p + 1)
        for q in range(width):
            left, right = load_index(columns.ranges, 2 * q), load_index(columns.ranges, 2 * q + 1)
            for c in range(0, x.channels, LANES):
                sum = constant(0.0)
                for a in range(top, bottom):
                    r = load_scalar(rows.weights, p * rows.most + a - top)
                    pixel = (n * x.height + a) * x.width
                    for b in range(left, right):
                        s = load_scalar(columns.weights, q * columns.most + b - left)
                        v = load_part(x.data, (pixel + b) * x.step + c, x.channels - c)
                        sum = sum + v * splat(r * s)
                store_part(y, (line * width + q) * y_step + c, sum, x.channels - c)


def resample2d(
    x: Array, rows: Array | None, columns: Array | None, out: Array | None = None
) -> Array:
    """See `functional.resample2d`."""
    shape = resampled_shape(x.shape, rows, columns)
    r, s = _operand(rows, x.shape[1]), _operand(columns, x.shape[2])
    if r.weights * s.weights > FEW * max(shape[1] * shape[2], x.shape[1] * x.shape[2]):
        return reference.resample2d(x, rows, columns, out)
    x, _ = pixels(x)
    y = output_array(out, shape, channel_slice=True)
    if y.size:
        _weighted_sums(
            threads_for(bytes=x.nbytes + y.nbytes),
            image(x),
            len(x),
            r.matrix,
            s.matrix,
            *shape[1:3],
            address(y),
            pixel_step(y),
        )
    return write_to(out, y)


def resample2d_grad(dy: Array, rows: Array | None, columns: Array | None) -> Array:
    """See `functional.resample2d_grad`."""
    return resample2d(dy, *transposed(rows, columns))


class Operand(NamedTuple):
    """A matrix for the kernels, and the arrays that this needs alive."""

    matrix: Matrix
    weights: int  # between the first and the last weight of a row, over all rows
    alive: tuple[Array, ...]


_kept: dict[tuple[Any, ...], Operand] = {}


def _operand(matrix: Array | None, size: int) -> Operand:
    """A matrix, or the identity of that size for None.

    It is kept for a matrix that cannot be written to, as those in `minicnn.kernels.resampling`. As
    long as it is kept, no other array has the address of that matrix.
    """
    if matrix is None:
        return _identity(size)
    key = address(matrix), matrix.dtype, matrix.shape, matrix.strides
    found = _kept.get(key)
    if found is None:
        found = _prepared(matrix)
        owner = matrix if matrix.base is None else matrix.base
        if isinstance(owner, np.ndarray) and owner.flags.owndata and not owner.flags.writeable:
            if len(_kept) >= MOST_KEPT:
                _kept.clear()
            _kept[key] = found
    return found


@functools.lru_cache(maxsize=32)
def _identity(size: int) -> Operand:
    return _prepared(np.eye(size, dtype=np.float32))


def _prepared(given: Array) -> Operand:
    ranges, weights = table(given)
    found = Matrix(address(ranges), address(weights), weights.shape[1])
    return Operand(found, int((ranges[:, 1] - ranges[:, 0]).sum()), (given, ranges, weights))


def table(matrix: Array) -> tuple[Array, Array]:
    """Where each row of a matrix `(count, size)` has weights, and these, side by side.

    ranges: the first and the last + 1 column of each row, int64 `(count, 2)`; equal for a row of
    zeros. weights: float32 `(count, most)`.
    """
    count, size = matrix.shape
    used = matrix != 0
    if not used.any():
        return np.zeros((count, 2), np.int64), np.zeros((count, 1), np.float32)
    first = used.argmax(axis=1)
    last = np.where(used.any(axis=1), size - used[:, ::-1].argmax(axis=1), first)
    place = first[:, None] + np.arange((last - first).max())
    weights = np.take_along_axis(matrix, np.minimum(place, size - 1), axis=1)
    return np.stack([first, last], axis=1).astype(np.int64), contiguous(weights)
