"""Convolution as a matrix product that is never written out: forward, input gradient and weight gradient.

Row m of the matrix A is the patch that output pixel m sees, `kH * kW * C` numbers; forward is `y = A w`, the weight gradient
`dw = A^T dy`. The whole of A would be kH * kW times the image, so each thread gathers a few rows of it at a time, into memory that stays
in its second-level cache. The input gradient is a forward pass over dy: pixel h received from output p through kernel row i if
`p * s = h + pad - i * d`. With stride s the pixels of each class h mod s have taps of their own, and each class is one dense product.

A `Walk` says which numbers a patch consists of: runs of floats that lie side by side in memory.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from ..geometry import Pair, Window
from .arrays import address, pixel_step, pixels
from .gemm import COLUMNS, FLOAT, LANES, ROWS, copy, fill_zeros, multiply, pack, packed_columns
from .launch import inline, kernel, share, threads
from .memory import empty
from .simd import get_index, load, load_part, put, store_part

DEPTH = 512  # floats of a patch that are gathered at a time
BLOCK = 96  # pixels that are gathered at a time
WEIGHT_BLOCK = 128  # the same for the weight gradient, where they are what is summed over
SPLIT_SIZE = 1 << 19  # floats that all tasks' own copies of dw may take
PAD = 16  # floats between gathered rows: at a power of two apart they would fall into the same sets of the cache
FIELDS = 5


class Walk(NamedTuple):
    """How patches are gathered: `runs` `(R, 5)` are rows of (dp, dq, pixels, floats a pixel, offset into the pixel), relative to the
    pixel (p * stride, q * stride); run r starts at depth `starts[r]` of the patch. `chunks` cuts them into parts of up to DEPTH floats.
    """

    runs: np.ndarray
    chunks: np.ndarray  # index of the first run of each part, and the number of runs
    depths: np.ndarray  # depth at which each part starts, and the whole depth
    one_pixel: bool  # the patch is the pixel (p, q) itself


def walk(taps, channels: int, whole_pixels: bool, most: int = DEPTH) -> Walk:
    """The walk over `taps`, pairs (dp, dq), of `channels` floats each.

    Where a pixel holds nothing else (`whole_pixels`), neighbouring taps are one run.
    """
    runs: list[list[int]] = []
    for dp, dq in taps:
        last = runs[-1] if runs else None
        if whole_pixels and last and last[0] == dp and last[1] + last[2] == dq and (last[2] + 1) * channels <= most:
            last[2] += 1
        else:
            runs += [[dp, dq, 1, min(most, channels - c), c] for c in range(0, channels, most)]
    chunks, depths, depth = [0], [0], 0
    for r, (_, _, count, floats, _) in enumerate(runs):
        if depth + count * floats - depths[-1] > most:
            chunks.append(r)
            depths.append(depth)
        depth += count * floats
    return Walk(
        np.array(runs, np.int64), np.array([*chunks, len(runs)], np.int64), np.array([*depths, depth], np.int64), list(taps) == [(0, 0)]
    )


@inline
def gather(x, ld, height, width, runs, first, last, row, column, to):
    """The runs first...last of the patch at pixel (row, column) of the image x, to `to`; what lies outside the image is zero."""
    for r in range(first, last):
        p, q = row + get_index(runs, FIELDS * r), column + get_index(runs, FIELDS * r + 1)
        count, floats, offset = get_index(runs, FIELDS * r + 2), get_index(runs, FIELDS * r + 3), get_index(runs, FIELDS * r + 4)
        low, high = max(0, -q), min(count, width - q)
        if 0 <= p < height and high - low == count:
            copy(x + FLOAT * ((p * width + q) * ld + offset), to, count * floats)
        elif p < 0 or p >= height or low >= high:
            fill_zeros(to, count * floats)
        else:
            fill_zeros(to, low * floats)
            copy(x + FLOAT * ((p * width + q + low) * ld + offset), to + FLOAT * low * floats, (high - low) * floats)
            fill_zeros(to + FLOAT * high * floats, (count - high) * floats)
        to += FLOAT * count * floats


@inline
def gather_rows(x, ld, height, width, runs, first, last, step_y, step_x, rows, columns, m, count, to, to_step):
    """The patches of the output pixels m...m + count, one a row of `to`."""
    n, rest = m // (rows * columns), m % (rows * columns)
    p, q = rest // columns, rest % columns
    for _ in range(count):
        gather(x + FLOAT * n * height * width * ld, ld, height, width, runs, first, last, p * step_y, q * step_x, to)
        to += FLOAT * to_step
        q += 1
        if q == columns:
            p, q = p + 1, 0
            if p == rows:
                n, p = n + 1, 0


@kernel
def _pack_filter(task, tasks, w, offsets, taps, depth, k_step, n_step, columns, packed):
    """Panels of all taps, one below the other; tap t's element (k, n) is at w[offsets[t] + k * k_step + n * n_step]."""
    portions = (depth + 63) // 64
    first, last = share(taps * portions, task, tasks)
    for unit in range(first, last):
        tap, k = unit // portions, unit % portions * 64
        source = w + FLOAT * (get_index(offsets, tap) + k * k_step)
        pack(source, k_step, n_step, min(depth - k, 64), columns, packed, taps * depth, tap * depth + k)


