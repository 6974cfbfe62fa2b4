"""Winograd's transforms of tiles, a vector of channels at a time.

Most functions here return a function for one F(m x n, r x s), in which the sizes are constants.
`a x b` is the size of a transformed tile, and a `position` is one of its a * b numbers. The
transform of a tile by matrices M for its columns and N for its rows is M t N^T, computed as
(M t) N^T.
"""

from collections.abc import Callable

from ...geometry import Pair
from ...types import Array
from ..engine.arrays import Image
from ..engine.gemm import multiply
from ..engine.launch import inline, task_range
from ..engine.records import Epilogue, Rows, Strided
from ..engine.simd import (
    COLUMNS,
    FLOAT,
    LANES,
    Address,
    load,
    load_scalar,
    prefetch_write,
    select_greater,
    store,
    store_scalar,
)
from ..engine.simd.functions import constant
from .matrices import linear_map, matrices
from .records import Filters, Gradient, Panels, Stack, Tiles
from .sizes import Sizes


@inline
def load_tile(x: Image, row: int, column: int, c: int, size: Pair, to: Address) -> None:
    """Copy `size` pixels from (row, column) on, LANES channels from c on; 0 outside of x.

    x is the Image at its first pixel; `to` is `(*size, LANES)`.
    """
    height, width = size
    for i in range(height):
        for j in range(width):
            inside = 0 <= row + i < x.height and 0 <= column + j < x.width
            pixel = ((row + i) * x.width + column + j) * x.step + c
            v = load(x.data, pixel) if inside else constant(0.0)
            store(to, (i * width + j) * LANES, v)


@inline
def tile_corner(tiles: Tiles, t: int, results: Pair) -> tuple[int, int, int]:
    """Image, row and column of the first result of tile t."""
    n, rest = t // (tiles.rows * tiles.columns), t % (tiles.rows * tiles.columns)
    return n, rest // tiles.columns * results[0], rest % tiles.columns * results[1]


@inline
def image_at(x: Image, n: int) -> Image:
    """The n-th image of x."""
    data = x.data + FLOAT * n * x.height * x.width * x.step
    return Image(data, x.step, x.height, x.width, x.channels)


def both_axes(which: int, sizes: Sizes) -> tuple[Array, Array]:
    """A^T, G or B^T (0, 1 or 2) of F(m, r), for the columns of a tile, and of F(n, s), its rows."""
    m, n = (matrices(*axis)[which] for axis in zip(*sizes, strict=True))
    return m, n


def tile_transform(pair: tuple[Array, Array], name: str) -> Callable[..., None]:
    """An inline function: target = M t N^T for a tile t of vectors.

    Element (i, j) of t is at source[i * line + j * pixel], element (i, j) of the result at
    target[(i * len(N) + j) * step]. `half` is a buffer for M t.
    """
    (rows, _), (columns, inner) = pair[0].shape, pair[1].shape
    apply_rows, apply_columns = linear_map(pair[0]), linear_map(pair[1])

    def transform_tile(
        source: Address, pixel: int, line: int, half: Address, target: Address, step: int
    ) -> None:
        for j in range(inner):
            apply_rows(source + FLOAT * j * pixel, line, half + FLOAT * j * LANES, inner * LANES)
        for i in range(rows):
            row = half + FLOAT * i * inner * LANES
            apply_columns(row, LANES, target + FLOAT * i * columns * step, step)

    return inline(transform_tile, name, always=True)


def filter_scratch(sizes: Sizes) -> int:
    """Floats that the function of `filter_transform` needs."""
    (r, s), a = sizes.kernel, sizes.tile[0]
    return LANES * (r * s * (LANES + 1) + a * s)


