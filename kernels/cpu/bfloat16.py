"""Products of bfloat16 numbers with sums in float32: twice the products per cycle.

A word, 32 bits, holds two bfloat16 numbers that are neighbors of a sum. Whatever moves floats moves
words too. So these kernels are those of float32, on arrays of words that are half as deep, and only
the innermost step differs: `tile[r] += a0[r] * b0[:] + a1[r] * b1[:]`, one instruction of AVX-512.

| pass            | sums over     | words of the left factor | words of the right factor |
|-----------------|---------------|--------------------------|---------------------------|
| forward         | channels of x | x[2c], x[2c + 1]         | w[2c, :], w[2c + 1, :]    |
| input gradient  | filters       | dy[2k], dy[2k + 1]       | w[:, 2k], w[:, 2k + 1]    |
| weight gradient | pixels of dy  | x[q], x[q + stride]      | dy[q], dy[q + 1], q even  |

Winograd's algorithm stays in float32: it needs fewer products than this saves.
"""

from typing import Any

from ..geometry import PaddingPairs, Window
from ..types import Array
from .direct import forward, grad_input, grad_weight, patches
from .engine import gemm
from .engine.arrays import Image, address, pixels
from .engine.launch import inline, kernel, replaced, task_range, threads_for
from .engine.memory import empty
from .engine.simd import FLOAT, LANES, Address, Vector, load, load_part, store_part, tile
from .engine.simd.functions import constant
from .engine.simd.pairs import add_pair_product, pair, store_rounded_part, sum_of_pair
from .matrix import outer_products, product, row_products
from .matrix import sums_of_products as sums_of_float_products

NO_PADDING: PaddingPairs = ((0, 0), (0, 0))


# -- the kernels of float32 with another innermost step -------------------------------------------

_add_products = replaced(tile.add_products, "add_pair_products", add_product=add_pair_product)


def _step(step: Any, name: str) -> Any:
    return tile.with_constants(replaced(step, name, add_products=_add_products))


_at = _step(tile.tile_multiply_at, "tile_multiply_pairs_at")
_wide, _narrow = (
    patches.always_inline(replaced(panel, f"{name}_pairs", tile_multiply_at=_at))
    for panel, name in ((patches.wide_patches, "wide"), (patches.narrow_patches, "narrow"))
)
_patches_times = patches.always_inline(
    replaced(patches.patches_times, "pairs_times", wide_patches=_wide, narrow_patches=_narrow)
)
_cells = patches.always_inline(
    replaced(grad_input.cell_products, "cell_pair_products", patches_times=_patches_times)
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
def _load_sum(p: Address, i: int) -> Vector:
    """The sums of the pairs of words."""
    return sum_of_pair(load(p, i))


@inline
def _load_part_sum(p: Address, i: int, n: int) -> Vector:
    return sum_of_pair(load_part(p, i, n))


_add_rows = inline(replaced(grad_weight.add_rows, "add_rows_of_pairs", load=_load_sum))

_patch_products = kernel(
    replaced(forward.patch_products, "patch_pair_products", patches_times=_patches_times)
)
_scatter_products = kernel(
    replaced(grad_input.scatter_products, "scatter_pair_products", cell_products=_cells)
)
_weight_products = kernel(
    replaced(
        grad_weight.weight_products, "weight_pair_products", multiply=_multiply, add_rows=_add_rows
    )
)
_row_products = kernel(replaced(row_products, "row_pair_products", multiply=_multiply))
_outer_products = kernel(
    replaced(outer_products, "outer_pair_products", multiply=_multiply, load_part=_load_part_sum)
)


# -- words ----------------------------------------------------------------------------------------


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
def _pair_pixels(
    task: int,
    tasks: int,
    x: Image,
    images: int,
    top: int,
    left: int,
    rows: int,
    width: int,
    advance: int,
    distance: int,
    to: Address,
) -> None:
    """to[n, p, q] = words (x[n, p - top, a], x[n, p - top, a + distance]), a = q advance - left.

    Pixels outside of the image are zeros.
    """
    first, last = task_range(images * rows * width, task, tasks)
    for m in range(first, last):
        n, row = m // (rows * width), m // width % rows - top
        a = m % width * advance - left
        b = a + distance
        has_row = 0 <= row < x.height
        line = x.data + FLOAT * (n * x.height + row) * x.width * x.step
        for c in range(0, x.channels, LANES):
            even, odd = constant(0.0), constant(0.0)
            if has_row and 0 <= a < x.width:
                even = load_part(line, a * x.step + c, x.channels - c)
            if has_row and 0 <= b < x.width:
                odd = load_part(line, b * x.step + c, x.channels - c)
            store_part(to, m * x.channels + c, pair(even, odd), x.channels - c)


def pixel_words(
    x: Array, rows: int, width: int, advance: int, distance: int, corner: tuple[int, int] = (0, 0)
) -> Array:
    """Words of pixels of a row: `(N, H, W, C)` -> `(N, rows, width, C)`.

    Word q is that of the pixels q * advance and q * advance + distance. corner: where the image
    begins in a border of zeros.
    """
    x, step = pixels(x)
    images, height, columns, channels = x.shape
    to = empty((images, rows, width, channels))
    source, tasks = (
        Image(address(x), step, height, columns, channels),
        threads_for(flops=2 * to.size),
    )
    _pair_pixels(tasks, source, images, *corner, rows, width, advance, distance, address(to))
    return to


def row_words(w: Array) -> Array:
    """Words of the rows 2c and 2c + 1 of weights: `(kH, kW, C, K)` -> `(kH, kW, C / 2, K)`."""
    kh, kw, depth, columns = w.shape
    rows = kh * kw * depth
    return pixel_words(w.reshape(1, 1, rows, columns), 1, rows // 2, 2, 1).reshape(
        kh, kw, depth // 2, columns
    )


# -- the passes -----------------------------------------------------------------------------------


def conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    groups: int,
    relu: bool,
    y: Array,
) -> None:
    """See `direct.conv2d`. The channels of a group are even in number."""
    words, geometry = neighbors(x, geometry.padding), geometry._replace(padding=NO_PADDING)
    forward.conv2d(words, row_words(w), scale, b, geometry, groups, relu, y, _patch_products)


