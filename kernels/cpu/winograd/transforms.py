"""Winograd's transforms of tiles, a vector of channels at a time.

Each function here returns a function for one F(m x m, r x r), in which the sizes are constants.
`a = m + r - 1` is the side of a transformed tile, and a `position` is one of its a * a numbers.
The transform of a tile by a matrix M is M t M^T, computed as (M t) M^T.
"""

from collections.abc import Callable

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
from .records import Panels, Stack, Tiles


@inline
def load_tile(x: Image, row: int, column: int, c: int, size: int, to: Address) -> None:
    """Copy size x size pixels from (row, column) on, LANES channels from c on; 0 outside of x.

    x is the Image at its first pixel; `to` is `(size, size, LANES)`.
    """
    for i in range(size):
        for j in range(size):
            inside = 0 <= row + i < x.height and 0 <= column + j < x.width
            pixel = ((row + i) * x.width + column + j) * x.step + c
            v = load(x.data, pixel) if inside else constant(0.0)
            store(to, (i * size + j) * LANES, v)


@inline
def tile_corner(tiles: Tiles, t: int, m: int) -> tuple[int, int, int]:
    """Image, row and column of the first result of tile t."""
    n, rest = t // (tiles.rows * tiles.columns), t % (tiles.rows * tiles.columns)
    return n, rest // tiles.columns * m, rest % tiles.columns * m


@inline
def image_at(x: Image, n: int) -> Image:
    """The n-th image of x."""
    data = x.data + FLOAT * n * x.height * x.width * x.step
    return Image(data, x.step, x.height, x.width, x.channels)


def tile_transform(matrix: Array, name: str) -> Callable[..., None]:
    """An inline function: target = M t M^T for a tile t of vectors, M `(outer, inner)`.

    Element (i, j) of t is at source[i * line + j * pixel], element (i, j) of the result at
    target[(i * outer + j) * step]. `half` is a buffer for M t.
    """
    outer, inner = matrix.shape
    apply = linear_map(matrix)

    def transform_tile(
        source: Address, pixel: int, line: int, half: Address, target: Address, step: int
    ) -> None:
        for j in range(inner):
            apply(source + FLOAT * j * pixel, line, half + FLOAT * j * LANES, inner * LANES)
        for i in range(outer):
            row = half + FLOAT * i * inner * LANES
            apply(row, LANES, target + FLOAT * i * outer * step, step)

    return inline(transform_tile, name, always=True)