def filter_transform(sizes: Sizes, name: str) -> Callable:
    """An inline function: U[position] = G g G^T, packed, for some channels of one panel."""
    r, s = sizes.kernel
    transform_tile = tile_transform(both_axes(1, sizes), f"{name}_transform_tile")

    def transpose_block(
        w: Address, n: int, k_first: int, channels: int, columns: int, square: Address
    ) -> None:
        """Copy LANES x LANES weights of every cell, rotated, to `square`."""
        size = channels * columns
        for cell in range(r * s):
            for lane in range(LANES):
                source = (r * s - 1 - cell) * size + (n + lane) * channels + k_first
                store(square, (cell * LANES + lane) * LANES, load(w, source))

    transpose_block = inline(transpose_block, f"{name}_transpose_block")

    def transform_filters(
        w: Filters, panel: int, first: int, last: int, u: Panels, square: Address
    ) -> None:
        """See `filter_transform`; the channels first...last, and the panel's columns."""
        channels, columns = u.depth, w.columns
        tile = square + FLOAT * LANES * LANES * r * s
        half = tile + FLOAT * LANES * r * s
        width = min(COLUMNS, columns - panel)
        for k_first in range(first, last, LANES):
            for n in range(panel, panel + width, LANES):
                if w.rotate:
                    transpose_block(w.data, n, k_first, channels, columns, square)
                for k in range(LANES):
                    for cell in range(r * s):
                        if w.rotate:
                            for lane in range(LANES):
                                weight = load_scalar(square, (cell * LANES + lane) * LANES + k)
                                store_scalar(tile, cell * LANES + lane, weight)
                        else:
                            weights = (cell * channels + k_first + k) * columns + n
                            store(tile, cell * LANES, load(w.data, weights))
                    place = panel * channels + (k_first + k) * width + n - panel
                    target = u.data + FLOAT * place
                    transform_tile(tile, LANES, s * LANES, half, target, u.step)

    return inline(transform_filters, f"{name}_transform_filters")


def input_transform(sizes: Sizes, name: str) -> Callable:
    """An inline function: V[position, tile - first, :] = B^T d B of the tiles first...last.

    With `prefetch`, the lines of V are fetched some vectors ahead, for a V outside of the caches.
    """
    results, size, positions = sizes.results, sizes.tile, sizes.positions
    height, width = size
    transform_tile = tile_transform(both_axes(2, sizes), f"{name}_transform_input_tile")

    def transform_input(
        x: Image, tiles: Tiles, first: int, last: int, v: Stack, scratch: Address, prefetch: int
    ) -> None:
        """See `input_transform`."""
        half = scratch + FLOAT * LANES * positions
        for t in range(first, last):
            n, row, column = tile_corner(tiles, t, results)
            row, column, image = row - tiles.top, column - tiles.left, image_at(x, n)
            bottom, right = row + height, column + width
            inside = row >= 0 and column >= 0 and bottom <= x.height and right <= x.width
            for c in range(0, x.channels, LANES):
                if inside:
                    source = image.data + FLOAT * ((row * x.width + column) * x.step + c)
                    pixel, line = x.step, x.width * x.step
                else:
                    load_tile(image, row, column, c, size, scratch)
                    source, pixel, line = scratch, LANES, width * LANES
                target = v.data + FLOAT * ((t - first) * v.row_step + c)
                for position in range(positions if prefetch else 0):
                    prefetch_write(target + FLOAT * (position * v.step + 4 * LANES))
                transform_tile(source, pixel, line, half, target, v.step)

    return inline(transform_input, f"{name}_transform_input")


def inverse_scratch(sizes: Sizes) -> int:
    """Floats per task that the functions of `inverse_transform` and `weight_transform` need."""
    (m, n), b = sizes.results, sizes.tile[1]
    return LANES * (m * b + m * n)


def inverse_transform(sizes: Sizes, name: str) -> Callable:
    """An inline function: y = scale A^T M A + bias for one tile and panel, clipped to the image."""
    (m, n), b = sizes.results, sizes.tile[1]
    transform_tile = tile_transform(both_axes(0, sizes), f"{name}_transform_product")

    def invert_tile(
        middle: Address,
        step: int,
        corner: tuple[int, int, int],
        y: Image,
        panel: int,
        epilogue: Epilogue,
        half: Address,
    ) -> None:
        """See `inverse_transform`; `middle` is the tile's first product, `step` its positions'."""
        result = half + FLOAT * LANES * m * b
        image, row, column = corner
        for k in range(0, min(COLUMNS, y.channels - panel), LANES):
            source = middle + FLOAT * k
            transform_tile(source, step, b * step, half, result, LANES)
            scale, bias = epilogue.scale, epilogue.bias
            factor = load(scale, panel + k) if scale != 0 else constant(1.0)
            shift = load(bias, panel + k) if bias != 0 else constant(0.0)
            for i in range(min(m, y.height - row)):
                for j in range(min(n, y.width - column)):
                    z = load(result, (i * n + j) * LANES) * factor + shift
                    if epilogue.bounds:
                        z = select_greater(constant(0.0), z, constant(0.0), z)
                    if epilogue.bounds == 2:
                        z = select_greater(z, constant(6.0), constant(6.0), z)
                    pixel = (image * y.height + row + i) * y.width + column + j
                    store(y.data, pixel * y.step + panel + k, z)

    return inline(invert_tile, f"{name}_invert_tile")