def conv2d_grad_input(dy: Array, w: Array, geometry: Window, groups: int, dx: Array) -> None:
    """See `direct.conv2d_grad_input`. The filters of a group are even in number."""
    kernels = _patch_products, _scatter_products
    grad_input.conv2d_grad_input(neighbors(dy), neighbors(w), geometry, groups, dx, *kernels)


def conv2d_grad_weight(
    dy: Array, x: Array, geometry: Window, groups: int, dw: Array, db: Array
) -> None:
    """See `direct.conv2d_grad_weight`. db is the sum of the rounded dy."""
    if geometry.kernel == geometry.stride == (1, 1) and geometry.padding == NO_PADDING:
        # One row of all pixels: no image has an odd one that is alone.
        count = dy.shape[0] * dy.shape[1] * dy.shape[2]
        half = -(-count // 2)
        x, dy = (pixel_words(flat(a), 1, half, 2, 1) for a in (x, dy))
        geometry = geometry._replace(output=(1, half))
    else:
        (top, bottom), (left, right) = geometry.padding
        (rows, columns), (down, across) = geometry.output, geometry.stride
        size = top + x.shape[1] + bottom, left + x.shape[2] + right
        half = -(-columns // 2)
        x = pixel_words(x, *size, 1, across, (top, left))
        dy = pixel_words(dy, rows, half, 2, 1)
        geometry = geometry._replace(
            padding=NO_PADDING, stride=(down, 2 * across), output=(rows, half)
        )
    grad_weight.conv2d_grad_weight(dy, x, geometry, groups, dw, db, _weight_products)


def flat(x: Array) -> Array:
    """`(N, H, W, C)` -> `(1, 1, N * H * W, C)`."""
    return x.reshape(1, 1, -1, x.shape[3])


def linear(x: Array, w: Array, y: Array, bias: Address, relu: bool) -> None:
    """y = x w + bias, at least 0 with `relu`."""
    words = row_words(w.reshape(1, 1, *w.shape))
    b = address(words), w.shape[1], 1
    product(_rows(x), b, y, bias, relu, _row_products)


def linear_grad_input(dy: Array, w: Array, dx: Array) -> None:
    """dx = dy w^T."""
    words = _rows(w)
    product(_rows(dy), (address(words), 1, words.shape[1]), dx, run=_row_products)


def sums_of_products(dy: Array, x: Array) -> tuple[Array, Array]:
    """x^T dy and the sums of dy."""
    half = -(-len(x) // 2)
    dy, x = (pixel_words(a[None, None], 1, half, 2, 1)[0, 0] for a in (dy, x))
    return sums_of_float_products(dy, x, _outer_products)


def _rows(a: Array) -> Array:
    """Words of neighbors in the rows of a matrix."""
    return neighbors(a.reshape(len(a), 1, 1, -1)).reshape(len(a), -1)
