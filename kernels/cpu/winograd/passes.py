"""The three passes of a convolution by Winograd's algorithm."""

import math

from ...geometry import PaddingPairs, Pair
from ...types import Array
from ..engine.arrays import address, image, pixels
from ..engine.memory import CACHE_LINE_FLOATS, empty
from ..engine.records import PLAIN, Epilogue, epilogue_of
from ..engine.rows import even_block
from ..engine.simd import COLUMNS, FLOAT, LANES
from ..engine.threads import threads
from ..engine.weight_cache import WeightCache
from .kernels import PAD, SUBBATCH, Winograd
from .records import Batch, Filters, Gradient, Panels, Stack, Tiles
from .sums import accumulate, column_sums
from .transforms import filter_scratch, inverse_scratch

# Floats of transformed filters, or of their gradients, up to which each task computes all steps of
# its tiles.
SMALL_FILTERS = 1 << 20
SMALL_BATCH, LARGE_BATCH = 1 << 20, 1 << 22  # floats of transformed input per batch


def supports(channels: int, filters: int) -> bool:
    """True if the channels fill whole vectors."""
    return channels % LANES == 0 and filters % LANES == 0


def batches(tiles: int, channels: int, filters: int, positions: int) -> list[tuple[int, int]]:
    """Ranges of tiles, one per batch.

    Small batches leave room in the cache for small filters. Large filters are read from memory for
    every batch, so the batches are large.
    """
    floats = SMALL_BATCH if positions * channels * filters <= SMALL_BATCH else LARGE_BATCH
    most = max(SUBBATCH, floats // (positions * channels))
    count = -(-tiles // most)
    return [(tiles * i // count, tiles * (i + 1) // count) for i in range(count)]


def padded_stride(size: int) -> int:
    """The distance between matrices of `size` floats: an odd number of cache lines.

    An even number, such as a power of two, would map all positions to the same few cache sets
    (conflict misses).
    """
    lines = -(-size // CACHE_LINE_FLOATS)
    return (lines + 1 - lines % 2) * CACHE_LINE_FLOATS


def transformed_filters(f: Winograd, w: Array, rotate: bool) -> Array:
    """U of the weights `(r, s, C, K)`; with `rotate`, of the input gradient's filter (K to C)."""
    channels, filters = w.shape[2:]
    depth, columns = (filters, channels) if rotate else (channels, filters)
    u = empty((f.sizes.positions, padded_stride(depth * columns)))
    scratch = empty(threads() * filter_scratch(f.sizes))
    panels, weights = Panels(address(u), depth, u.shape[1]), Filters(address(w), columns, rotate)
    f.transform_filters(threads(), weights, panels, address(scratch))
    return u


def by_panel(tiles: int, channels: int, filters: int, positions: int) -> bool:
    """True if each panel of filters is transformed just before its products.

    Large filters then never pass through memory. This is done for one batch of tiles only.
    """
    is_small = positions * channels * filters <= SMALL_FILTERS
    return not is_small and len(batches(tiles, channels, filters, positions)) == 1


def has_own_sums(tiles: int, channels: int, filters: int, positions: int) -> bool:
    """True if each task adds up a weight gradient of its own, from tiles that stay in its cache.

    It reads and writes its sums for every subbatch, and they are added in the end: they must be
    small, also beside the transforms of all tiles, which otherwise pass through a farther cache.
    """
    is_small = positions * channels * filters <= SMALL_FILTERS
    return is_small and 4 * threads() * channels * filters <= tiles * (channels + filters)


def convolve(
    f: Winograd,
    x: Array,
    w: Array,
    rotate: bool,
    corner: Pair,
    y: Array,
    epilogue: Epilogue = PLAIN,
    u: Array | None = None,
) -> None:
    """y = x convolved with the weights w, rotated if `rotate`; u is their transform, if it is kept.

    x is padded by corner = (top, left) zeros, and by as many as y needs at the other sides.
    """
    x, _ = pixels(x)
    source, target, positions = image(x), image(y), f.sizes.positions
    rows, columns = f.sizes.tiles(y.shape[1:3])
    count, tiles = len(x) * rows * columns, Tiles(rows, columns, *corner)
    sizes = source.channels, target.channels, positions
    weights = Filters(0, target.channels, rotate)
    if u is None and by_panel(count, *sizes):
        weights = Filters(address(w), target.channels, rotate)
        u = empty((threads() * positions, padded_stride(source.channels * COLUMNS)))
    elif u is None:
        u = transformed_filters(f, w, rotate)
    panels, row_step = Panels(address(u), source.channels, u.shape[1]), source.channels + PAD
    if math.prod(sizes) <= SMALL_FILTERS:
        subbatch = even_block(count, threads(), SUBBATCH)
        v_size = (positions + 1) * (subbatch * row_step + CACHE_LINE_FLOATS)
        scratch = empty(threads() * (v_size + f.product_scratch(subbatch) + f.input_scratch))
        batch = Batch(0, count, subbatch)
        f.fused_forward(threads(), source, panels, batch, tiles, target, epilogue, address(scratch))
        return
    for first, last in batches(count, *sizes):
        batch = Batch(first, last - first, min(SUBBATCH, last - first))
        # One more position, because the last register tile reads beyond the end of V.
        v = empty((positions + 1, padded_stride((last - first) * row_step)))
        stack = Stack(address(v), row_step, v.shape[1])
        scratch = empty(threads() * f.input_scratch)
        f.transform_input(threads(), source, tiles, first, last - first, stack, address(scratch))
        scratch = empty(threads() * f.product_scratch(batch.subbatch))
        f.multiply_and_invert(
            threads(), stack, weights, panels, batch, tiles, target, epilogue, address(scratch)
        )


def conv2d(
    f: Winograd,
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    padding: PaddingPairs,
    bounds: int,
    y: Array,
    weight_cache: WeightCache | None = None,
) -> None:
    """y = f(scale * (x conv w) + b), for kernels of f's size with stride and dilation 1.

    `weight_cache` keeps the transformed filters for the next call.
    """
    u, corner = None, (padding[0][0], padding[1][0])
    if weight_cache is not None:
        u = weight_cache.get(f.sizes, w, lambda: transformed_filters(f, w, rotate=False))
    convolve(f, x, w, False, corner, y, epilogue_of(scale, b, bounds), u)


def conv2d_grad_input(f: Winograd, dy: Array, w: Array, padding: PaddingPairs, dx: Array) -> None:
    """dx is dy convolved with the weights turned by 180 degrees."""
    r, s = f.sizes.kernel
    convolve(f, dy, w, True, (r - 1 - padding[0][0], s - 1 - padding[1][0]), dx)


def conv2d_grad_weight(
    f: Winograd,
    dy: Array,
    x: Array,
    padding: PaddingPairs,
    dw: Array,
    db: Array | None,
) -> None:
    """dw = sum over tiles of A^T [ (B^T d B) * (G dy G^T) ] A, and db unless it is None."""
    (x, _), (dy, dy_step) = pixels(x), pixels(dy)
    channels, filters = dw.shape[2:]
    (rows, columns), positions = f.sizes.tiles(dy.shape[1:3]), f.sizes.positions
    tiles = Tiles(rows, columns, padding[0][0], padding[1][0])
    if has_own_sums(len(x) * rows * columns, channels, filters, positions):
        _small_grad_weight(f, dy, x, tiles, dw)
    else:
        _large_grad_weight(f, dy, x, tiles, dw)
    if db is not None:
        parts = empty((threads(), filters))
        pixels_count = math.prod(dy.shape[:3])
        column_sums(threads(), address(dy), dy_step, pixels_count, filters, address(parts))
        db[...] = parts.sum(axis=0)


def _small_grad_weight(f: Winograd, dy: Array, x: Array, tiles: Tiles, dw: Array) -> None:
    """dw by sums of each task over its tiles, which stay in its cache with the transforms."""
    channels, filters = dw.shape[2:]
    count, positions = len(x) * tiles.rows * tiles.columns, f.sizes.positions
    batch = Batch(0, count, even_block(count, threads(), SUBBATCH))
    row_step, s_step = padded_stride(channels), padded_stride(channels * filters)
    v_step, z_step = (padded_stride(batch.subbatch * n) for n in (row_step, filters))
    room = positions * (v_step + z_step) + f.input_scratch
    scratch, s = empty(threads() * room), empty((threads(), positions, s_step))
    v = Stack(address(scratch), row_step, v_step)
    z = Panels(v.data + FLOAT * positions * v_step, batch.subbatch, z_step)
    sums, rest = Stack(address(s), filters, s_step), z.data + FLOAT * positions * z_step
    f.fused_sums(threads(), image(x), image(dy), batch, tiles, sums, v, z, rest, room)
    _invert(f, sums, threads(), dw)


def _large_grad_weight(f: Winograd, dy: Array, x: Array, tiles: Tiles, dw: Array) -> None:
    """dw by sums over batches of tiles, whose transforms all tasks share."""
    channels, filters = dw.shape[2:]
    row_step, positions = channels + PAD, f.sizes.positions
    sizes = len(x) * tiles.rows * tiles.columns, channels, filters, positions
    s = None if by_panel(*sizes) else empty((positions, padded_stride(channels * filters)))
    for first, last in batches(*sizes):
        count = last - first
        v = empty((positions + 1, padded_stride(count * row_step)))
        z = empty((positions, padded_stride(count * filters)))
        scratch = empty(threads() * max(f.input_scratch, f.sums_scratch if s is None else 0))
        stack = Stack(address(v), row_step, v.shape[1])
        panels = Panels(address(z), count, z.shape[1])
        f.transform_input(threads(), image(x), tiles, first, count, stack, address(scratch))
        f.transform_gradient(threads(), image(dy), tiles, first, panels, address(scratch))
        if s is None:
            gradient = Gradient(address(dw), channels, filters)
            f.accumulate_and_invert(threads(), stack, panels, gradient, address(scratch))
        else:
            sums = Stack(address(s), filters, s.shape[1])
            accumulate(threads(), stack, panels, positions, channels, sums, first > 0)
    if s is not None:
        _invert(f, sums, 1, dw)


def _invert(f: Winograd, sums: Stack, parts: int, dw: Array) -> None:
    """dw = A^T S A for the sum S of `parts` stacks."""
    scratch = empty(threads() * inverse_scratch(f.sizes.exchanged))
    gradient = Gradient(address(dw), *dw.shape[2:])
    f.invert_sums(threads(), sums, parts, gradient, address(scratch))