def products(sizes: Sizes, name: str) -> Callable:
    """An inline function: y from V for the tiles first...last and one panel of filters."""
    results, positions, inverse = sizes.results, sizes.positions, inverse_scratch(sizes)
    invert_tile = inverse_transform(sizes, name)

    def prefetch_results(first: int, last: int, tiles: Tiles, y: Image, panel: int) -> None:
        """Fetch the cache lines of the results while the products are computed."""
        for t in range(first, last):
            image, row, column = tile_corner(tiles, t, results)
            corner = ((image * y.height + row) * y.width + column) * y.step + panel
            for i in range(results[0]):
                for j in range(results[1]):
                    for k in range(0, min(COLUMNS, y.channels - panel), LANES):
                        pixel = corner + (i * y.width + j) * y.step
                        prefetch_write(y.data + FLOAT * (pixel + k))

    prefetch_results = inline(prefetch_results, f"{name}_prefetch_results")

    def multiply_and_invert(
        v: Stack,
        u: Panels,
        panel: int,
        first: int,
        last: int,
        tiles: Tiles,
        y: Image,
        epilogue: Epilogue,
        scratch: Address,
        step: int,
    ) -> None:
        """See `products`; the products' positions are `step` floats apart in `scratch`."""
        middle = scratch + FLOAT * inverse
        for position in range(positions):
            t_first, t_last = task_range(last - first, position, positions)
            prefetch_results(first + t_first, first + t_last, tiles, y, panel)
            rows = Strided(v.data + FLOAT * position * v.step, v.row_step, 1)
            filters = u.data + FLOAT * (position * u.step + panel * u.depth)
            place = middle + FLOAT * position * step
            to = Rows(place, COLUMNS, last - first, min(COLUMNS, y.channels - panel))
            multiply(rows, filters, u.depth, to, False, 0, False)
        for t in range(first, last):
            source = middle + FLOAT * (t - first) * COLUMNS
            corner = tile_corner(tiles, t, results)
            invert_tile(source, step, corner, y, panel, epilogue, scratch)

    return inline(multiply_and_invert, f"{name}_multiply_and_invert")


def gradient_transform(sizes: Sizes, name: str) -> Callable:
    """An inline function: Z[position] = G dy G^T, packed, the filter of F(r x s, m x n).

    The tiles first...last become the rows from `row` on of the panels. With `prefetch`, the lines
    of Z are fetched two rows ahead.
    """
    results, positions = sizes.results, sizes.positions
    m, n = results
    matrices_g = both_axes(1, sizes.exchanged)
    transform_tile = tile_transform(matrices_g, f"{name}_transform_gradient_tile")

    def transform_gradient(
        dy: Image,
        tiles: Tiles,
        first: int,
        last: int,
        z: Panels,
        row: int,
        scratch: Address,
        prefetch: int,
    ) -> None:
        """See `gradient_transform`."""
        half = scratch + FLOAT * LANES * m * n
        for t in range(first, last):
            image, top, left = tile_corner(tiles, t, results)
            for k in range(0, dy.channels, LANES):
                load_tile(image_at(dy, image), top, left, k, results, scratch)
                panel = k // COLUMNS * COLUMNS
                width = COLUMNS if dy.channels - panel > LANES else LANES
                place = panel * z.depth + (row + t - first) * width + k - panel
                target = z.data + FLOAT * place
                for position in range(positions if prefetch else 0):
                    prefetch_write(target + FLOAT * (position * z.step + 2 * COLUMNS))
                transform_tile(scratch, LANES, n * LANES, half, target, z.step)

    return inline(transform_gradient, f"{name}_transform_gradient")


def weight_transform(sizes: Sizes, name: str) -> Callable:
    """An inline function: dw = A^T S A for some channels and filters."""
    (r, s), b = sizes.kernel, sizes.tile[1]
    transform_tile = tile_transform(both_axes(0, sizes.exchanged), f"{name}_transform_sums")

    def invert_sums(
        sums: Stack, rows: int, columns: int, dw: Gradient, c: int, k: int, half: Address
    ) -> None:
        """See `weight_transform`; dw[:, :, c : c + rows, k : k + columns] from all of `sums`."""
        tile = half + FLOAT * LANES * r * b
        for i in range(rows):
            for j in range(0, columns, LANES):
                source = sums.data + FLOAT * (i * sums.row_step + j)
                transform_tile(source, sums.step, b * sums.step, half, tile, LANES)
                for cell in range(r * s):
                    at = (cell * dw.channels + c + i) * dw.filters + k + j
                    store(dw.data, at, load(tile, cell * LANES))

    return inline(invert_sums, f"{name}_invert_sums")
