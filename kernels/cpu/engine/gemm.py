"""Matrix products of register tiles: the inner loops of convolution and of linear layers.

A tile of ROWS x COLUMNS results stays in registers while the sum runs over k. Each step loads one
row of b (VECTORS vectors) and multiplies it by ROWS broadcast numbers of a. To run at the machine's
peak, b is packed into panels of COLUMNS columns, each `(k, COLUMNS)` and contiguous, padded with
zeros; the last one is half as wide if that is enough. (Goto & van de Geijn 2008, sections 4 and 5;
here a panel of b stays in the nearest cache.)
"""

from collections.abc import Callable

from ...types import Array
from .arrays import address
from .launch import inline, kernel, task_range
from .memory import empty
from .records import Epilogue, Rows, Strided
from .simd import (
    COLUMNS,
    FLOAT,
    LANES,
    ROWS,
    VECTORS,
    Address,
    load_index,
    load_part,
    load_scalar,
    store,
    store_scalar,
    tile_multiply,
    tile_store,
    tile_zeros,
    transpose,
)
from .threads import threads_for


def packed_columns(n: int) -> int:
    """n columns, rounded up to whole vectors."""
    return -(-n // LANES) * LANES


def _panel_tile(vectors: int, name: str) -> Callable[..., None]:
    """The product of one tile and one panel of `vectors` vectors, a constant, per row.

    It stays a call. Inlined, the weight gradient of a 512x512 layer for 4 images takes 22 us
    instead of 16 us.
    """

    def tile_times_panel(
        a: Strided, b: Address, depth: int, c: Rows, add: bool, bias: Address, relu: bool
    ) -> None:
        """The first ROWS rows of c, all its columns = a b; see `tile_store`."""
        tile, column = tile_zeros(ROWS, vectors), a.data
        for _ in range(depth):
            tile = tile_multiply(tile, ROWS, vectors, column, a.row_step, b)
            column += FLOAT * a.column_step
            b += FLOAT * LANES * vectors
        # Scale is the constant 0: the compiler removes its code.
        tile_store(tile, vectors, c, Epilogue(add, 0, bias, relu))

    return inline(tile_times_panel, name)


panel_tile = _panel_tile(VECTORS, "panel_tile")
half_panel_tile = _panel_tile(1, "half_panel_tile")


@inline
def multiply(
    a: Strided, b: Address, depth: int, c: Rows, add: bool, bias: Address, relu: bool
) -> None:
    """c = a b `(rows, depth) (depth, columns)`, b packed, plus c if `add`, plus a bias unless 0.

    The tiles of one panel follow each other: the panel is read from the nearest cache. a must be
    readable up to a multiple of ROWS rows.
    """
    for j in range(0, c.columns, COLUMNS):
        n, panel = c.columns - j, b + FLOAT * j * depth
        bias_j = bias + FLOAT * j if bias != 0 else bias
        for r in range(0, c.rows, ROWS):
            rows = Strided(a.data + FLOAT * r * a.row_step, a.row_step, a.column_step)
            to = Rows(c.data + FLOAT * (r * c.step + j), c.step, c.rows - r, n)
            if n > LANES:
                panel_tile(rows, panel, depth, to, add, bias_j, relu)
            else:
                half_panel_tile(rows, panel, depth, to, add, bias_j, relu)


@inline
def pack_columns(b: Strided, depth: int, columns: int, panel: Address, width: int) -> None:
    """Copy columns of b to a vector per row of the panel, `width` floats apart."""
    whole = depth // LANES * LANES if b.row_step == 1 and columns >= LANES else 0
    for k in range(0, whole, LANES):
        transpose(b.data + FLOAT * k, b.column_step, panel + FLOAT * k * width, width)
    for i in range(min(columns, LANES)):
        for k in range(whole, depth):
            store_scalar(
                panel, k * width + i, load_scalar(b.data, k * b.row_step + i * b.column_step)
            )
    for i in range(max(columns, 0), LANES):
        for k in range(depth):
            store_scalar(panel, k * width + i, 0.0)


@inline
def pack(
    b: Strided, depth: int, columns: int, packed: Address, packed_depth: int, k_first: int
) -> None:
    """Copy b `(depth, columns)` into packed panels.

    The panels are packed_depth deep; b fills their rows from k_first on.
    """
    for j in range(0, columns, COLUMNS):
        n = columns - j
        width = COLUMNS if n > LANES else LANES
        panel = packed + FLOAT * (j * packed_depth + k_first * width)
        if b.column_step == 1:
            for k in range(depth):
                for i in range(0, width, LANES):
                    v = load_part(b.data, k * b.row_step + j + i, n - i)
                    store(panel, k * width + i, v)
        else:
            column = b.data + FLOAT * j * b.column_step
            for i in range(0, width, LANES):
                columns_i = Strided(column + FLOAT * i * b.column_step, b.row_step, b.column_step)
                pack_columns(columns_i, depth, n - i, panel + FLOAT * i, width)


@kernel
def _pack_filter(
    task: int,
    tasks: int,
    w: Strided,
    offsets: Address,
    taps: int,
    depth: int,
    columns: int,
    packed: Address,
) -> None:
    """Panels of all taps, one below the other. Tasks share portions of 64 rows."""
    portions = (depth + 63) // 64
    first, last = task_range(taps * portions, task, tasks)
    for unit in range(first, last):
        tap, k = unit // portions, unit % portions * 64
        source = w.data + FLOAT * (load_index(offsets, tap) + k * w.row_step)
        rows, k_first = min(depth - k, 64), tap * depth + k
        part = Strided(source, w.row_step, w.column_step)
        pack(part, rows, columns, packed, taps * depth, k_first)


def pack_filter(
    w: Array, offsets: Array, depth: int, k_step: int, n_step: int, columns: int
) -> Array:
    """The taps of `w` as packed panels, `len(offsets) * depth` deep.

    Element (k, n) of tap t is w[offsets[t] + k * k_step + n * n_step], counted in floats.
    """
    packed = empty(len(offsets) * depth * packed_columns(columns))
    tasks, taps = threads_for(bytes=packed.nbytes), len(offsets)
    source = Strided(address(w), k_step, n_step)
    _pack_filter(tasks, source, address(offsets), taps, depth, columns, address(packed))
    return packed
