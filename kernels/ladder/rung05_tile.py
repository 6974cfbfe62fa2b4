"""SIMD register tile: a block of results stays in registers while its sum runs.

    y = A w          A (N H' W', R R C): row m is the patch that pixel m sees
    dw = A^T dy

A is that of im2col, but it is never written. A patch is R runs of R C neighboring floats, so a
table with the address of each patch is enough to read it in place.

The tile is ROWS x COLUMNS results, with AVX-512 8 pixels by 32 filters: 16 registers of 16 sums.
A step loads two vectors of weights and broadcasts one number of each pixel: 10 loads for 16 FMAs.
Rung 2 makes two loads and a store for each FMA, and BLAS first reads and writes the R R times
larger A. The 16 sums do not depend on each other; two FMA units with a latency of 4 cycles need 8
such sums to be busy in every cycle.

The weights are packed in panels of COLUMNS filters, `(panels, R R C, COLUMNS)`, so that the tile
reads them in order: whole cache lines, one after the other.
"""

import functools
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..cpu.engine.arrays import address
from ..cpu.engine.launch import inline, kernel
from ..cpu.engine.memory import empty
from ..cpu.engine.simd import (
    COLUMNS,
    ROWS,
    VECTORS,
    addresses,
    load_index,
    tile_multiply,
    tile_multiply_at,
    tile_store,
    tile_zeros,
)
from ..types import Array
from .finish import bias_and_relu, bias_gradient, padded, turned

FLOAT, ADDRESS = 4, 8  # bytes
BLOCK = 256  # pixels: their rows of a panel of dy, 32 KB, stay in the nearest cache
# A call would hand the tile over through memory.
always_inline = functools.partial(inline, always=True)
Tile: TypeAlias = tuple[Any, ...]  # ROWS x VECTORS vectors, in registers


class Patches(NamedTuple):
    """`count` patches: `rows` runs of `run` floats, `line` floats apart, from each address on."""

    starts: int  # the address of the table of addresses
    count: int
    rows: int
    run: int
    line: int


@always_inline
def patch_tile(starts: int, patches: Patches, panel: int) -> Tile:
    """ROWS patches times a panel of weights."""
    tile, pixels = tile_zeros(ROWS, VECTORS), addresses(starts, ROWS)
    for i in range(patches.rows):
        for k in range(i * patches.line, i * patches.line + patches.run):
            tile = tile_multiply_at(tile, VECTORS, pixels, k, panel)
            panel += FLOAT * COLUMNS
    return tile


@always_inline
def weight_tile(starts: int, at: int, count: int, dy: int) -> Tile:
    """The sum over `count` pixels m of patch(m)[at : at + ROWS] times dy[m, :COLUMNS]."""
    tile = tile_zeros(ROWS, VECTORS)
    for m in range(count):
        tile = tile_multiply(tile, ROWS, VECTORS, load_index(starts, m) + FLOAT * at, 1, dy)
        dy += FLOAT * COLUMNS
    return tile


@kernel
def _convolve(task: int, tasks: int, patches: Patches, w: int, y: int, filters: int) -> None:
    """y = A w; a panel of w stays in the second cache while all pixels pass."""
    for k in range(0, filters, COLUMNS):
        panel = w + FLOAT * k * patches.rows * patches.run
        for m in range(0, patches.count, ROWS):
            tile = patch_tile(patches.starts + ADDRESS * m, patches, panel)
            to, rows = y + FLOAT * (m * filters + k), patches.count - m
            tile_store(tile, VECTORS, to, filters, rows, filters - k, 0, 0, 0, 0)


@kernel
def _grad_weight(task: int, tasks: int, patches: Patches, dy: int, dw: int, filters: int) -> None:
    """dw = A^T dy, BLOCK pixels after the other."""
    for m in range(0, patches.count, BLOCK):
        count = min(BLOCK, patches.count - m)
        for k in range(0, filters, COLUMNS):
            panel = dy + FLOAT * (k * patches.count + m * COLUMNS)
            for i in range(patches.rows):
                for r in range(0, patches.run, ROWS):
                    starts, at = patches.starts + ADDRESS * m, i * patches.line + r
                    tile = weight_tile(starts, at, count, panel)
                    to, rows = dw + FLOAT * ((i * patches.run + r) * filters + k), patches.run - r
                    tile_store(tile, VECTORS, to, filters, rows, filters - k, m, 0, 0, 0)


def panels(a: Array) -> Array:
    """The columns of `(M, K)` in panels, `(ceil(K / COLUMNS), M, COLUMNS)`, padded with zeros."""
    packed = empty((-(-a.shape[1] // COLUMNS), a.shape[0], COLUMNS))
    for k, panel in enumerate(packed):
        columns = a[:, k * COLUMNS : (k + 1) * COLUMNS]
        panel[:, : columns.shape[1]] = columns
        panel[:, columns.shape[1] :] = 0
    return packed


def patch_starts(x: Array, size: int) -> Array:
    """The address of each patch in padded x; the last one again up to a multiple of ROWS."""
    n, h, w, c = x.shape
    image, row = np.arange(n)[:, None, None], np.arange(h - size + 1)[:, None]
    pixels = ((image * h + row) * w + np.arange(w - size + 1)).ravel()
    return np.pad(address(x) + FLOAT * c * pixels, (0, -len(pixels) % ROWS), mode="edge")


def patches_of(x: Array, size: int, starts: Array) -> Patches:
    """The patches of padded x as kernels take them."""
    n, h, w, c = x.shape
    count = n * (h - size + 1) * (w - size + 1)
    return Patches(address(starts), count, size, size * c, w * c)


def _apply(x: Array, w: Array, pad: int) -> Array:
    x, size = padded(x, pad), len(w)
    y = empty((len(x), x.shape[1] - size + 1, x.shape[2] - size + 1, w.shape[3]))
    packed, starts = panels(w.reshape(-1, w.shape[3])), patch_starts(x, size)
    _convolve(1, patches_of(x, size, starts), address(packed), address(y), w.shape[3])
    return y


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    x, filters = padded(x, pad), dy.shape[3]
    dw = empty((size, size, x.shape[3], filters))
    packed, starts = panels(dy.reshape(-1, filters)), patch_starts(x, size)
    _grad_weight(1, patches_of(x, size, starts), address(packed), address(dw), filters)
    return dw, bias_gradient(dy)
