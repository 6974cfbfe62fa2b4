"""Weighted sums along both axes of every map, `y = R x S^T`.

Upsampling and adaptive average pooling are such sums, and so are their gradients, with R^T and S^T.
The matrices are those of `reference`. In each of their rows the weights lie side by side, so that a
table of them is enough, and a pixel that has no weight is not read.
"""

from typing import NamedTuple

import numpy as np

from ..types import Array
from .engine.arrays import Image, address, image, output_array, pixel_step, pixels, write_to
from .engine.launch import kernel, task_range, threads_for
from .engine.simd import LANES, Address, load_index, load_part, load_scalar, splat, store_part
from .engine.simd.functions import constant


class WeightsRecord(NamedTuple):
    """Weights as kernels take them; `most`: the columns of the table of values."""

    ranges: Address
    values: Address
    most: int


class Weights(NamedTuple):
    """A matrix by rows: the first and last + 1 pixel of each, int64 `(count, 2)`, and the weights
    between them, float32 `(count, most)`."""

    ranges: Array
    values: Array

    @property
    def record(self) -> WeightsRecord:
        """The tables by address; whoever takes it keeps them alive."""
        return WeightsRecord(address(self.ranges), address(self.values), self.values.shape[1])


def weights_of(matrix: Array) -> Weights:
    """The table of a matrix `(count, size)`. A row of zeros has an empty range."""
    if not matrix.size:
        return Weights(np.zeros((len(matrix), 2), np.int64), np.zeros((len(matrix), 1), np.float32))
    used = matrix != 0
    first = used.argmax(axis=1)
    last = np.where(used.any(axis=1), matrix.shape[1] - used[:, ::-1].argmax(axis=1), first)
    place = first[:, None] + np.arange(max(1, (last - first).max()))
    values = np.take_along_axis(matrix, np.minimum(place, matrix.shape[1] - 1), axis=1)
    ranges = np.stack([first, last], axis=1).astype(np.int64)
    return Weights(ranges, np.ascontiguousarray(values, np.float32))


@kernel
def _weighted_sums(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    rows: WeightsRecord,
    columns: WeightsRecord,
    height: int,
    width: int,
    y: Address,
    y_step: int,
) -> None:
    """y[n, p, q, :] = sum_{a, b} R[p, a] S[q, b] x[n, a, b, :], `(N, height, width, C)`."""
    first, last = task_range(images * height, task, tasks)
    for line in range(first, last):
        n, p = line // height, line % height
        top, bottom = load_index(rows.ranges, 2 * p), load_index(rows.ranges, 2 * p + 1)
        for q in range(width):
            left, right = load_index(columns.ranges, 2 * q), load_index(columns.ranges, 2 * q + 1)
            for c in range(0, x.channels, LANES):
                sum = constant(0.0)
                for a in range(top, bottom):
                    r = load_scalar(rows.values, p * rows.most + a - top)
                    pixel = (n * x.height + a) * x.width
                    for b in range(left, right):
                        s = load_scalar(columns.values, q * columns.most + b - left)
                        v = load_part(x.data, (pixel + b) * x.step + c, x.channels - c)
                        sum = sum + v * splat(r * s)
                store_part(y, (line * width + q) * y_step + c, sum, x.channels - c)


def weighted_sums(x: Array, rows: Weights, columns: Weights, out: Array | None = None) -> Array:
    """`R x S^T`: `(N, H, W, C)` -> `(N, H_out, W_out, C)`."""
    x, _ = pixels(x)
    size = len(rows.ranges), len(columns.ranges)
    y = output_array(out, (len(x), *size, x.shape[3]), channel_slice=True)
    if y.size:
        _weighted_sums(
            threads_for(bytes=x.nbytes + y.nbytes),
            image(x),
            len(x),
            rows.record,
            columns.record,
            *size,
            address(y),
            pixel_step(y),
        )
    return write_to(out, y)
