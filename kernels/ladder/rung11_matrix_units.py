"""matrix units: bfloat16 numbers, 16 x 16 x 32 products per instruction.

Intel's server cores have units (AMX) that multiply two tiles of 1 KB each. Both factors are rounded
to bfloat16, which has 8 bits, and the sums are float32: an error of 2e-3. Two neighbors of a sum
are one word of 32 bits. What is C floats in other rungs is C / 2 words here.

No patch is gathered. On the padded image, the canvas, the patch of the next pixel starts C numbers
later, also from the end of one row to the start of the next. So tiles of A are read in place, and
the results of the pixels between the rows are thrown away. Channels are padded to whole tiles.

Weight gradient: a sum over pixels, so words are pairs of pixels, and x is transposed. At an odd
distance between x and dy the pairs are others: x is transposed twice.

Where there are no such units, the tests run this on an emulator.
"""

from typing import NamedTuple

import numpy as np

from ..cpu.engine.arrays import address
from ..cpu.engine.launch import kernel, task_range
from ..cpu.engine.memory import empty
from ..cpu.engine.records import PLAIN, Rows
from ..cpu.engine.simd import FLOAT, Address
from ..cpu.engine.simd.amx import (
    CONFIGURATION,
    SIDE,
    TILE,
    add_products,
    configure_tiles,
    release_tiles,
    store_sums,
    zero_sums,
)
from ..cpu.engine.threads import threads
from ..cpu.matrix_units import write_sums
from ..cpu.matrix_units_access import unavailable
from ..cpu.words import matrix_words, row_words
from ..types import Array
from .finish import bias_and_relu, bias_gradient, turned
from .rung05_tile import panels, rows_of

__all__ = ["ERROR", "forward", "grad_input", "grad_weight", "unavailable"]

ERROR = 1e-2  # that the rounding may make


class Words(NamedTuple):
    """A matrix of words: a row has `runs` runs of `run` words, `line` words apart."""

    data: Address
    step: int  # words between rows
    runs: int
    run: int
    line: int


@kernel
def _multiply(
    task: int, tasks: int, a: Words, b: Address, c: Rows, configuration: Address, sums: Address
) -> None:
    """c = a b; tasks share strips of 32 rows, and each keeps 32 x 32 sums in registers."""
    first, last = task_range((c.rows + SIDE - 1) // SIDE, task, tasks)
    sums += FLOAT * SIDE * SIDE * task
    configure_tiles(configuration)
    for j in range(0, c.columns, SIDE):
        for m in range(first * SIDE, last * SIDE, SIDE):
            panel = b + FLOAT * j * a.runs * a.run
            zero_sums()
            for i in range(a.runs):
                for k in range(0, a.run, TILE):
                    place = a.data + FLOAT * (m * a.step + i * a.line + k)
                    below = place + FLOAT * TILE * a.step
                    add_products(place, below, FLOAT * a.step, panel, FLOAT * SIDE)
                    panel += FLOAT * TILE * SIDE
            store_sums(sums, sums + FLOAT * TILE * SIDE, FLOAT * SIDE)
            to = Rows(c.data + FLOAT * (m * c.step + j), c.step, c.rows - m, c.columns - j)
            write_sums(sums, to, PLAIN)
    release_tiles()


def _product(a: Words, b: Array, c: Array) -> None:
    """c (M, K) = a times the panels of b."""
    sums = empty(threads() * SIDE * SIDE)
    _multiply(threads(), a, address(b), rows_of(c), address(CONFIGURATION), address(sums))


def _canvas(x: Array, before: int, after: int) -> tuple[Array, Array]:
    """Images with zeros around them, `(N, H', W', C')`, and the same as a matrix of pixels.

    C' is a multiple of 32. The matrix has more rows, of zeros, for what tiles read at the end.
    """
    n, h, w, c = x.shape
    height, width, channels = before + h + after, before + w + after, -(-c // SIDE) * SIDE
    pixels = n * height * width
    matrix = np.zeros((-(-pixels // SIDE) * SIDE + (height + 1) * width, channels), np.float32)
    images = matrix[:pixels].reshape(n, height, width, channels)
    images[:, before : before + h, before : before + w, :c] = x
    return images, matrix


def _apply(x: Array, w: Array, pad: int) -> Array:
    size, channels, filters = len(w), w.shape[2], w.shape[3]
    images, matrix = _canvas(x, pad, pad)
    n, height, width, padded = images.shape
    weights = np.zeros((size, size, padded, filters), np.float32)
    weights[:, :, :channels] = w
    words, packed = matrix_words(matrix), panels(row_words(weights.reshape(-1, filters)))
    a = Words(address(words), padded // 2, size, size * padded // 2, width * padded // 2)
    y = empty((n, height, width, filters))
    _product(a, packed, y.reshape(-1, filters))
    return np.ascontiguousarray(y[:, : height - size + 1, : width - size + 1])


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    (images, matrix), channels = _canvas(x, pad, pad), x.shape[3]
    n, height, width, padded = images.shape
    pixels = -(-n * height * width // SIDE) * SIDE
    gradient = np.zeros((pixels, dy.shape[3]), np.float32)
    canvas = gradient[: n * height * width].reshape(n, height, width, -1)
    canvas[:, : dy.shape[1], : dy.shape[2]] = dy
    packed = panels(row_words(gradient))
    even = len(matrix) // 2 * 2
    pairs = [matrix_words(np.ascontiguousarray(matrix[i : i + even - 2].T)) for i in (0, 1)]
    dw = empty((size, size, padded, dy.shape[3]))
    for i, j in np.ndindex(size, size):
        apart = i * width + j
        words = pairs[apart % 2]
        place = address(words) + FLOAT * (apart // 2)
        _product(Words(place, words.shape[1], 1, pixels // 2, 0), packed, dw[i, j])
    return np.ascontiguousarray(dw[:, :, :channels]), bias_gradient(dy)
