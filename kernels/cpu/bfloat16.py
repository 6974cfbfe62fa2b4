"""Products of bfloat16 numbers with sums in float32: twice the products per cycle.

A word, 32 bits, holds two bfloat16 numbers that are neighbors of a sum. Whatever moves floats moves
words too. So these kernels are those of float32, on arrays of words that are half as deep, and only
the innermost step differs: `tile[r] += a0[r] * b0[:] + a1[r] * b1[:]`, one instruction of AVX-512.

| pass            | sums over     | words of the left factor | words of the right factor |
|-----------------|---------------|--------------------------|---------------------------|
| forward         | channels of x | x[2c], x[2c + 1]         | w[2c, :], w[2c + 1, :]    |
| input gradient  | filters       | dy[2k], dy[2k + 1]       | w[:, 2k], w[:, 2k + 1]    |
| weight gradient | pixels of dy  | patches 2m, 2m + 1       | dy[2m], dy[2m + 1]        |

Where the processor has matrix units, the passes run on those (matrix_units.py).

Winograd's algorithm stays in float32: it needs fewer products than this saves.
"""

from typing import Any

from ..geometry import Window
from ..types import Array
from . import (
    matrix_units,
    matrix_units_access,
    matrix_units_grad_input,
    matrix_units_grad_weight,
)
from .direct import forward, grad_input, grad_weight, patches, scatter
from .direct.pairs import add_pairs, gather_pairs, pack_pairs
from .engine import gemm
from .engine.arrays import address
from .engine.launch import inline, kernel, replaced
from .engine.records import Rows, Strided
from .engine.simd import Address, Vector, load_part, tile
from .engine.simd.pairs import add_pair_product, sum_of_pair
from .matrix import outer_products, product, row_products
from .matrix import sums_of_products as sums_of_float_products
from .words import NO_PADDING, matrix_words, neighbors, row_words

# -- the kernels of float32 with another innermost step -------------------------------------------

_add_products = replaced(tile.add_products, "add_pair_products", add_product=add_pair_product)


def _step(step: Any, name: str) -> Any:
    return tile.with_constants(replaced(step, name, add_products=_add_products))


_at = _step(tile.tile_multiply_at, "tile_multiply_pairs_at")
_wide, _narrow = (
    patches.always_inline(replaced(panel, f"{name}_pairs", tile_multiply_at=_at))
    for panel, name in ((patches.wide_patches, "wide"), (patches.narrow_patches, "narrow"))
)
_patches_times, _add_patches_times = (
    patches.always_inline(replaced(times, name, wide_patches=_wide, narrow_patches=_narrow))
    for times, name in (
        (patches.patches_times, "pairs_times"),
        (patches.add_patches_times, "add_pairs_times"),
    )
)
_cells = patches.always_inline(
    replaced(scatter.cell_products, "cell_pair_products", patches_times=_patches_times)
)
_by_buffer = patches.always_inline(
    replaced(scatter.add_by_buffer, "add_pairs_by_buffer", cell_products=_cells)
)
_in_place = patches.always_inline(
    replaced(scatter.add_in_place, "add_pairs_in_place", add_patches_times=_add_patches_times)
)
_from = _step(tile.tile_multiply, "tile_multiply_pairs")
_multiply = inline(
    replaced(
        gemm.multiply,
        "multiply_pairs",
        panel_tile=inline(replaced(gemm.panel_tile, "panel_of_pairs", tile_multiply=_from)),
        half_panel_tile=inline(
            replaced(gemm.half_panel_tile, "half_panel_of_pairs", tile_multiply=_from)
        ),
    )
)


@inline
def _load_part_sum(p: Address, i: int, n: int) -> Vector:
    """The sums of the pairs of words."""
    return sum_of_pair(load_part(p, i, n))


@inline
def _multiply_pairs(
    a: Strided, b: Address, depth: int, c: Rows, add: bool, bias: Address, relu: bool
) -> None:
    """See `gemm.multiply`: of words for `depth` products."""
    _multiply(a, b, (depth + 1) // 2, c, add, bias, relu)


_patch_products = kernel(
    replaced(forward.patch_products, "patch_pair_products", patches_times=_patches_times)
)
_scatters = scatter.ScatterKernels(
    *(
        kernel(replaced(scatter.scatter_products, name, add_by_buffer=add))
        for name, add in (("scatter_pairs", _by_buffer), ("scatter_pairs_in_place", _in_place))
    )
)
_weight_products = grad_weight.FLOATS._replace(
    run=kernel(
        replaced(
            grad_weight.weight_products,
            "weight_pair_products",
            gather_patches=gather_pairs,
            pack=pack_pairs,
            multiply=_multiply_pairs,
            add_rows=add_pairs,
        )
    )
)
_row_products = kernel(replaced(row_products, "row_pair_products", multiply=_multiply))
_outer_products = kernel(
    replaced(outer_products, "outer_pair_products", multiply=_multiply, load_part=_load_part_sum)
)


def rate() -> int:
    """Products per cycle, see `conv.cost`."""
    return 4 if matrix_units_access.unavailable() else matrix_units.RATE


# -- the passes -----------------------------------------------------------------------------------


def conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    groups: int,
    bounds: int,
    y: Array,
) -> None:
    """See `direct.conv2d`. The channels of a group are even in number."""
    if not matrix_units_access.unavailable():
        return matrix_units.conv2d(x, w, scale, b, geometry, groups, bounds, y)
    words, geometry = neighbors(x, geometry.padding), geometry._replace(padding=NO_PADDING)
    forward.conv2d(words, row_words(w), scale, b, geometry, groups, bounds, y, _patch_products)


def conv2d_grad_input(dy: Array, w: Array, geometry: Window, groups: int, dx: Array) -> None:
    """See `direct.conv2d_grad_input`. The filters of a group are even in number."""
    if not matrix_units_access.unavailable():
        return matrix_units_grad_input.conv2d_grad_input(dy, w, geometry, groups, dx)
    kernels = _patch_products, _scatters
    grad_input.conv2d_grad_input(neighbors(dy), neighbors(w), geometry, groups, dx, *kernels)


def conv2d_grad_weight(
    dy: Array, x: Array, geometry: Window, groups: int, dw: Array, db: Array
) -> None:
    """See `direct.conv2d_grad_weight`. db is the sum of the rounded dy."""
    on_units = not matrix_units_access.unavailable()
    kernel = matrix_units_grad_weight.WEIGHTS if on_units else _weight_products
    grad_weight.conv2d_grad_weight(dy, x, geometry, groups, dw, db, kernel)


def linear(x: Array, w: Array, y: Array, bias: Address, relu: bool) -> None:
    """y = x w + bias, at least 0 with `relu`."""
    if not matrix_units_access.unavailable():
        return matrix_units.linear(x, w, y, bias, relu)
    words = row_words(w)
    b = address(words), w.shape[1], 1
    product(matrix_words(x), b, y, bias, relu, _row_products)


def linear_grad_input(dy: Array, w: Array, dx: Array) -> None:
    """dx = dy w^T."""
    if not matrix_units_access.unavailable():
        return matrix_units.linear_grad_input(dy, w, dx)
    words = matrix_words(w)
    product(matrix_words(dy), (address(words), 1, words.shape[1]), dx, run=_row_products)


def sums_of_products(dy: Array, x: Array) -> tuple[Array, Array]:
    """x^T dy and the sums of dy."""
    if len(x) > matrix_units_grad_weight.FEW and not matrix_units_access.unavailable():
        return matrix_units_grad_weight.sums_of_products(dy, x)
    return sums_of_float_products(row_words(dy), row_words(x), _outer_products)
