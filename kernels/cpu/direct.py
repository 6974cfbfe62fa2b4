"""Convolution as a matrix product that is never written out: forward, input gradient and weight gradient.

Row m of the matrix A is the patch that output pixel m sees, `kH * kW * C` numbers; forward is `y = A w`, the weight gradient
`dw = A^T dy`. A is never made. In memory a patch is a few runs of neighboring floats (a row of the kernel, where nothing else lies
between its pixels) at the same distances from its first pixel, for all patches. The register tile takes ROWS pixels, knows the address of
each, and walks along the runs of all of them at once. Borders of zeros are real: where there is padding, the image is copied into a larger
one first, so that no pixel is special.

The input gradient goes the other way round: each pixel of dy is multiplied by whole filters, which gives a patch, and that is added where
the pixel's patch was. No multiplication is wasted, whatever the stride and however few the channels.

The weight gradient sums over pixels: a block of patches is gathered into rows that stay in the second-level cache.
"""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from ..geometry import Pair, Window
from .engine.arrays import address, pixel_step, pixels
from .engine.functions import constant
from .engine.gemm import COLUMNS, FLOAT, LANES, ROWS, copy, multiply, pack, packed_columns
from .engine.launch import inline, kernel, reach, share, threads
from .engine.memory import empty
from .engine.simd import (
    VECTORS,
    addresses,
    fetch_to_write,
    get_index,
    load,
    load_part,
    put,
    put_index,
    store,
    store_part,
    tile_multiply_at,
    tile_store,
    tile_zeros,
)

BLOCK = 96  # pixels that are multiplied with one panel of the filters after the other
WEIGHT_BLOCK = 128  # pixels whose patches are gathered at a time for the weight gradient
DEPTH = 512  # floats of a patch that are gathered at a time
SPLIT_SIZE = 1 << 19  # floats that all tasks' own copies of dw may take
PAD = 16  # floats between gathered rows: at a power of two apart they would fall into the same sets of the cache


class Walk(NamedTuple):
    """How a patch lies in memory: `runs` `(R, 2)`, each run's distance in floats from the pixel (p * stride, q * stride), and its length.

    `parts` cuts the runs into parts of up to DEPTH floats, with the patch's depth at which each starts.
    """

    runs: np.ndarray
    parts: np.ndarray  # (P + 1, 2): first run, first depth; the last row is the end
    depth: int
    longest: int  # of the parts


def walk(taps, channels: int, ld: int, width: int, most: int) -> Walk:
    """The walk over `taps`, pixels (dp, dq) of an image that is `width` pixels wide, `ld` floats a pixel, `channels` of which are read."""
    runs: list[list[int]] = []
    for dp, dq in taps:
        start = (dp * width + dq) * ld
        if runs and sum(runs[-1]) == start and runs[-1][1] + channels <= most:
            runs[-1][1] += channels
        else:
            runs += [[start + c, min(most, channels - c)] for c in range(0, channels, most)]
    parts, depth = [[0, 0]], 0
    for r, (_, floats) in enumerate(runs):
        if depth + floats - parts[-1][1] > most:
            parts.append([r, depth])
        depth += floats
    parts.append([len(runs), depth])
    longest = max(end - start for (_, start), (_, end) in itertools.pairwise(parts))
    return Walk(np.array(runs, np.int64), np.array(parts, np.int64), depth, longest)


@inline
def copy_pixels(source, source_ld, target, target_ld, count, channels):
    """A row of pixels, whose distances may differ."""
    if source_ld == target_ld == channels:
        count, channels = 1, count * channels
    for q in range(count):
        for c in range(0, channels, LANES):
            store_part(
                target,
                q * target_ld + c,
                load_part(source, q * source_ld + c, channels - c),
                channels - c,
            )


