"""Matrix products of register tiles: the inner loops of convolution and of linear layers.

A tile of ROWS x COLUMNS results stays in registers while the sum runs over k. Each step loads one
row of b (VECTORS vectors) and multiplies it by ROWS broadcast numbers of a. To run at the machine's
peak, b is packed: panels of COLUMNS columns lie one after the other, each `[k][COLUMNS]`, padded
with zeros; the last one is half as wide if that is enough. (Goto & van de Geijn 2008, sections 4
and 5; here b's panel is what stays in the nearest cache.)
"""

from typing import NamedTuple

from ...types import Array
from .arrays import address
from .launch import inline, kernel, task_range, threads
from .memory import empty
from .simd import (
    COLUMNS,
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
)

FLOAT = 4  # bytes


class Epilogue(NamedTuple):
    """y = max(scale * y + bias, 0): addresses or 0, and whether to apply the maximum."""

    scale: Address
    bias: Address
    relu: int


PLAIN = Epilogue(0, 0, 0)


def epilogue_of(scale: Array | None, bias: Array | None, relu: bool, offset: int = 0) -> Epilogue:
    """The epilogue of the filters whose numbers start `offset` bytes into scale and bias."""
    return Epilogue(
        0 if scale is None else address(scale) + offset,
        0 if bias is None else address(bias) + offset,
        int(relu),
    )


def packed_columns(n: int) -> int:
    """How many columns n columns take when packed."""
    return -(-n // LANES) * LANES


@inline
def panel_tile(
    a: Address,
    row_step: int,
    k_step: int,
    b: Address,
    depth: int,
    c: Address,
    c_step: int,
    rows: int,
    n: int,
    add: int,
    bias: Address,
    relu: int,
) -> None:
    """c[rows, n] = sum over k of a[r * row_step + k * k_step] * b[k, :], n <= COLUMNS.

    `add`, `bias` and `relu` as in `tile_store`.
    """
    tile = tile_zeros(ROWS, VECTORS)
    for _ in range(depth):
        tile = tile_multiply(tile, ROWS, VECTORS, a, row_step, b)
        a += FLOAT * k_step
        b += FLOAT * COLUMNS
    tile_store(tile, VECTORS, c, c_step, rows, n, add, 0, bias, relu)


@inline
def half_panel_tile(
    a: Address,
    row_step: int,
    k_step: int,
    b: Address,
    depth: int,
    c: Address,
    c_step: int,
    rows: int,
    n: int,
    add: int,
    bias: Address,
    relu: int,
) -> None:
    """The same for a panel of LANES columns."""
    tile = tile_zeros(ROWS, 1)
    for _ in range(depth):
        tile = tile_multiply(tile, ROWS, 1, a, row_step, b)
        a += FLOAT * k_step
        b += FLOAT * LANES
    tile_store(tile, 1, c, c_step, rows, n, add, 0, bias, relu)


@inline
def multiply(
    a: Address,
    row_step: int,
    k_step: int,
    b: Address,
    b_depth: int,
    k_first: int,
    depth: int,
    c: Address,
    c_step: int,
    rows: int,
    columns: int,
    add: int,
    bias: Address,
    relu: int,
) -> None:
    """c[rows, columns] = a b; b is packed, b_depth deep, and used from row k_first to + depth.

    `add`, `bias` and `relu` as in `tile_store`. a must be readable up to a multiple of ROWS rows.
    """
    for j in range(0, columns, COLUMNS):
        n = columns - j
        bias_j = bias + FLOAT * j if bias != 0 else bias
        for r in range(0, rows, ROWS):
            at, to = a + FLOAT * r * row_step, c + FLOAT * (r * c_step + j)
            if n > LANES:
                panel = b + FLOAT * (j * b_depth + k_first * COLUMNS)
                panel_tile(
                    at, row_step, k_step, panel, depth, to, c_step, rows - r, n, add, bias_j, relu
                )
            else:
                panel = b + FLOAT * (j * b_depth + k_first * LANES)
                half_panel_tile(
                    at, row_step, k_step, panel, depth, to, c_step, rows - r, n, add, bias_j, relu
                )


@inline
def pack(
    b: Address,
    k_step: int,
    n_step: int,
    depth: int,
    columns: int,
    packed: Address,
    packed_depth: int,
    k_first: int,
) -> None:
    """Copy b, element (k, n) at b[k * k_step + n * n_step], into packed panels.

    They are packed_depth deep; b fills their rows from k_first on.
    """
    for j in range(0, columns, COLUMNS):
        n = columns - j
        width = COLUMNS if n > LANES else LANES
        panel = packed + FLOAT * (j * packed_depth + k_first * width)
        if n_step == 1:
            for k in range(depth):
                for i in range(0, width, LANES):
                    store(panel, k * width + i, load_part(b, k * k_step + j + i, n - i))
        else:
            for i in range(min(n, width)):
                for k in range(depth):
                    store_scalar(
                        panel, k * width + i, load_scalar(b, k * k_step + (j + i) * n_step)
                    )
            for i in range(n, width):
                for k in range(depth):
                    store_scalar(panel, k * width + i, 0.0)


@inline
def copy(source: Address, target: Address, n: int) -> None:
    """target[:n] = source[:n]; up to LANES - 1 floats behind the target's end are overwritten."""
    for i in range(0, n, LANES):
        store(target, i, load_part(source, i, n - i))


@kernel
def _pack_filter(
    task: int,
    tasks: int,
    w: Address,
    offsets: Address,
    taps: int,
    depth: int,
    k_step: int,
    n_step: int,
    columns: int,
    packed: Address,
) -> None:
    """Panels of all taps, one below the other, in portions of 64 rows."""
    portions = (depth + 63) // 64
    first, last = task_range(taps * portions, task, tasks)
    for unit in range(first, last):
        tap, k = unit // portions, unit % portions * 64
        source = w + FLOAT * (load_index(offsets, tap) + k * k_step)
        rows, k_first = min(depth - k, 64), tap * depth + k
        pack(source, k_step, n_step, rows, columns, packed, taps * depth, k_first)


def pack_filter(
    w: Array, offsets: Array, depth: int, k_step: int, n_step: int, columns: int
) -> Array:
    """The taps of `w` as packed panels, `len(offsets) * depth` deep.

    Element (k, n) of tap t is w[offsets[t] + k * k_step + n * n_step], counted in floats.
    """
    packed = empty(len(offsets) * depth * packed_columns(columns))
    tasks, taps = threads() if packed.size > 1 << 14 else 1, len(offsets)
    steps = depth, k_step, n_step, columns
    _pack_filter(tasks, address(w), address(offsets), taps, *steps, address(packed))
    return packed
