"""The kernels of a weight gradient that are the same for all F(m x n, r x s)."""

from ..engine.gemm import multiply
from ..engine.launch import kernel, task_range
from ..engine.records import Rows, Strided
from ..engine.simd import FLOAT, LANES, Address, load, store
from ..engine.simd.functions import constant
from .records import Panels, Stack

STRIP = 128  # rows of S of which a task computes all columns


@kernel
def accumulate(
    task: int,
    tasks: int,
    v: Stack,
    z: Panels,
    positions: int,
    channels: int,
    s: Stack,
    add: bool,
) -> None:
    """S[position] = V[position]^T Z[position], added to S if `add`: `(C, tiles) (tiles, K)`.

    Tasks share the positions and the strips of rows of each.
    """
    strips, filters = (channels + STRIP - 1) // STRIP, s.row_step
    first, last = task_range(positions * strips, task, tasks)
    for unit in range(first, last):
        position, c = unit // strips, unit % strips * STRIP
        transposed = Strided(v.data + FLOAT * (position * v.step + c), 1, v.row_step)
        place = s.data + FLOAT * (position * s.step + c * filters)
        result = Rows(place, filters, min(STRIP, channels - c), filters)
        panels = z.data + FLOAT * position * z.step
        multiply(transposed, panels, z.depth, result, add, 0, False)


@kernel
def column_sums(
    task: int, tasks: int, a: Address, row_step: int, rows: int, columns: int, sums: Address
) -> None:
    """The sums of each task's rows of a `(rows, columns)`, to sums[task, :]; 64 rows at a time."""
    first, last = task_range(rows, task, tasks)
    for j in range(0, columns, LANES):
        store(sums, task * columns + j, constant(0.0))
    for m in range(first, last, 64):
        for j in range(0, columns, LANES):
            sum = load(sums, task * columns + j)
            for r in range(m, min(m + 64, last)):
                sum = sum + load(a, r * row_step + j)
            store(sums, task * columns + j, sum)
