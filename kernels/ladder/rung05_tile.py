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
from ..cpu.engine.records import PLAIN, Epilogue, Rows
from ..cpu.engine.simd import (
    COLUMNS,
    FLOAT,
    ROWS,
    VECTORS,
    Address,
    addresses,
    load_index,
    tile_multiply,
    tile_multiply_at,
    tile_store,
    tile_zeros,
)
from ..types import Array
from .finish import bias_and_relu, bias_gradient, padded, turned

ADDRESS_SIZE = 8  # bytes
BLOCK = 256  # pixels: their rows of a panel of dy, 32 KB, stay in the nearest cache
# A call would hand the tile over through memory.
always_inline = functools.partial(inline, always=True)
Tile: TypeAlias = tuple[Any, ...]  # ROWS x VECTORS vectors, in registers


class Patches(NamedTuple):
    """The patch of each pixel: `rows` runs of `run` floats, `line` floats apart."""

    starts: Address  # of the table of the addresses where the patches start
    pixels: int
    rows: int
    run: int
    line: int


@always_inline
def patch_tile(starts: Address, patches: Patches, panel: Address) -> Tile:
    """ROWS patches times a panel of weights."""
    tile, pixels = tile_zeros(ROWS, VECTORS), addresses(starts, ROWS)
    for i in range(patches.rows):
        for k in range(i * patches.line, i * patches.line + patches.run):
            tile = tile_multiply_at(tile, VECTORS, pixels, k, panel)
            panel += FLOAT * COLUMNS
    return tile


@always_inline
def weight_tile(starts: Address, at: int, count: int, dy: Address) -> Tile:
    """The sum over `count` pixels m of patch(m)[at : at + ROWS] times dy[m, :COLUMNS]."""
    tile = tile_zeros(ROWS, VECTORS)
    for m in range(count):
        tile = tile_multiply(tile, ROWS, VECTORS, load_index(starts, m) + FLOAT * at, 1, dy)
        dy += FLOAT * COLUMNS
    return tile


@kernel
def _convolve(task: int, tasks: int, patches: Patches, w: Address, y: Rows) -> None:
    """y = A w; a panel of w stays in the second cache while all pixels pass."""
    for k in range(0, y.columns, COLUMNS):
        panel = w + FLOAT * k * patches.rows * patches.run
        for m in range(0, patches.pixels, ROWS):
            tile = patch_tile(patches.starts + ADDRESS_SIZE * m, patches, panel)
            to = y.data + FLOAT * (m * y.step + k)
            tile_store(tile, VECTORS, Rows(to, y.step, y.rows - m, y.columns - k), PLAIN)


@kernel
def _grad_weight(task: int, tasks: int, patches: Patches, dy: Address, dw: Rows) -> None:
    """dw = A^T dy, BLOCK pixels after the other; all but the first add to dw."""
    for m in range(0, patches.pixels, BLOCK):
        count, starts = min(BLOCK, patches.pixels - m), patches.starts + ADDRESS_SIZE * m
        for k in range(0, dw.columns, COLUMNS):
            panel = dy + FLOAT * (k * patches.pixels + m * COLUMNS)
            for i in range(patches.rows):
                for r in range(0, patches.run, ROWS):
                    tile = weight_tile(starts, i * patches.line + r, count, panel)
                    to = dw.data + FLOAT * ((i * patches.run + r) * dw.step + k)
                    rows = Rows(to, dw.step, patches.run - r, dw.columns - k)
                    tile_store(tile, VECTORS, rows, Epilogue(m, 0, 0, 0))


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


def rows_of(a: Array) -> Rows:
    """`(..., K)` as a matrix with K columns."""
    return Rows(address(a), a.shape[-1], a.size // a.shape[-1], a.shape[-1])


def patches_of(x: Array, size: int, starts: Array) -> Patches:
    """The patches of padded x as kernels take them."""
    n, h, w, c = x.shape
    pixels = n * (h - size + 1) * (w - size + 1)
    return Patches(address(starts), pixels, size, size * c, w * c)


def _apply(x: Array, w: Array, pad: int) -> Array:
    x, size = padded(x, pad), len(w)
    y = empty((len(x), x.shape[1] - size + 1, x.shape[2] - size + 1, w.shape[3]))
    packed, starts = panels(w.reshape(-1, w.shape[3])), patch_starts(x, size)
    _convolve(1, patches_of(x, size, starts), address(packed), rows_of(y))
    return y


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    x, dw = padded(x, pad), empty((size, size, x.shape[3], dy.shape[3]))
    packed, starts = panels(dy.reshape(-1, dy.shape[3])), patch_starts(x, size)
    _grad_weight(1, patches_of(x, size, starts), address(packed), rows_of(dw))
    return dw, bias_gradient(dy)
