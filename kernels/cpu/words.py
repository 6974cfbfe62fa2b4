"""Words: two bfloat16 numbers in the 32 bits of a float; see bfloat16.py."""

from ..geometry import PaddingPairs
from ..types import Array
from .engine.arrays import Image, address, pixels
from .engine.launch import kernel, task_range
from .engine.memory import empty
from .engine.records import Rows
from .engine.simd import FLOAT, LANES, Address, load_part, store_part
from .engine.simd.functions import constant
from .engine.simd.pairs import pair, store_rounded_part
from .engine.threads import threads_for

NO_PADDING: PaddingPairs = ((0, 0), (0, 0))


@kernel
def _round(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    top: int,
    left: int,
    rows: int,
    width: int,
    to: Address,
) -> None:
    """Images rounded to bfloat16, in a frame of zeros of `rows` x `width` pixels."""
    first, last = task_range(images * rows, task, tasks)
    for unit in range(first, last):
        n, row = unit // rows, unit % rows - top
        line = x.data + FLOAT * (n * x.height + row) * x.width * x.step
        result = to + 2 * unit * width * x.channels
        for q in range(width):
            inside = 0 <= row < x.height and 0 <= q - left < x.width
            for c in range(0, x.channels, LANES):
                n_left = x.channels - c
                v = constant(0.0)
                if inside:
                    v = load_part(line, (q - left) * x.step + c, n_left)
                store_rounded_part(result, q * x.channels + c, v, n_left)


def neighbors(x: Array, padding: PaddingPairs = NO_PADDING) -> Array:
    """Words of neighboring channels: `(N, H, W, C)` -> `(N, H', W', C / 2)`.

    padding: a border of zeros.
    """
    x, step = pixels(x)
    (top, bottom), (left, right) = padding
    images, height, width, channels = x.shape
    rows, columns = top + height + bottom, left + width + right
    to = empty((images, rows, columns, channels // 2))
    source = Image(address(x), step, height, width, channels)
    tasks = threads_for(flops=2 * x.size)
    _round(tasks, source, images, top, left, rows, columns, address(to))
    return to


@kernel
def _pair_rows(task: int, tasks: int, x: Rows, to: Address) -> None:
    """Row r of the result = the words (x[2r], x[2r + 1]); an odd row has zeros."""
    first, last = task_range((x.rows + 1) // 2, task, tasks)
    for r in range(first, last):
        for c in range(0, x.columns, LANES):
            n, odd = x.columns - c, constant(0.0)
            if 2 * r + 1 < x.rows:
                odd = load_part(x.data, (2 * r + 1) * x.step + c, n)
            words = pair(load_part(x.data, 2 * r * x.step + c, n), odd)
            store_part(to, r * x.columns + c, words, n)


def row_words(w: Array) -> Array:
    """Words of the rows 2r and 2r + 1 of a contiguous array: `(..., R, K)` -> `(..., R / 2, K)`.

    R is even, or the array a matrix, whose last row then gets zeros.
    """
    *outer, depth, columns = w.shape
    to = empty((*outer, -(-depth // 2), columns))
    rows = Rows(address(w), columns, w.size // columns, columns)
    _pair_rows(threads_for(flops=2 * w.size), rows, address(to))
    return to


def matrix_words(a: Array) -> Array:
    """Words of neighbors in the rows of a matrix."""
    return neighbors(a.reshape(len(a), 1, 1, -1)).reshape(len(a), -1)