@kernel
def _pad(task, tasks, x, ld, images, height, width, channels, to, top, bottom, left, right):
    """A contiguous copy of the images with borders of zeros."""
    rows = top + height + bottom
    line = (left + width + right) * channels
    first, last = share(images * rows, task, tasks)
    for unit in range(first, last):
        n, row = unit // rows, unit % rows - top
        target = to + FLOAT * unit * line
        inside = 0 <= row < height
        for i in range(0, left * channels if inside else line, LANES):
            store_part(target, i, constant(0.0), (left * channels if inside else line) - i)
        if inside:
            source = x + FLOAT * (n * height + row) * width * ld
            target += FLOAT * left * channels
            copy_pixels(source, ld, target, channels, width, channels)
            target += FLOAT * width * channels
            for i in range(0, right * channels, LANES):
                store_part(target, i, constant(0.0), right * channels - i)


@kernel
def _pack_filter(task, tasks, w, offsets, taps, depth, k_step, n_step, columns, packed):
    """Panels of all taps, one below the other; tap t's element (k, n) is at w[offsets[t] + k * k_step + n * n_step]."""
    portions = (depth + 63) // 64
    first, last = share(taps * portions, task, tasks)
    for unit in range(first, last):
        tap, k = unit // portions, unit % portions * 64
        source = w + FLOAT * (get_index(offsets, tap) + k * k_step)
        pack(
            source,
            k_step,
            n_step,
            min(depth - k, 64),
            columns,
            packed,
            taps * depth,
            tap * depth + k,
        )


