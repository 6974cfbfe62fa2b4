"""The factors of a weight gradient in words, which are pairs of pixels; see bfloat16.py."""

from ..engine.launch import inline, replaced
from ..engine.records import Strided
from ..engine.simd import (
    COLUMNS,
    FLOAT,
    LANES,
    Address,
    Vector,
    load,
    load_index,
    load_part,
    store,
    store_part,
)
from ..engine.simd.functions import constant
from ..engine.simd.pairs import pair, sum_of_pair
from . import grad_weight


@inline
def gather_pairs(
    table: Address,
    count: int,
    runs: Address,
    first_run: int,
    last_run: int,
    buffer: Address,
    step: int,
) -> None:
    """See `gather_patches`: the words of patches 2i and 2i + 1 in one row; an odd one has zeros."""
    for i in range(0, count, 2):
        a, b = load_index(table, i), load_index(table, min(i + 1, count - 1))
        row, is_pair = buffer + FLOAT * (i // 2) * step, i + 1 < count
        for r in range(first_run, last_run):
            start, floats = load_index(runs, 2 * r), load_index(runs, 2 * r + 1)
            for c in range(0, floats, LANES):
                n, odd = floats - c, constant(0.0)
                if is_pair:
                    odd = load_part(b, start + c, n)
                store_part(row, c, pair(load_part(a, start + c, n), odd), n)
            row += FLOAT * floats


@inline
def pack_pairs(
    b: Strided, depth: int, columns: int, packed: Address, packed_depth: int, k_first: int
) -> None:
    """See `gemm.pack`: all of b, whose rows are contiguous, as words of its rows 2k and 2k + 1.

    The rows of words from `depth` to `packed_depth` are zeros.
    """
    half = (packed_depth + 1) // 2
    for j in range(0, columns, COLUMNS):
        n = columns - j
        width, panel = COLUMNS if n > LANES else LANES, packed + FLOAT * j * half
        for k in range(half):
            for i in range(0, width, LANES):
                even, odd = constant(0.0), constant(0.0)
                if 2 * k < depth:
                    even = load_part(b.data, 2 * k * b.row_step + j + i, n - i)
                if 2 * k + 1 < depth:
                    odd = load_part(b.data, (2 * k + 1) * b.row_step + j + i, n - i)
                store(panel, k * width + i, pair(even, odd))


@inline
def load_sum(p: Address, i: int) -> Vector:
    """The sums of the pairs of words."""
    return sum_of_pair(load(p, i))


_add_rows = inline(replaced(grad_weight.add_rows, "add_rows_of_pairs", load=load_sum))


@inline
def add_pairs(panels: Address, count: int, columns: int, sums: Address) -> None:
    """See `add_rows`: of words for `count` rows."""
    _add_rows(panels, (count + 1) // 2, columns, sums)
