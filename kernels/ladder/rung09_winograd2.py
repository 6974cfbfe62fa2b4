"""Winograd F(2x2, 3x3): 16 products instead of 36 for 2 x 2 results.

    Y = A^T [ (G g G^T) * (B^T d B) ] A       g (3, 3), d (4, 4), Y (2, 2), * elementwise

(Lavin & Gray 2015, arXiv:1509.09308.) In one dimension, two polynomials are multiplied by their
values at the points 0, 1, -1 and infinity: 4 products instead of 6. B and A only add. The filters
are transformed once, and the channels are summed before A, so that for each of the 16 positions p
of a square there is one matrix product, by the register tile of rung 5:

    M[p] = V[p] U[p]      V = B^T d B (squares, C)      U = G g G^T (C, K)      M (squares, K)

Compared to rung 7 this saves 1 - 16/36 = 56 % of the FMAs. The price is V and M, 4 floats each per
pixel and channel, written and read. They are made for a batch of squares at a time; each core
multiplies the squares that it has transformed, out of its own second cache.

The weight gradient goes through the transposes of the same linear maps, in reverse order:

    dw = G^T [ sum over squares of (A dy A^T) * (B^T d B) ] G
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..cpu.engine.arrays import address
from ..cpu.engine.launch import kernel, task_range
from ..cpu.engine.memory import empty
from ..cpu.engine.records import Epilogue, Rows
from ..cpu.engine.simd import (
    COLUMNS,
    FLOAT,
    LANES,
    ROWS,
    VECTORS,
    tile_multiply,
    tile_store,
    tile_zeros,
)
from ..cpu.engine.threads import threads
from ..types import Array
from .finish import bias_gradient, turned
from .squares import (
    Stack,
    batches,
    canvas,
    filter_panels,
    matrices,
    odd_lines,
    squares_in,
    squares_of,
    stack,
    transform,
    whole,
)

KERNEL = 3
B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])

BATCH, WEIGHT_BATCH = 1 << 18, 1 << 21  # floats of V and M, or of both factors of dw, per core


@kernel
def _multiply(
    task: int, tasks: int, a: Stack, b: Stack, c: Stack, positions: int, rows: int, depth: int,
    columns: int, add: int,
) -> None:  # fmt: skip
    """c[p] (+)= a[p] b[p] for each position p; tasks share the rows."""
    first, last = task_range((rows + ROWS - 1) // ROWS, task, tasks)
    for p in range(positions):
        for j in range(0, columns, COLUMNS):
            for r in range(first * ROWS, last * ROWS, ROWS):
                at = a.data + FLOAT * (p * a.step + r * a.row)
                panel = b.data + FLOAT * (p * b.step + j * b.column)
                tile = tile_zeros(ROWS, VECTORS)
                for _ in range(depth):
                    tile = tile_multiply(tile, ROWS, VECTORS, at, a.row, panel)
                    at, panel = at + FLOAT * a.column, panel + FLOAT * b.row
                to = c.data + FLOAT * (p * c.step + r * c.row + j * c.column)
                tile_store(
                    tile, VECTORS, Rows(to, c.row, rows - r, COLUMNS), Epilogue(add, 0, 0, 0)
                )


class Maps(NamedTuple):
    """The linear maps of F(m x m, 3x3): each P -> T P T^T; `side` = m + 2."""

    m: int
    side: int
    image: Callable[..., None]  # T = B^T
    filter: Callable[..., None]  # G
    result: Callable[..., None]  # A^T
    gradient: Callable[..., None]  # A
    weight: Callable[..., None]  # G^T


def maps(b_t: Array, g: Array, a_t: Array) -> Maps:
    """The maps of an F(m x m, 3x3) from its matrices."""
    return Maps(*a_t.shape, *map(transform, (b_t, g, a_t, a_t.T, g.T)))


def expect_3x3(size: int) -> None:
    """Raise ValueError for another kernel."""
    if size != KERNEL:
        raise ValueError(f"Winograd F(m x m, 3x3): the kernel is {size}x{size}; expected 3x3")


def convolve(f: Maps, x: Array, w: Array, b: Array | None, pad: int) -> Array:
    """x conv w, or max(x conv w + b, 0)."""
    expect_3x3(len(w))
    positions, (channels, filters) = f.side**2, whole(*w.shape[2:])
    g, u = filter_panels(w), stack(positions, channels, filters)
    f.filter(squares_in(g, 3), squares_in(u, f.side), g.shape[1] // LANES)

    height, width = (s + 2 * pad - 2 for s in x.shape[1:3])
    grid = rows, columns = -(-height // f.m), -(-width // f.m)
    x = canvas(x, pad, rows * f.m + 2, columns * f.m + 2, channels)
    y = empty((len(x), rows * f.m, columns * f.m, filters))
    bias = None if b is None else np.pad(b, (0, filters - len(b)))
    v_row, m_row = odd_lines(channels), odd_lines(filters)
    for first, count in batches(len(x) * rows * columns, positions * (v_row + m_row), BATCH):
        v, m = stack(positions, count, v_row), stack(positions, count, m_row)
        f.image(squares_of(x, f.m, grid, first), squares_in(v, f.side, v_row), count, channels)
        factors = matrices(v, v_row, 1), matrices(u, COLUMNS, channels)
        sizes = positions, count, channels, filters
        _multiply(threads(), *factors, matrices(m, m_row, 1), *sizes, 0)
        source, target = squares_in(m, f.side, m_row), squares_of(y, f.m, grid, first)
        f.result(source, target, count, filters, 0 if bias is None else address(bias))
    return np.ascontiguousarray(y[:, :height, :width, : w.shape[3]])


def weight_gradient(f: Maps, dy: Array, x: Array, size: int, pad: int) -> Array:
    """dw = G^T [ sum over squares of (B^T d B) * (A dy A^T) ] G."""
    expect_3x3(size)
    positions, (channels, filters) = f.side**2, whole(x.shape[3], dy.shape[3])
    grid = rows, columns = -(-dy.shape[1] // f.m), -(-dy.shape[2] // f.m)
    image = canvas(x, pad, rows * f.m + 2, columns * f.m + 2, channels)
    gradient = canvas(dy, 0, rows * f.m, columns * f.m, filters)
    sums, dw = stack(positions, channels, filters), empty((9, channels * filters))
    v_row, z_row = odd_lines(channels), odd_lines(filters)
    squares, floats = len(x) * rows * columns, positions * (v_row + z_row)
    for first, count in batches(squares, floats, WEIGHT_BATCH):
        v, z = stack(positions, count, v_row), stack(positions, count, z_row)
        f.image(squares_of(image, f.m, grid, first), squares_in(v, f.side, v_row), count, channels)
        source = squares_of(gradient, f.m, grid, first)
        f.gradient(source, squares_in(z, f.side, z_row), count, filters)
        factors = matrices(v, 1, v_row), matrices(z, z_row, 1)
        sizes = positions, channels, count, filters
        _multiply(threads(), *factors, matrices(sums, filters, 1), *sizes, first)
    f.weight(squares_in(sums, f.side), squares_in(dw, 3), channels * filters // LANES)
    dw = dw.reshape(3, 3, channels, filters)
    return np.ascontiguousarray(dw[:, :, : x.shape[3], : dy.shape[3]])


F = maps(B_T, G, A_T)


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return convolve(F, x, w, b, pad)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return convolve(F, dy, turned(w), None, 2 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    return weight_gradient(F, dy, x, size, pad), bias_gradient(dy)
