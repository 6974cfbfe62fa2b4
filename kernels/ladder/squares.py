"""Squares of pixels, matrices per position, and linear maps between them, for rungs 9 and 10."""

from collections.abc import Callable
from typing import NamedTuple

from ..cpu.engine.arrays import address
from ..cpu.engine.launch import inline, kernel, task_range
from ..cpu.engine.memory import empty
from ..cpu.engine.simd import COLUMNS, FLOAT, LANES, ROWS, Address, load, relu, store
from ..cpu.engine.threads import threads
from ..cpu.winograd.matrices import linear_map
from ..types import Array, Pair

LINE = 16  # floats of a cache line


class Squares(NamedTuple):
    """Squares of pixels with all their channels; distances are in floats.

    An image has `rows` x `columns` squares, `down` and `across` apart; they are counted over all
    images, from `first` on. Pixels of a square are `row` and `column` apart.
    """

    data: Address
    first: int
    image: int
    rows: int
    columns: int
    down: int
    across: int
    row: int
    column: int


class Stack(NamedTuple):
    """A matrix per position, `step` floats apart, with the floats between rows and columns."""

    data: Address
    step: int
    row: int
    column: int


@inline
def square_start(squares: Squares, s: int) -> Address:
    """The address of the first pixel of square s."""
    n = squares.first + s
    across = n % squares.columns * squares.across
    down = n // squares.columns % squares.rows * squares.down
    image = n // (squares.columns * squares.rows) * squares.image
    return squares.data + FLOAT * (image + down + across)


def transform(matrix: Array) -> Callable[..., None]:
    """A function that computes Q = T P T^T with the matrix T for squares P, on all cores."""
    rows, columns = matrix.shape
    apply = linear_map(matrix)

    def transform_squares(
        task: int, tasks: int, p: Squares, q: Squares, count: int, channels: int, bias: Address,
        scratch: Address,
    ) -> None:  # fmt: skip
        """T times each column, then times each row; with a bias, Q = max(T P T^T + bias, 0)."""
        first, last = task_range(count, task, tasks)
        half = scratch + FLOAT * LANES * task * rows * columns
        for s in range(first, last):
            for c in range(0, channels, LANES):
                source, target = square_start(p, s) + FLOAT * c, square_start(q, s) + FLOAT * c
                for j in range(columns):
                    at, to = source + FLOAT * j * p.column, half + FLOAT * j * LANES
                    apply(at, p.row, to, columns * LANES)
                for i in range(rows):
                    at, to = half + FLOAT * i * columns * LANES, target + FLOAT * i * q.row
                    apply(at, LANES, to, q.column)
                    for j in range(rows if bias != 0 else 0):
                        y = load(to, j * q.column) + load(bias, c)
                        store(to, j * q.column, relu(y))

    transform_squares.__name__ = transform_squares.__qualname__ = f"transform_{rows}x{columns}"
    compiled = kernel(transform_squares)

    def launch(p: Squares, q: Squares, count: int, channels: int = LANES, bias: int = 0) -> None:
        scratch = empty(threads() * rows * columns * LANES)
        compiled(threads(), p, q, count, channels, bias, address(scratch))

    return launch


def squares_of(x: Array, m: int, grid: Pair, first: int) -> Squares:
    """The squares of the images x from number `first` on, one every m pixels down and across."""
    _, h, w, c = x.shape
    return Squares(address(x), first, h * w * c, *grid, m * w * c, m * c, w * c, c)


def squares_in(a: Array, side: int, row: int = LANES) -> Squares:
    """Squares whose pixels are the side x side positions of a stack, one per row of its matrices.

    By default a row is one vector: for maps that take all floats of the matrices alike.
    """
    step = a.shape[1]
    return Squares(address(a), 0, 0, 1, step, 0, row, side * step, step)


def matrices(a: Array, row: int, column: int) -> Stack:
    """The matrices of a stack as kernels take them."""
    return Stack(address(a), a.shape[1], row, column)


def odd_lines(floats: int) -> int:
    """At least so many floats, an odd number of cache lines.

    At distances of an even number, above all of a power of two, many rows or positions share a few
    sets of the cache and evict each other.
    """
    return (-(-floats // LINE) | 1) * LINE


def stack(positions: int, rows: int, row: int) -> Array:
    """Room for a matrix per position, and behind it for the rows that a register tile may read."""
    return empty((positions, odd_lines((rows + ROWS) * row)))


def whole(channels: int, filters: int) -> tuple[int, int]:
    """Channels rounded up to whole vectors, and filters to whole panels."""
    return -(-channels // LANES) * LANES, -(-filters // COLUMNS) * COLUMNS


def canvas(x: Array, before: int, height: int, width: int, channels: int) -> Array:
    """The images on `(N, height, width, channels)` zeros, `before` pixels from the top and left."""
    n, h, w, c = x.shape
    result = empty((n, height, width, channels))
    result[:, :before] = result[:, before + h :] = 0
    result[:, :, :before] = result[:, :, before + w :] = 0
    result[..., c:] = 0
    result[:, before : before + h, before : before + w, :c] = x
    return result


def filter_panels(w: Array) -> Array:
    """The 9 matrices of the weights `(3, 3, C, K)` in panels padded with zeros, `(9, C K)`."""
    cells = w.reshape(9, *w.shape[2:])
    channels, filters = whole(*w.shape[2:])
    packed = empty((9, filters // COLUMNS, channels, COLUMNS))
    packed[:, :, w.shape[2] :] = packed[:, -1] = 0
    for k in range(filters // COLUMNS):
        panel = cells[:, :, k * COLUMNS : (k + 1) * COLUMNS]
        packed[:, k, : w.shape[2], : panel.shape[2]] = panel
    return packed.reshape(9, -1)


def batches(squares: int, floats: int, cache: int) -> list[tuple[int, int]]:
    """First square and count of each batch, at `floats` per square and `cache` floats per core."""
    unit = ROWS * threads()
    count = max(1, cache // (ROWS * floats)) * unit
    return [(first, min(count, squares - first)) for first in range(0, squares, count)]