@inline
def patch_addresses(x, ld, height, width, step_y, step_x, rows, columns, m, count, table):
    """The addresses of the first pixels of the patches m...m + count, and the last one's again up to a multiple of ROWS."""
    n, rest = m // (rows * columns), m % (rows * columns)
    p, q = rest // columns, rest % columns
    at = 0
    for i in range((count + ROWS - 1) // ROWS * ROWS):
        if i < count:
            at = x + FLOAT * ((n * height + p * step_y) * width + q * step_x) * ld
            q += 1
            if q == columns:
                p, q = p + 1, 0
                if p == rows:
                    n, p = n + 1, 0
        put_index(table, i, at)


@inline
def wide_patches(table, runs, count, b, c, c_step, rows, n, scale, bias, relu):
    """The product below for a panel of COLUMNS columns."""
    a, tile = addresses(table, ROWS), tile_zeros(ROWS, VECTORS)
    for r in range(count):
        start = get_index(runs, 2 * r)
        for i in range(start, start + get_index(runs, 2 * r + 1)):
            tile = tile_multiply_at(tile, VECTORS, a, i, b)
            b += FLOAT * COLUMNS
    tile_store(tile, VECTORS, c, c_step, rows, n, 0, scale, bias, relu)


@inline
def narrow_patches(table, runs, count, b, c, c_step, rows, n, scale, bias, relu):
    """The same for a panel of LANES columns."""
    a, tile = addresses(table, ROWS), tile_zeros(ROWS, 1)
    for r in range(count):
        start = get_index(runs, 2 * r)
        for i in range(start, start + get_index(runs, 2 * r + 1)):
            tile = tile_multiply_at(tile, 1, a, i, b)
            b += FLOAT * LANES
    tile_store(tile, 1, c, c_step, rows, n, 0, scale, bias, relu)


@inline
def patches_times(table, runs, count, b, c, c_step, rows, n, scale, bias, relu):
    """c[rows, n] = ROWS patches times a packed panel, n columns of which are used, with tile_store's options."""
    if n > LANES:
        wide_patches(table, runs, count, b, c, c_step, rows, n, scale, bias, relu)
    else:
        narrow_patches(table, runs, count, b, c, c_step, rows, n, scale, bias, relu)


@inline
def fetch_tile(c, c_step, n):
    """Ask for the lines that a tile's results will be written to: they arrive while it is computed."""
    for r in range(ROWS):
        for j in range(0, min(n, COLUMNS), LANES):
            fetch_to_write(c + FLOAT * (r * c_step + j))


@kernel
def _products(
    task, tasks,
    x, ld, height, width, step_y, step_x, rows, columns, pixels, runs, count_of_runs, b, depth, filters,
    y, y_ld, scale, bias, relu, scratch, block,
):  # fmt: skip
    """y[m, :] = patch m times b, for all pixels m."""
    first, last = share((pixels + block - 1) // block, task, tasks)
    table = scratch + 8 * task * block
    for m in range(first * block, min(last * block, pixels), block):
        count = min(block, pixels - m)
        patch_addresses(x, ld, height, width, step_y, step_x, rows, columns, m, count, table)
        for j in range(0, filters, COLUMNS):
            panel = b + FLOAT * j * depth
            scale_j, bias_j = (
                scale + FLOAT * j if scale != 0 else 0,
                bias + FLOAT * j if bias != 0 else 0,
            )
            for r in range(0, count, ROWS):
                to = y + FLOAT * ((m + r) * y_ld + j)
                fetch_tile(to, y_ld, filters - j)
                patches_times(
                    table + 8 * r,
                    runs,
                    count_of_runs,
                    panel,
                    to,
                    y_ld,
                    count - r,
                    filters - j,
                    scale_j,
                    bias_j,
                    relu,
                )


@kernel
def _scatter(
    task, tasks,
    dy, ld, images, rows, columns, filters, pixel, b, places, count_of_places, floats,
    width, channels, step_y, step_x, reach_y, top, left, dx, dx_ld, dx_height, dx_width, bands, scratch, size, block,
):  # fmt: skip
    """dx = the sum over all pixels m of dy of dy[m, :] b, added where patch m was.

    A patch is `floats` neighboring numbers at each of some places, and b has a matrix for each of them. A unit of work is one of `bands`
    of an image's rows; its sums stay in the cache, as an image with its padding, `width` pixels of `channels` a row.
    """
    first, last = share(images * bands, task, tasks)
    image = scratch + FLOAT * task * size
    results = image + FLOAT * (size - block * (floats + 2))
    table = results + FLOAT * block * floats
    for unit in range(first, last):
        n, band = unit // bands, unit % bands
        h_first, h_last = share(dx_height, band, bands)
        p_first, _ = reach(h_first, top, step_y, reach_y, rows)
        _, p_last = reach(h_last - 1, top, step_y, reach_y, rows)
        base = min(p_first * step_y, h_first + top)
        end = max((p_last - 1) * step_y + reach_y, h_last + top)
        for i in range(0, (end - base) * width * channels, LANES):
            store(image, i, constant(0.0))
        m_first, m_last = (n * rows + p_first) * columns, (n * rows + p_last) * columns
        for m in range(m_first, m_last, block):
            count = min(block, m_last - m)
            patch_addresses(dy, ld, rows, columns, 1, 1, rows, columns, m, count, table)
            for k in range(count_of_places):
                for j in range(0, floats, COLUMNS):
                    panel = b + FLOAT * filters * (
                        j * count_of_places + k * (COLUMNS if floats - j > LANES else LANES)
                    )
                    for r in range(0, count, ROWS):
                        to = results + FLOAT * (r * floats + j)
                        patches_times(
                            table + 8 * r,
                            pixel,
                            1,
                            panel,
                            to,
                            floats,
                            count - r,
                            floats - j,
                            0,
                            0,
                            0,
                        )
                place = get_index(places, k)
                p, q = m // columns - n * rows, m % columns
                for r in range(count):
                    to = image + FLOAT * (
                        ((p * step_y - base) * width + q * step_x) * channels + place
                    )
                    for c in range(0, floats, LANES):  # zeros are added to what lies behind
                        store(to, c, load(to, c) + load_part(results, r * floats + c, floats - c))
                    q += 1
                    if q == columns:
                        p, q = p + 1, 0
        for h in range(h_first, h_last):
            source = image + FLOAT * ((h + top - base) * width + left) * channels
            copy_pixels(
                source,
                channels,
                dx + FLOAT * (n * dx_height + h) * dx_width * dx_ld,
                dx_ld,
                dx_width,
                channels,
            )


@kernel
def _weight_products(
    task, tasks,
    x, ld, height, width, step_y, step_x,
    images, rows, columns, runs, parts, count_of_parts, most,
    dy, dy_ld, filters, dw, dw_ld, db, splits, size, scratch, block,
):  # fmt: skip
    """dw[k, :] = sum over pixels m of patch(m)[k] * dy[m, :], and db = sum of dy.

    A unit of work is a part of the patch, for one of `splits` ranges of pixels with a dw and db of its own, `size` floats apart.
    """
    first, last = share(count_of_parts * splits, task, tasks)
    step = most + PAD
    buffer = scratch + FLOAT * task * block * (step + (filters + LANES - 1) // LANES * LANES + 2)
    panels = buffer + FLOAT * block * step
    table = panels + FLOAT * block * ((filters + LANES - 1) // LANES * LANES)
    for unit in range(first, last):
        part, split = unit % count_of_parts, unit // count_of_parts
        m_first, m_last = share(images * rows * columns, split, splits)
        run, at = get_index(parts, 2 * part), get_index(parts, 2 * part + 1)
        last_run, to = get_index(parts, 2 * part + 2), get_index(parts, 2 * part + 3)
        target = dw + FLOAT * (split * size + at * dw_ld)
        sums = db + FLOAT * split * size
        if part == 0:
            for j in range(filters):
                put(sums, j, 0.0)
        for m in range(m_first, m_last, block):
            count = min(block, m_last - m)
            patch_addresses(x, ld, height, width, step_y, step_x, rows, columns, m, count, table)
            for i in range(count):
                pixel, row = get_index(table, i), buffer + FLOAT * i * step
                for r in range(run, last_run):
                    floats = get_index(runs, 2 * r + 1)
                    copy(pixel + FLOAT * get_index(runs, 2 * r), row, floats)
                    row += FLOAT * floats
            pack(dy + FLOAT * m * dy_ld, dy_ld, 1, count, filters, panels, count, 0)
            multiply(
                buffer,
                1,
                step,
                panels,
                count,
                0,
                count,
                target,
                dw_ld,
                to - at,
                filters,
                m > m_first,
                0,
                0,
            )
            if part == 0:
                add_rows(panels, count, filters, sums)


@inline
def add_rows(panels, count, columns, sums):
    """sums[j] += the sum of column j of packed panels; even and odd rows apart, so that two additions are under way."""
    for j in range(0, columns, LANES):
        width = COLUMNS if columns - j // COLUMNS * COLUMNS > LANES else LANES
        column = panels + FLOAT * (j // COLUMNS * COLUMNS * count + j % COLUMNS)
        even, odd = constant(0.0), constant(0.0)
        for k in range(0, count - 1, 2):
            even = even + load(column, k * width)
            odd = odd + load(column, (k + 1) * width)
        if count % 2:
            even = even + load(column, (count - 1) * width)
        store_part(sums, j, load_part(sums, j, columns - j) + (even + odd), columns - j)


@kernel
def _add_splits(task, tasks, parts, splits, size, total, n):
    """total[i] = sum of parts[split, i], in the order of the splits."""
    first, last = share((n + LANES - 1) // LANES, task, tasks)
    for i in range(first * LANES, min(last * LANES, n), LANES):
        sum = load_part(parts, i, n - i)
        for split in range(1, splits):
            sum = sum + load_part(parts, split * size + i, n - i)
        store_part(total, i, sum, n - i)


# -- the three passes ----------------------------------------------------------------------------------------------------------


def tasks_for(multiplications: int) -> int:
    """All threads, or one where starting them would cost more than they save."""
    return threads() if multiplications > 1 << 16 else 1


def even_block(count: int, tasks: int) -> int:
    """At most BLOCK pixels a block, a multiple of ROWS, so that every task gets the same number of blocks."""
    rounds = -(-count // (tasks * BLOCK))
    return -(-count // (tasks * rounds * ROWS)) * ROWS


def padded(x, padding):
    """x with its border of zeros, and its pixel step; x itself where there is none."""
    x, ld = pixels(x)
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x, ld
    n, height, width, channels = x.shape
    larger = empty((n, top + height + bottom, left + width + right, channels))
    _pad(
        tasks_for(larger.size), address(x), ld, *x.shape, address(larger), top, bottom, left, right
    )
    return larger, channels


def pack_filter(w, offsets, depth, k_step, n_step, columns) -> np.ndarray:
    """The taps of `w` at `offsets` (in floats) as packed panels, `len(offsets) * depth` deep."""
    packed = empty(len(offsets) * depth * packed_columns(columns))
    _pack_filter(
        threads() if packed.size > 1 << 14 else 1,
        *(
            address(w),
            address(offsets),
            len(offsets),
            depth,
            k_step,
            n_step,
            columns,
            address(packed),
        ),
    )
    return packed


@functools.lru_cache(maxsize=1024)
def tap_offsets(shape: tuple, first_filter: int) -> np.ndarray:
    """Where the taps of weights of that shape start, in floats, for filters from first_filter on."""
    return np.arange(shape[0] * shape[1]) * (shape[2] * shape[3]) + first_filter


@functools.lru_cache(maxsize=1024)
def forward_walk(
    kernel_size: Pair, dilation: Pair, channels: int, ld: int, width: int, most: int = 1 << 30
) -> Walk:
    """The patch of an output pixel of a padded image, in the order of the weights."""
    taps = [
        (i * dilation[0], j * dilation[1])
        for i in range(kernel_size[0])
        for j in range(kernel_size[1])
    ]
    return walk(taps, channels, ld, width, most)


def products(x, size, ld, step, grid, route, packed, filters, y, y_ld, scale=0, bias=0, relu=False):
    """Run `_products`: x and y are addresses, size `(H, W)` of x, grid `(N, H, W)` of y."""
    pixels = math.prod(grid)
    tasks = tasks_for(pixels * route.depth * filters)
    block = even_block(pixels, tasks)
    scratch = empty(tasks * block, np.int64)
    _products(
        tasks,
        *(
            x,
            ld,
            *size,
            *step,
            *grid[1:],
            pixels,
            address(route.runs),
            len(route.runs),
            address(packed),
            route.depth,
            filters,
        ),
        *(y, y_ld, scale, bias, relu, address(scratch), block),
    )


def conv2d(x, w, scale, b, geometry: Window, groups, relu, y):
    """y = x convolved with w; y is contiguous or a slice of channels."""
    (x, ld), y_ld = padded(x, geometry.padding), pixel_step(y)
    channels, filters = w.shape[2], w.shape[3] // groups
    route = forward_walk(geometry.kernel, geometry.dilation, channels, ld, x.shape[2])
    for g in range(groups):
        packed = pack_filter(w, tap_offsets(w.shape, g * filters), channels, w.shape[3], 1, filters)
        products(
            address(x) + FLOAT * g * channels, x.shape[1:3], ld, geometry.stride, y.shape[:3], route, packed, filters,
            address(y) + FLOAT * g * filters, y_ld,
            *(0 if a is None else address(a) + FLOAT * g * filters for a in (scale, b)), relu,
        )  # fmt: skip


def conv2d_grad_input(dy, w, geometry: Window, groups, dx):
    """dx from dy and w; dx is contiguous."""
    dy, ld = pixels(dy)
    channels, filters = w.shape[2], w.shape[3] // groups
    in_place = geometry.kernel == geometry.stride == (1, 1) and not any(map(any, geometry.padding))
    for g in range(groups):
        source, target = address(dy) + FLOAT * g * filters, address(dx) + FLOAT * g * channels
        if in_place:  # a patch is one pixel, and nothing is added
            route = forward_walk((1, 1), (1, 1), filters, ld, dy.shape[2])
            packed = pack_filter(
                w, tap_offsets(w.shape, g * filters), filters, 1, w.shape[3], channels
            )
            products(
                source,
                dy.shape[1:3],
                ld,
                (1, 1),
                dy.shape[:3],
                route,
                packed,
                channels,
                target,
                dx.shape[3],
            )
        else:
            scatter(source, ld, dy.shape, w, g * filters, filters, geometry, target, dx.shape)


def scatter(dy, ld, grid, w, first, filters, geometry: Window, dx, shape):
    """Run `_scatter` for `filters` filters from the first on: dy and dx are addresses, grid and shape the shapes of both arrays."""
    (kh, kw, channels, _), (images, rows, columns, _) = w.shape, grid
    (top, _), (left, right) = geometry.padding
    width = left + shape[2] + right
    # A row of the kernel at a time, where its cells are neighbors and their results stay in the cache.
    cells = kw if geometry.dilation[1] == 1 and kw * channels <= 4 * DEPTH else 1
    floats = cells * channels
    down, across = geometry.dilation
    places = np.array(
        [(i * down * width + j * across) * channels for i in range(kh) for j in range(0, kw, cells)]
    )
    offsets = np.ascontiguousarray(tap_offsets(w.shape, first)[::cells])
    packed, pixel = pack_filter(w, offsets, filters, 1, w.shape[3], floats), np.array([0, filters])

    tasks = tasks_for(images * rows * columns * filters * kh * kw * channels)
    bands = 1 if images >= 8 * tasks else tasks // math.gcd(images, tasks)
    bands = min(bands, shape[1])
    reach_y = (kh - 1) * geometry.dilation[0] + 1
    block = even_block(rows * columns, 1)
    size = (-(-shape[1] // bands) + 2 * reach_y) * width * channels + LANES + block * (floats + 2)
    size += size % 2  # the tables of addresses in it start at multiples of 8 bytes
    scratch = empty(tasks * size)
    _scatter(
        tasks,
        *(
            dy,
            ld,
            images,
            rows,
            columns,
            filters,
            address(pixel),
            address(packed),
            address(places),
            len(places),
            floats,
        ),
        *(width, channels, *geometry.stride, reach_y, top, left, dx, shape[3], *shape[1:3], bands),
        *(address(scratch), size, block),
    )


def conv2d_grad_weight(dy, x, geometry: Window, groups, dw, db):
    """dw and db from dy and x; both are contiguous."""
    (x, ld), (dy, dy_ld) = padded(x, geometry.padding), pixels(dy)
    channels, filters = dw.shape[2], dw.shape[3] // groups
    depth, count = dw.shape[0] * dw.shape[1] * channels, math.prod(dy.shape[:3])
    tasks = tasks_for(count * depth * filters)
    size = dw.size + dw.shape[3]
    # A range of pixels for each task reads x and dy once; a big dw would be written too often so, and is cut into parts instead.
    splits = min(tasks, -(-count // WEIGHT_BLOCK)) if tasks * size <= SPLIT_SIZE else 1
    most = min(DEPTH, -(-depth // (tasks * ROWS)) * ROWS) if splits == 1 else DEPTH
    route = forward_walk(geometry.kernel, geometry.dilation, channels, ld, x.shape[2], most)
    sums = empty(splits * size) if splits > 1 else None
    block = (
        -(-min(WEIGHT_BLOCK, -(-count // splits)) // ROWS) * ROWS
    )  # the table of addresses is written in whole ROWS
    most = route.longest + route.longest % 2
    scratch = empty(tasks * block * (most + PAD + packed_columns(filters) + 2) + LANES)
    for g in range(groups):
        to_dw, to_db = (
            (address(dw), address(db))
            if splits == 1
            else (address(sums), address(sums) + FLOAT * dw.size)
        )
        _weight_products(
            tasks,
            *(address(x) + FLOAT * g * channels, ld, *x.shape[1:3], *geometry.stride),
            *(*dy.shape[:3], address(route.runs), address(route.parts), len(route.parts) - 1, most),
            *(address(dy) + FLOAT * g * filters, dy_ld, filters),
            *(to_dw + FLOAT * g * filters, dw.shape[3], to_db + FLOAT * g * filters),
            *(splits, size, address(scratch), block),
        )
    if splits > 1:
        _add_splits(tasks_for(splits * size), address(sums), splits, size, address(dw), dw.size)
        _add_splits(1, address(sums) + FLOAT * dw.size, splits, size, address(db), db.size)