def filter_transform(m: int, r: int, name: str) -> Callable:
    """A kernel: U[position] = G g G^T as packed panels.

    With `rotate`, the filter of the input gradient: w with channels and columns exchanged, and the
    kernel rotated by 180 degrees.
    """
    a = m + r - 1
    transform_tile = tile_transform(matrices(m, r)[1], f"{name}_transform_tile")

    def transpose_block(
        w: Address, n: int, k_first: int, channels: int, columns: int, square: Address
    ) -> None:
        """Copy LANES x LANES weights of every cell, rotated, to `square`."""
        size = channels * columns
        for cell in range(r * r):
            for lane in range(LANES):
                source = (r * r - 1 - cell) * size + (n + lane) * channels + k_first
                store(square, (cell * LANES + lane) * LANES, load(w, source))

    transpose_block = inline(transpose_block, f"{name}_transpose_block")

    def filters(
        task: int, tasks: int, w: Address, columns: int, rotate: bool, u: Panels, scratch: Address
    ) -> None:
        """See `filter_transform`."""
        channels, blocks = u.depth, u.depth // LANES
        first, last = task_range((columns + COLUMNS - 1) // COLUMNS * blocks, task, tasks)
        square = scratch + FLOAT * task * LANES * (r * r * LANES + r * r + a * r)
        tile = square + FLOAT * LANES * LANES * r * r
        half = tile + FLOAT * LANES * r * r
        for unit in range(first, last):
            panel, k_first = unit // blocks * COLUMNS, unit % blocks * LANES
            width = min(COLUMNS, columns - panel)
            for n in range(panel, panel + width, LANES):
                if rotate:
                    transpose_block(w, n, k_first, channels, columns, square)
                for k in range(LANES):
                    for cell in range(r * r):
                        if rotate:
                            for lane in range(LANES):
                                weight = load_scalar(square, (cell * LANES + lane) * LANES + k)
                                store_scalar(tile, cell * LANES + lane, weight)
                        else:
                            weights = (cell * channels + k_first + k) * columns + n
                            store(tile, cell * LANES, load(w, weights))
                    place = panel * channels + (k_first + k) * width + n - panel
                    target = u.data + FLOAT * place
                    transform_tile(tile, LANES, r * LANES, half, target, u.step)

    return filters


def input_transform(m: int, r: int, name: str) -> Callable:
    """An inline function: V[position, tile - first, :] = B^T d B of the tiles first...last.

    With `prefetch`, the lines of V are fetched some vectors ahead, for a V outside of the caches.
    """
    a = m + r - 1
    transform_tile = tile_transform(matrices(m, r)[2], f"{name}_transform_input_tile")

    def transform_input(
        x: Image, tiles: Tiles, first: int, last: int, v: Stack, scratch: Address, prefetch: int
    ) -> None:
        """See `input_transform`."""
        half = scratch + FLOAT * LANES * a * a
        for t in range(first, last):
            n, row, column = tile_corner(tiles, t, m)
            row, column, image = row - tiles.top, column - tiles.left, image_at(x, n)
            inside = row >= 0 and column >= 0 and row + a <= x.height and column + a <= x.width
            for c in range(0, x.channels, LANES):
                if inside:
                    source = image.data + FLOAT * ((row * x.width + column) * x.step + c)
                    pixel, line = x.step, x.width * x.step
                else:
                    load_tile(image, row, column, c, a, scratch)
                    source, pixel, line = scratch, LANES, a * LANES
                target = v.data + FLOAT * ((t - first) * v.row_step + c)
                for position in range(a * a if prefetch else 0):
                    prefetch_write(target + FLOAT * (position * v.step + 4 * LANES))
                transform_tile(source, pixel, line, half, target, v.step)

    return inline(transform_input, f"{name}_transform_input")


def inverse_transform(m: int, r: int, name: str) -> Callable:
    """An inline function: y = scale A^T M A + bias for one tile and panel, clipped to the image."""
    a = m + r - 1
    transform_tile = tile_transform(matrices(m, r)[0], f"{name}_transform_product")

    def invert_tile(
        middle: Address,
        step: int,
        n: int,
        row: int,
        column: int,
        y: Image,
        panel: int,
        epilogue: Epilogue,
        half: Address,
    ) -> None:
        """See `inverse_transform`; `middle` is the tile's first product, `step` its positions'."""
        result = half + FLOAT * LANES * m * a
        for k in range(0, min(COLUMNS, y.channels - panel), LANES):
            source = middle + FLOAT * k
            transform_tile(source, step, a * step, half, result, LANES)
            scale, bias = epilogue.scale, epilogue.bias
            factor = load(scale, panel + k) if scale != 0 else constant(1.0)
            shift = load(bias, panel + k) if bias != 0 else constant(0.0)
            for i in range(min(m, y.height - row)):
                for j in range(min(m, y.width - column)):
                    z = load(result, (i * m + j) * LANES) * factor + shift
                    if epilogue.bounds:
                        z = select_greater(constant(0.0), z, constant(0.0), z)
                    if epilogue.bounds == 2:
                        z = select_greater(z, constant(6.0), constant(6.0), z)
                    pixel = (n * y.height + row + i) * y.width + column + j
                    store(y.data, pixel * y.step + panel + k, z)

    return inline(invert_tile, f"{name}_invert_tile")


def products(m: int, r: int, name: str) -> Callable:
    """An inline function: y from V for the tiles first...last and one panel of filters."""
    a = m + r - 1
    invert_tile = inverse_transform(m, r, name)

    def prefetch_results(first: int, last: int, tiles: Tiles, y: Image, panel: int) -> None:
        """Fetch the cache lines of the results while the products are computed."""
        for t in range(first, last):
            n, row, column = tile_corner(tiles, t, m)
            corner = ((n * y.height + row) * y.width + column) * y.step + panel
            for i in range(m):
                for j in range(m):
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
        middle = scratch + FLOAT * (LANES * m * a + LANES * m * m)
        for position in range(a * a):
            t_first, t_last = task_range(last - first, position, a * a)
            prefetch_results(first + t_first, first + t_last, tiles, y, panel)
            rows = Strided(v.data + FLOAT * position * v.step, v.row_step, 1)
            filters = u.data + FLOAT * (position * u.step + panel * u.depth)
            place = middle + FLOAT * position * step
            to = Rows(place, COLUMNS, last - first, min(COLUMNS, y.channels - panel))
            multiply(rows, filters, u.depth, to, False, 0, False)
        for t in range(first, last):
            n, row, column = tile_corner(tiles, t, m)
            source = middle + FLOAT * (t - first) * COLUMNS
            invert_tile(source, step, n, row, column, y, panel, epilogue, scratch)

    return inline(multiply_and_invert, f"{name}_multiply_and_invert")


def gradient_transform(m: int, r: int, name: str) -> Callable:
    """A kernel: Z[position] = G dy G^T as packed panels, the filter of F(r x r, m x m)."""
    a = m + r - 1
    transform_tile = tile_transform(matrices(r, m)[1], f"{name}_transform_gradient_tile")

    def gradients(
        task: int, tasks: int, dy: Image, tiles: Tiles, first_tile: int, z: Panels, scratch: Address
    ) -> None:
        """See `gradient_transform`; z.depth tiles from first_tile on."""
        first, last = task_range(z.depth, task, tasks)
        tile = scratch + FLOAT * task * LANES * (m * m + a * m)
        half = tile + FLOAT * LANES * m * m
        for t in range(first, last):
            n, row, column = tile_corner(tiles, first_tile + t, m)
            for k in range(0, dy.channels, LANES):
                load_tile(image_at(dy, n), row, column, k, m, tile)
                panel = k // COLUMNS * COLUMNS
                width = COLUMNS if dy.channels - panel > LANES else LANES
                target = z.data + FLOAT * (panel * z.depth + t * width + k - panel)
                for position in range(a * a):
                    prefetch_write(target + FLOAT * (position * z.step + 2 * COLUMNS))
                transform_tile(tile, LANES, m * LANES, half, target, z.step)

    return gradients


def weight_transform(m: int, r: int, name: str) -> Callable:
    """A kernel: dw = A^T S A."""
    a = m + r - 1
    transform_tile = tile_transform(matrices(r, m)[0], f"{name}_transform_sums")

    def weights(
        task: int, tasks: int, s: Stack, channels: int, filters: int, dw: Address, scratch: Address
    ) -> None:
        """See `weight_transform`."""
        first, last = task_range(channels, task, tasks)
        half = scratch + FLOAT * task * LANES * (r * a + r * r)
        tile = half + FLOAT * LANES * r * a
        for c in range(first, last):
            for k in range(0, filters, LANES):
                at = c * filters + k
                source = s.data + FLOAT * at
                transform_tile(source, s.step, a * s.step, half, tile, LANES)
                for cell in range(r * r):
                    store(dw, cell * channels * filters + at, load(tile, cell * LANES))

    return weights
