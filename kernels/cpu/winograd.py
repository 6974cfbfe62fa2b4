"""Convolution with fewer multiplications (Winograd 1980; Lavin & Gray 2015): F(m x m, r x r) makes m x m results of an r x r kernel from
(m + r - 1)^2 products where the sum has m^2 r^2.

    Y = A^T [ (G g G^T) * (B^T d B) ] A

Products with different channels are summed before the way back, so that the middle is (m + r - 1)^2 matrix products: for each position of
the transformed tile, `(tiles, C) x (C, K)`. F(4x4, 3x3) multiplies 36 numbers instead of 144, F(2x2, 3x3) 16 instead of 36,
F(2x2, 5x5) 36 instead of 100.

The weight gradient is the same algorithm with other roles: its r x r results are sums over m x m gradients, F(r x r, m x m).

The matrices come from polynomial interpolation at the points 0, 1, -1, 2, -2, infinity (Toom-Cook); see `matrices`. Few points, and small
ones: the error grows with them, to 3e-6 for F(4x4, 3x3) against 3e-7 of the plain sum.

Where the transformed filters are small, each task takes some tiles at a time through all steps in its own cache (`whole`). Large filters
have to be fetched, and should be fetched once: then tiles are taken in batches whose transforms stay in the last-level cache, tasks first
share the tiles to transform (`images`) and then the panels of filters, each panel's products going back while they are near (`products`).
"""

import functools
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from .engine.arrays import address, pixel_step, pixels
from .engine.functions import constant
from .engine.gemm import COLUMNS, FLOAT, multiply
from .engine.launch import inline, kernel, share, threads
from .engine.memory import empty
from .engine.simd import (
    LANES,
    fetch_to_write,
    get,
    linear_map,
    load,
    load_part,
    mixed,
    put,
    rectify,
    store,
)

POINTS = (0, 1, -1, 2, -2)
SMALL_FILTERS = (
    1 << 20
)  # floats of transformed filters up to which a task takes its tiles through all steps by itself
SMALL_BATCH, LARGE_BATCH = 1 << 20, 1 << 22  # floats of transformed input that are made at a time
STRIP = 128  # rows of the weight gradient's matrices that are one unit of work
SUBBATCH = 48  # tiles whose products one task holds
PAD = APART = 16  # floats: a cache line, see `apart`


def matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T `(m, a)`, G `(a, r)` and B^T `(a, a)` of F(m, r), a = m + r - 1.

    A product of polynomials of degrees m - 1 and r - 1 is known by its values at a - 1 points and its leading coefficient ("infinity"):
    A and G evaluate the factors, B interpolates. F(m, r) is that product transposed, which makes a correlation of it.
    Rows of G carry the interpolation's denominators.
    """
    a = m + r - 1
    points = [Fraction(p) for p in POINTS[: a - 1]]

    def monic(roots):
        """The coefficients of prod (x - root), lowest first."""
        coefficients = [Fraction(1)]
        for root in roots:
            raised, scaled = (
                [Fraction(0), *coefficients],
                [root * c for c in coefficients] + [Fraction(0)],
            )
            coefficients = [u - v for u, v in zip(raised, scaled, strict=True)]
        return coefficients

    def powers(p, count):
        return [p**i for i in range(count)]

    at = [[*(p**i for p in points), Fraction(int(i == m - 1))] for i in range(m)]
    g = [[v / math.prod(p - q for q in points if q != p) for v in powers(p, r)] for p in points]
    g.append([Fraction(int(j == r - 1)) for j in range(r)])
    bt = [[*monic([q for q in points if q != p]), Fraction(0)] for p in points] + [monic(points)]
    return tuple(np.array([[float(v) for v in row] for row in matrix]) for matrix in (at, g, bt))


class Variant(NamedTuple):
    """The kernels of one F(m x m, r x r)."""

    m: int
    r: int
    filters: kernel
    images: kernel
    products: kernel
    whole: kernel
    gradients: kernel
    sums: kernel


@inline
def load_tile(x, ld, height, width, row, column, c, size, to):
    """The size x size pixels from (row, column) on, LANES channels from c on, to `to` `(size, size, LANES)`; zeros outside the image."""
    for i in range(size):
        for j in range(size):
            inside = 0 <= row + i < height and 0 <= column + j < width
            v = load(x, ((row + i) * width + column + j) * ld + c) if inside else constant(0.0)
            store(to, (i * size + j) * LANES, v)


def _named(function, name: str) -> kernel:
    """A kernel from a function that is defined once for each variant."""
    function.__name__ = function.__qualname__ = name
    return kernel(function)


@functools.cache
def variant(m: int, r: int) -> Variant:
    """F(m x m, r x r) with kernels of its own: the sizes are constants in them."""
    a = m + r - 1
    at, g, bt = matrices(m, r)
    to_results, filter_map, image_map = linear_map(at), linear_map(g), linear_map(bt)
    # For the weight gradient F(r x r, m x m): the gradients' tile is the filter.
    at, g, _ = matrices(r, m)
    to_weights, gradient_map = linear_map(at), linear_map(g)

    def filters(task, tasks, w, channels, columns, rotate, u, step, scratch):
        """U[position] = G g G^T as packed panels, `channels` deep, `step` floats apart.

        With `rotate` channels and columns change places in w and the kernel is turned by 180 degrees: the input gradient's filter.
        """
        blocks = channels // LANES
        first, last = share((columns + COLUMNS - 1) // COLUMNS * blocks, task, tasks)
        square = scratch + FLOAT * task * LANES * (r * r * LANES + r * r + a * r)
        tile = square + FLOAT * LANES * LANES * r * r
        half = tile + FLOAT * LANES * r * r
        size = channels * columns
        for unit in range(first, last):
            panel, k_first = unit // blocks * COLUMNS, unit % blocks * LANES
            width = min(COLUMNS, columns - panel)
            for n in range(panel, panel + width, LANES):
                if rotate:
                    for cell in range(r * r):
                        for lane in range(LANES):
                            source = (r * r - 1 - cell) * size + (n + lane) * channels + k_first
                            store(square, (cell * LANES + lane) * LANES, load(w, source))
                for k in range(LANES):
                    for cell in range(r * r):
                        if rotate:
                            for lane in range(LANES):
                                put(
                                    tile,
                                    cell * LANES + lane,
                                    get(square, (cell * LANES + lane) * LANES + k),
                                )
                        else:
                            store(
                                tile,
                                cell * LANES,
                                load(w, cell * size + (k_first + k) * columns + n),
                            )
                    for j in range(r):
                        filter_map(
                            tile + FLOAT * j * LANES, r * LANES, half + FLOAT * j * LANES, r * LANES
                        )
                    target = u + FLOAT * (panel * channels + (k_first + k) * width + n - panel)
                    for i in range(a):
                        filter_map(
                            half + FLOAT * i * r * LANES, LANES, target + FLOAT * i * a * step, step
                        )

    def transform(
        x,
        ld,
        height,
        width,
        channels,
        rows,
        columns,
        top,
        left,
        first,
        last,
        v,
        v_step,
        step,
        scratch,
        far,
    ):
        """V[position, tile - first, :] = B^T d B of the tiles first...last; rows x columns tiles cover an image.

        If V lies `far`, in no near cache, its lines are asked for some vectors ahead.
        """
        half = scratch + FLOAT * LANES * a * a
        for t in range(first, last):
            n, rest = t // (rows * columns), t % (rows * columns)
            row, column = rest // columns * m - top, rest % columns * m - left
            image = x + FLOAT * n * height * width * ld
            inside = row >= 0 and column >= 0 and row + a <= height and column + a <= width
            for c in range(0, channels, LANES):
                if inside:
                    for j in range(a):
                        source = image + FLOAT * ((row * width + column + j) * ld + c)
                        image_map(source, width * ld, half + FLOAT * j * LANES, a * LANES)
                else:
                    load_tile(image, ld, height, width, row, column, c, a, scratch)
                    for j in range(a):
                        image_map(
                            scratch + FLOAT * j * LANES,
                            a * LANES,
                            half + FLOAT * j * LANES,
                            a * LANES,
                        )
                target = v + FLOAT * ((t - first) * v_step + c)
                for position in range(a * a if far else 0):
                    fetch_to_write(target + FLOAT * (position * step + 4 * LANES))
                for i in range(a):
                    image_map(
                        half + FLOAT * i * a * LANES, LANES, target + FLOAT * i * a * step, step
                    )

    def finish(v, v_step, v_position, u, u_position, channels, filters, panel, first, last, rows, columns,
               y, y_ld, height, width, scale, bias, relu, scratch, step):  # fmt: skip
        """The products of the tiles first...last with one panel of filters, and y = scale A^T M A + bias for their pixels that exist."""
        half = scratch
        result = half + FLOAT * LANES * m * a
        middle = result + FLOAT * LANES * m * m
        wide = min(COLUMNS, filters - panel)
        for position in range(a * a):
            t_first, t_last = share(last - first, position, a * a)
            for t in range(
                first + t_first, first + t_last
            ):  # the lines that results go to arrive while products are computed
                n, rest = t // (rows * columns), t % (rows * columns)
                corner = (
                    (n * height + rest // columns * m) * width + rest % columns * m
                ) * y_ld + panel
                for i in range(m):
                    for j in range(m):
                        for k in range(0, wide, LANES):
                            fetch_to_write(y + FLOAT * (corner + (i * width + j) * y_ld + k))
            multiply(
                v + FLOAT * position * v_position, v_step, 1,
                u + FLOAT * (position * u_position + panel * channels), channels, 0, channels,
                middle + FLOAT * position * step, COLUMNS, last - first, wide, 0, 0, 0,
            )  # fmt: skip
        for t in range(first, last):
            n, rest = t // (rows * columns), t % (rows * columns)
            row, column = rest // columns * m, rest % columns * m
            for k in range(0, wide, LANES):
                for j in range(a):
                    source = middle + FLOAT * (j * step + (t - first) * COLUMNS + k)
                    to_results(source, a * step, half + FLOAT * j * LANES, a * LANES)
                for i in range(m):
                    to_results(
                        half + FLOAT * i * a * LANES, LANES, result + FLOAT * i * m * LANES, LANES
                    )
                factor = load(scale, panel + k) if scale != 0 else constant(1.0)
                shift = load(bias, panel + k) if bias != 0 else constant(0.0)
                for i in range(min(m, height - row)):
                    for j in range(min(m, width - column)):
                        z = load(result, (i * m + j) * LANES) * factor + shift
                        if relu:
                            z = rectify(z)
                        store(
                            y, ((n * height + row + i) * width + column + j) * y_ld + panel + k, z
                        )

    def images(
        task,
        tasks,
        x,
        ld,
        height,
        width,
        channels,
        rows,
        columns,
        top,
        left,
        first_tile,
        tiles,
        v,
        v_step,
        step,
        scratch,
    ):
        """V of `tiles` tiles from first_tile on; tasks share out the tiles."""
        first, last = share(tiles, task, tasks)
        mine = scratch + FLOAT * task * LANES * 2 * a * a
        transform(
            x, ld, height, width, channels, rows, columns, top, left, first_tile + first, first_tile + last,
            v + FLOAT * first * v_step, v_step, step, mine, True,
        )  # fmt: skip

    def products(
        task, tasks, v, v_step, v_position, u, u_position, channels, filters, tiles, subbatch, first_tile, rows, columns,
        y, y_ld, height, width, scale, bias, relu, scratch,
    ):  # fmt: skip
        """y from V; tasks share out the panels of filters, and the subbatches of tiles for each."""
        portions = (tiles + subbatch - 1) // subbatch
        first, last = share((filters + COLUMNS - 1) // COLUMNS * portions, task, tasks)
        step = subbatch * COLUMNS + APART
        mine = scratch + FLOAT * task * (LANES * (m * a + m * m) + a * a * step)
        for unit in range(first, last):
            start = unit % portions * subbatch
            finish(
                v + FLOAT * start * v_step, v_step, v_position, u, u_position, channels, filters, unit // portions * COLUMNS,
                first_tile + start, first_tile + min(start + subbatch, tiles), rows, columns,
                y, y_ld, height, width, scale, bias, relu, mine, step,
            )  # fmt: skip

    def whole(
        task, tasks, x, ld, x_height, x_width, top, left, u, u_position, channels, filters, tiles, subbatch, rows, columns,
        y, y_ld, height, width, scale, bias, relu, scratch,
    ):  # fmt: skip
        """y from x: a subbatch of tiles goes all the way in a task's own cache; for filters that stay there as well."""
        first, last = share((tiles + subbatch - 1) // subbatch, task, tasks)
        v_step = channels + PAD
        v_position = subbatch * v_step + (0 if subbatch * v_step // APART % 2 else APART)
        step = subbatch * COLUMNS + APART
        v = scratch + FLOAT * task * (
            (a * a + 1) * v_position + LANES * (m * a + m * m) + a * a * step + LANES * 2 * a * a
        )
        mine = v + FLOAT * (a * a + 1) * v_position
        for unit in range(first, last):
            start, end = unit * subbatch, min((unit + 1) * subbatch, tiles)
            transform(
                x,
                ld,
                x_height,
                x_width,
                channels,
                rows,
                columns,
                top,
                left,
                start,
                end,
                v,
                v_step,
                v_position,
                mine,
                False,
            )
            for panel in range(0, filters, COLUMNS):
                finish(
                    v, v_step, v_position, u, u_position, channels, filters, panel, start, end, rows, columns,
                    y, y_ld, height, width, scale, bias, relu, mine, step,
                )  # fmt: skip

    def gradients(
        task,
        tasks,
        dy,
        ld,
        height,
        width,
        filters,
        rows,
        columns,
        first_tile,
        tiles,
        z,
        step,
        scratch,
    ):
        """Z[position] = G dy G^T as packed panels, `tiles` deep."""
        first, last = share(tiles, task, tasks)
        tile = scratch + FLOAT * task * LANES * (m * m + a * m)
        half = tile + FLOAT * LANES * m * m
        for t in range(first, last):
            n, rest = (first_tile + t) // (rows * columns), (first_tile + t) % (rows * columns)
            for k in range(0, filters, LANES):
                load_tile(
                    dy + FLOAT * n * height * width * ld,
                    ld,
                    height,
                    width,
                    rest // columns * m,
                    rest % columns * m,
                    k,
                    m,
                    tile,
                )
                for j in range(m):
                    gradient_map(
                        tile + FLOAT * j * LANES, m * LANES, half + FLOAT * j * LANES, m * LANES
                    )
                panel = k // COLUMNS * COLUMNS
                wide = filters - panel > LANES
                target = z + FLOAT * (panel * tiles + t * (COLUMNS if wide else LANES) + k - panel)
                for position in range(a * a):
                    fetch_to_write(target + FLOAT * (position * step + 2 * COLUMNS))
                for i in range(a):
                    gradient_map(
                        half + FLOAT * i * m * LANES, LANES, target + FLOAT * i * a * step, step
                    )

    def sums(task, tasks, s, step, channels, filters, dw, scratch):
        """dw = A^T S A."""
        first, last = share(channels, task, tasks)
        half = scratch + FLOAT * task * LANES * (r * a + r)
        line = half + FLOAT * LANES * r * a
        size = channels * filters
        for c in range(first, last):
            for k in range(0, filters, LANES):
                at = c * filters + k
                for j in range(a):
                    to_weights(
                        s + FLOAT * (j * step + at), a * step, half + FLOAT * j * LANES, a * LANES
                    )
                for i in range(r):
                    to_weights(half + FLOAT * i * a * LANES, LANES, line, LANES)
                    for j in range(r):
                        store(dw, (i * r + j) * size + at, load(line, j * LANES))

    name = f"winograd_{m}_{r}"
    transform, finish = inline(transform, f"{name}_transform"), inline(finish, f"{name}_finish")
    return Variant(
        m,
        r,
        _named(filters, f"{name}_filters"),
        _named(images, f"{name}_images"),
        _named(products, f"{name}_products"),
        _named(whole, f"{name}_whole"),
        _named(gradients, f"{name}_gradients"),
        _named(sums, f"{name}_sums"),
    )


@kernel
def _accumulate(
    task,
    tasks,
    v,
    v_step,
    v_position,
    z,
    z_position,
    channels,
    filters,
    tiles,
    positions,
    s,
    s_position,
    add,
    strip,
):
    """S[position] (+)= V[position]^T Z[position]; tasks share out the positions and strips of their rows."""
    strips = (channels + strip - 1) // strip
    first, last = share(positions * strips, task, tasks)
    for unit in range(first, last):
        position, c = unit // strips, unit % strips * strip
        multiply(
            v + FLOAT * (position * v_position + c), 1, v_step, z + FLOAT * position * z_position, tiles, 0, tiles,
            s + FLOAT * (position * s_position + c * filters), filters, min(strip, channels - c), filters, add, 0, 0,
        )  # fmt: skip


@kernel
def _column_sums(task, tasks, a, ld, rows, columns, sums):
    """Each task's sums of its rows, to sums[task, :]."""
    first, last = share(rows, task, tasks)
    for j in range(0, columns, LANES):
        store(sums, task * columns + j, constant(0.0))
    for m in range(first, last, 64):
        for j in range(0, columns, LANES):
            sum = load(sums, task * columns + j)
            for r in range(m, min(m + 64, last)):
                sum = sum + load(a, r * ld + j)
            store(sums, task * columns + j, sum)


def suits(channels: int, filters: int) -> bool:
    """Whether the channels fill vectors."""
    return channels % LANES == 0 and filters % LANES == 0


def _batches(tiles: int, channels: int, filters: int, positions: int):
    """Ranges of tiles, a batch each: few where the filters stay in the cache beside them, many where they have to be fetched."""
    floats = SMALL_BATCH if positions * channels * filters <= SMALL_BATCH else LARGE_BATCH
    most = max(SUBBATCH, floats // (positions * channels))
    count = -(-tiles // most)
    return [(tiles * i // count, tiles * (i + 1) // count) for i in range(count)]


def apart(size: int) -> int:
    """The distance between matrices of `size` floats whose equal elements are used together: an odd number of cache lines.

    An even one, a power of two above all, would put the lines of all positions into few sets of the cache, where they oust each other.
    """
    lines = -(-size // APART)
    return (lines + 1 - lines % 2) * APART


@kernel
def _fingerprint(task, tasks, a, n, prints):
    """Each task's hash of its floats, lane by lane: a change of any bit changes it."""
    first, last = share(n, task, tasks)
    lanes = constant(0.0)
    for i in range(first, last, LANES):
        lanes = mixed(lanes, load_part(a, i, last - i))
    store(prints, task * LANES, lanes)


def fingerprint(a) -> bytes:
    """What tells the contents of one array from another's; a tenth of the time of transforming them as filters."""
    prints = np.empty((threads(), LANES), np.float32)
    _fingerprint(len(prints), address(a), a.size, address(prints))
    return prints.tobytes()


def transformed_filters(f: Variant, w, rotate: bool) -> np.ndarray:
    """U of the weights `(r, r, C, K)`; with `rotate`, of the input gradient's filter, K channels to C."""
    a, (channels, filters) = f.m + f.r - 1, w.shape[2:]
    depth, columns = (filters, channels) if rotate else (channels, filters)
    u = empty((a * a, apart(depth * columns)))
    scratch = empty(threads() * LANES * (f.r * f.r * (LANES + 1) + a * f.r))
    f.filters(
        threads(), address(w), depth, columns, rotate, address(u), u.shape[1], address(scratch)
    )
    return u


def convolve(f: Variant, x, u, top: int, left: int, y, scale=0, bias=0, relu=False) -> None:
    """y = x convolved with the filters that u was made of; x's border is padded by `top` and `left` zeros, and by as many as it takes."""
    (x, ld), y_ld, a = pixels(x), pixel_step(y), f.m + f.r - 1
    channels, filters = x.shape[3], y.shape[3]
    rows, columns = -(-y.shape[1] // f.m), -(-y.shape[2] // f.m)
    v_step, all_tiles = channels + PAD, len(x) * rows * columns
    if a * a * channels * filters <= SMALL_FILTERS:
        subbatch = min(SUBBATCH, -(-all_tiles // threads()))
        each = (
            (a * a + 1) * (subbatch * v_step + APART)
            + LANES * (f.m * a + f.m * f.m + 2 * a * a)
            + a * a * (subbatch * COLUMNS + APART)
        )
        scratch = empty(threads() * each)
        f.whole(
            threads(),
            *(
                address(x),
                ld,
                *x.shape[1:3],
                top,
                left,
                address(u),
                u.shape[1],
                channels,
                filters,
                all_tiles,
                subbatch,
                rows,
                columns,
            ),
            *(address(y), y_ld, *y.shape[1:3], scale, bias, relu, address(scratch)),
        )
        return
    for first, last in _batches(all_tiles, channels, filters, a * a):
        tiles = last - first
        subbatch = min(SUBBATCH, tiles)
        v = empty(
            (a * a + 1, apart(tiles * v_step))
        )  # one more: the last tile of rows reads beyond its end
        scratch = empty(threads() * LANES * 2 * a * a)
        f.images(
            threads(),
            *(
                address(x),
                ld,
                *x.shape[1:],
                rows,
                columns,
                top,
                left,
                first,
                tiles,
                address(v),
                v_step,
                v.shape[1],
                address(scratch),
            ),
        )
        scratch = empty(
            threads() * (LANES * (f.m * a + f.m * f.m) + a * a * (subbatch * COLUMNS + APART))
        )
        f.products(
            threads(),
            *(
                address(v),
                v_step,
                v.shape[1],
                address(u),
                u.shape[1],
                channels,
                filters,
                tiles,
                subbatch,
                first,
                rows,
                columns,
            ),
            *(address(y), y_ld, *y.shape[1:3], scale, bias, relu, address(scratch)),
        )


def conv2d(f: Variant, x, w, scale, b, padding, relu, y, keep=None) -> None:
    """Forward, for kernels of f's size, stride and dilation 1; `keep` is `weight_cache(w)`."""
    made_of = None if keep is None else (f.m, fingerprint(w))
    if keep is None or keep.get("made of") != made_of:
        u = transformed_filters(f, w, rotate=False)
        if keep is not None:
            keep.update({"made of": made_of, "filters": u})
    else:
        u = keep["filters"]
    convolve(
        f,
        x,
        u,
        padding[0][0],
        padding[1][0],
        y,
        *(0 if a is None else address(a) for a in (scale, b)),
        relu,
    )


def conv2d_grad_input(f: Variant, dy, w, padding, dx) -> None:
    """dx is dy convolved with the weights turned by 180 degrees."""
    u = transformed_filters(f, w, rotate=True)
    convolve(f, dy, u, f.r - 1 - padding[0][0], f.r - 1 - padding[1][0], dx)


def conv2d_grad_weight(f: Variant, dy, x, padding, dw, db) -> None:
    """dw = sum over tiles of A^T [ (B^T d B) * (G dy G^T) ] A, and db unless it is None."""
    (x, ld), (dy, dy_ld), a = pixels(x), pixels(dy), f.m + f.r - 1
    channels, filters = dw.shape[2:]
    rows, columns = -(-dy.shape[1] // f.m), -(-dy.shape[2] // f.m)
    v_step = channels + PAD
    s = empty((a * a, apart(channels * filters)))
    for first, last in _batches(len(x) * rows * columns, channels, filters, a * a):
        tiles = last - first
        v, z = empty((a * a + 1, apart(tiles * v_step))), empty((a * a, apart(tiles * filters)))
        scratch = empty(threads() * LANES * 2 * a * a)
        tile_rows = (rows, columns, *(side[0] for side in padding), first, tiles)
        f.images(
            threads(),
            address(x),
            ld,
            *x.shape[1:],
            *tile_rows,
            address(v),
            v_step,
            v.shape[1],
            address(scratch),
        )
        f.gradients(
            threads(),
            address(dy),
            dy_ld,
            *dy.shape[1:],
            rows,
            columns,
            first,
            tiles,
            address(z),
            z.shape[1],
            address(scratch),
        )
        _accumulate(
            threads(),
            *(
                address(v),
                v_step,
                v.shape[1],
                address(z),
                z.shape[1],
                channels,
                filters,
                tiles,
                a * a,
            ),
            *(address(s), s.shape[1], first > 0, min(channels, STRIP)),
        )
    scratch = empty(threads() * LANES * (f.r * a + f.r))
    f.sums(threads(), address(s), s.shape[1], channels, filters, address(dw), address(scratch))
    if db is not None:
        sums = empty((threads(), filters))
        _column_sums(threads(), address(dy), dy_ld, math.prod(dy.shape[:3]), filters, address(sums))
        db[...] = sums.sum(axis=0)