@kernel
def _products(
    task, tasks,
    x, ld, height, width, step_y, step_x,
    images, rows, columns, runs, chunks, depths, parts, plain,
    b, depth, filters,
    y, y_ld, y_height, y_width, y_step, x_step, y_first, x_first,
    bias, relu, scratch, block,
):  # fmt: skip
    """y[n, p * y_step + y_first, q * x_step + x_first, :] = patch (n, p, q) times b, for all n < images, p < rows, q < columns."""
    dense = rows == y_height and columns == y_width
    stretch = images * rows * columns if dense else columns  # pixels whose results lie evenly apart
    blocks = (stretch + block - 1) // block
    first, last = share(images * rows * columns // stretch * blocks, task, tasks)
    buffer = scratch + FLOAT * task * block * (DEPTH + PAD)
    for unit in range(first, last):
        line, start = unit // blocks, unit % blocks * block
        m, count = line * stretch + start, min(block, stretch - start)
        n, p = line // rows, line % rows
        target = m * y_ld if dense else (((n * y_height + p * y_step + y_first) * y_width) + start * x_step + x_first) * y_ld
        y_row = y_ld if dense else x_step * y_ld
        for part in range(parts):
            at, to = get_index(depths, part), get_index(depths, part + 1)
            if plain and m + (count + ROWS - 1) // ROWS * ROWS <= images * rows * columns:
                a, a_step = x + FLOAT * (m * ld + at), ld
            else:
                a, a_step = buffer, DEPTH + PAD
                gather_rows(
                    x, ld, height, width, runs, get_index(chunks, part), get_index(chunks, part + 1),
                    step_y, step_x, rows, columns, m, count, buffer, a_step,
                )  # fmt: skip
            final = part == parts - 1
            multiply(
                a, a_step, 1, b, depth, at, to - at, y + FLOAT * target, y_row, count, filters,
                part > 0, bias if final else 0, relu if final else 0,
            )  # fmt: skip


@kernel
def _weight_products(
    task, tasks,
    x, ld, height, width, step_y, step_x,
    images, rows, columns, runs, chunks, depths, parts, most,
    dy, dy_ld, filters, dw, dw_ld, db, splits, size, scratch, block,
):  # fmt: skip
    """dw[k, :] = sum over pixels m of patch(m)[k] * dy[m, :], and db = sum of dy.

    A unit of work is a part of the patch, and where there are fewer of those than tasks, one of `splits` ranges of pixels with a dw and db
    of its own, `size` floats apart.
    """
    first, last = share(parts * splits, task, tasks)
    step = most + PAD
    buffer = scratch + FLOAT * task * block * (step + (filters + LANES - 1) // LANES * LANES)
    panels = buffer + FLOAT * block * step
    for unit in range(first, last):
        part, split = unit % parts, unit // parts
        m_first, m_last = share(images * rows * columns, split, splits)
        at, to = get_index(depths, part), get_index(depths, part + 1)
        target = dw + FLOAT * (split * size + at * dw_ld)
        sums = db + FLOAT * split * size
        if part == 0:
            for j in range(filters):
                put(sums, j, 0.0)
        for m in range(m_first, m_last, block):
            count = min(block, m_last - m)
            gather_rows(
                x, ld, height, width, runs, get_index(chunks, part), get_index(chunks, part + 1),
                step_y, step_x, rows, columns, m, count, buffer, step,
            )  # fmt: skip
            pack(dy + FLOAT * m * dy_ld, dy_ld, 1, count, filters, panels, count, 0)
            multiply(buffer, 1, step, panels, count, 0, count, target, dw_ld, to - at, filters, m > m_first, 0, 0)
            if part == 0:
                add_rows(panels, count, filters, sums)


@inline
def add_rows(panels, count, columns, sums):
    """sums[j] += the sum of column j of packed panels."""
    for j in range(0, columns, LANES):
        width = COLUMNS if columns - j // COLUMNS * COLUMNS > LANES else LANES
        column = panels + FLOAT * (j // COLUMNS * COLUMNS * count + j % COLUMNS)
        sum = load(column, 0)
        for k in range(1, count):
            sum = sum + load(column, k * width)
        store_part(sums, j, load_part(sums, j, columns - j) + sum, columns - j)


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


def even_block(pixels: int, tasks: int, most: int) -> int:
    """At most `most` pixels a block, a multiple of ROWS, so that every task gets the same number of blocks."""
    rounds = -(-pixels // (tasks * most))
    return -(-pixels // (tasks * rounds * ROWS)) * ROWS


def pack_filter(w, offsets, depth, k_step, n_step, columns) -> np.ndarray:
    """The taps of `w` at `offsets` (in floats) as packed panels, `len(offsets) * depth` deep."""
    packed = empty(len(offsets) * depth * packed_columns(columns))
    _pack_filter(
        threads() if packed.size > 1 << 14 else 1,
        *(address(w), address(offsets), len(offsets), depth, k_step, n_step, columns, address(packed)),
    )
    return packed


@functools.lru_cache(maxsize=1024)
def forward_walk(kernel_size, padding, dilation, channels, whole_pixels, most=DEPTH) -> Walk:
    """The patch of an output pixel, in the order of the weights."""
    (rows, columns), ((top, _), (left, _)) = kernel_size, padding
    taps = [(i * dilation[0] - top, j * dilation[1] - left) for i in range(rows) for j in range(columns)]
    return walk(taps, channels, whole_pixels, most)


@functools.lru_cache(maxsize=1024)
def backward_walks(geometry: Window, image: Pair, filters: int, whole_pixels: bool):
    """For each class of input pixels: its first pixel, its size (rows, columns), its walk over dy, and the taps (i, j) that reach it."""
    plans = []
    for y in range(min(geometry.stride[0], image[0])):
        for x in range(min(geometry.stride[1], image[1])):
            taps = []
            for i in range(geometry.kernel[0]):
                for j in range(geometry.kernel[1]):
                    p = y + geometry.padding[0][0] - i * geometry.dilation[0]
                    q = x + geometry.padding[1][0] - j * geometry.dilation[1]
                    if p % geometry.stride[0] == 0 and q % geometry.stride[1] == 0:
                        taps.append((p // geometry.stride[0], q // geometry.stride[1], i, j))
            taps.sort()
            size = -(-(image[0] - y) // geometry.stride[0]), -(-(image[1] - x) // geometry.stride[1])
            route = walk([(p, q) for p, q, _, _ in taps], filters, whole_pixels) if taps else None
            plans.append(((y, x), size, route, [(i, j) for _, _, i, j in taps]))
    return plans


def products(source, ld, step, grid, route, packed, filters, target, y_ld, target_size, y_step, y_first, bias=0, relu=False):
    """Run `_products`. source: address and size (H, W) of the images; grid: (N, rows, columns) of the results; target: an address."""
    depth = int(route.depths[-1])
    tasks = tasks_for(math.prod(grid) * depth * filters)
    dense = grid[1:] == target_size
    block = even_block(math.prod(grid), tasks, BLOCK) if dense else even_block(grid[2], 1, BLOCK)
    scratch = empty(tasks * block * (DEPTH + PAD) + LANES)
    plain = route.one_pixel and step == (1, 1) and grid[1:] == source[1:]
    _products(
        tasks,
        *(*source[:1], ld, *source[1:], *step),
        *(*grid, address(route.runs), address(route.chunks), address(route.depths), len(route.depths) - 1, plain),
        *(address(packed), depth, filters),
        *(target, y_ld, *target_size, *y_step, *y_first),
        *(bias, relu, address(scratch), block),
    )


def conv2d(x, w, b, geometry: Window, groups, relu, y):
    """y = x convolved with w; y is contiguous or a slice of channels."""
    (x, ld), y_ld = pixels(x), pixel_step(y)
    channels, filters = w.shape[2], w.shape[3] // groups
    route = forward_walk(geometry.kernel, geometry.padding, geometry.dilation, channels, ld == channels)
    offsets = np.arange(w.shape[0] * w.shape[1]) * (channels * w.shape[3])
    for g in range(groups):
        packed = pack_filter(w, offsets + g * filters, channels, w.shape[3], 1, filters)
        products(
            (address(x) + FLOAT * g * channels, *x.shape[1:3]), ld, geometry.stride, y.shape[:3], route, packed, filters,
            address(y) + FLOAT * g * filters, y_ld, y.shape[1:3], (1, 1), (0, 0),
            0 if b is None else address(b) + FLOAT * g * filters, relu,
        )  # fmt: skip


def conv2d_grad_input(dy, w, geometry: Window, groups, dx):
    """dx from dy and w, a product for each class of pixels; dx is contiguous."""
    dy, ld = pixels(dy)
    channels, filters = w.shape[2], w.shape[3] // groups
    for first, size, route, taps in backward_walks(geometry, dx.shape[1:3], filters, ld == filters):
        if route is None:
            dx[:, first[0] :: geometry.stride[0], first[1] :: geometry.stride[1]] = 0
            continue
        offsets = np.array([(i * w.shape[1] + j) * channels * w.shape[3] for i, j in taps])
        for g in range(groups):
            packed = pack_filter(w, offsets + g * filters, filters, 1, w.shape[3], channels)
            products(
                (address(dy) + FLOAT * g * filters, *dy.shape[1:3]), ld, (1, 1), (len(dx), *size), route, packed, channels,
                address(dx) + FLOAT * g * channels, dx.shape[3], dx.shape[1:3], geometry.stride, first,
            )  # fmt: skip


def conv2d_grad_weight(dy, x, geometry: Window, groups, dw, db):
    """dw and db from dy and x; both are contiguous."""
    (x, ld), (dy, dy_ld) = pixels(x), pixels(dy)
    channels, filters = dw.shape[2], dw.shape[3] // groups
    depth, count = dw.shape[0] * dw.shape[1] * channels, math.prod(dy.shape[:3])
    tasks = tasks_for(count * depth * filters)
    size = dw.size + dw.shape[3]
    # A range of pixels for each task reads x and dy once; a big dw would be written too often so, and is cut into parts instead.
    splits = min(tasks, -(-count // WEIGHT_BLOCK)) if tasks * size <= SPLIT_SIZE else 1
    most = min(DEPTH, -(-depth // (tasks * ROWS)) * ROWS) if splits == 1 else DEPTH
    route = forward_walk(geometry.kernel, geometry.padding, geometry.dilation, channels, ld == channels, most)
    parts = len(route.depths) - 1
    sums = empty(splits * size) if splits > 1 else None
    block = min(WEIGHT_BLOCK, -(-count // splits))
    most = int(np.diff(route.depths).max())
    scratch = empty(tasks * block * (most + PAD + packed_columns(filters)) + LANES)
    for g in range(groups):
        to_dw, to_db = (address(dw), address(db)) if splits == 1 else (address(sums), address(sums) + FLOAT * dw.size)
        _weight_products(
            tasks,
            *(address(x) + FLOAT * g * channels, ld, *x.shape[1:3], *geometry.stride),
            *(*dy.shape[:3], address(route.runs), address(route.chunks), address(route.depths), parts, most),
            *(address(dy) + FLOAT * g * filters, dy_ld, filters),
            *(to_dw + FLOAT * g * filters, dw.shape[3], to_db + FLOAT * g * filters),
            *(splits, size, address(scratch), block),
        )
    if splits > 1:
        _add_splits(tasks_for(splits * size), address(sums), splits, size, address(dw), dw.size)
        _add_splits(1, address(sums) + FLOAT * dw.size, splits, size, address(db), db.size)
