"""Weight gradients on matrix units: sums over pixels, `dw[k, :] = sum of patch(m)[k] * dy[m, :]`.

A word is a pair of neighbors of a sum, so here it is a pair of pixels: patches 2m and 2m + 1 in the
left factor, rows 2m and 2m + 1 of dy in the right one. A tile of the left factor has the words of
one k in a row. Patches are gathered pair by pair, which gives columns, and are then transposed:

    for a part of the patch, for a block of pixels:
        patches (DEPTH, BLOCK / 2) = the words of the part, transposed
        panels (BLOCK / 2, 32) = the words of dy, 32 filters each
        for a panel, for 32 rows of the patches:
            dw (32, 32) += patches (32, BLOCK / 2) times the panel

Words up to whole tiles are zeros in both factors. Rows of patches and columns of panels up to whole
tiles are not: they reach only sums that nobody reads.

As in matrix_units.py, the instructions were run on an emulator only.
"""

from typing import Any

from ..geometry import window
from ..types import Array
from .direct.grad_weight import Parts, Sums, WeightKernel, conv2d_grad_weight
from .direct.pairs import add_pairs, gather_pairs, pack_pairs
from .direct.patches import PatchGrid, patch_addresses
from .engine.arrays import address
from .engine.launch import inline, kernel, task_range
from .engine.memory import empty
from .engine.records import Epilogue, Rows, Strided
from .engine.rows import fill_zeros
from .engine.simd import FLOAT, LANES, Address, load_index, store_scalar, transpose
from .engine.simd.amx import CONFIGURATION, SIDE, TILE, configure_tiles, release_tiles
from .matrix_units import multiply_part, whole_tiles, write_sums

BLOCK = 512  # pixels: 256 words of each of DEPTH floats of a patch, 630 KB
PAD = TILE  # words between rows, so that no power of two is between them
FEW = 128  # rows of a linear layer up to which writing dw takes longer than AVX-512's products


@inline
def gather_transposed(
    table: Address, count: int, runs: Address, part: tuple[int, int, int], to: Address
) -> None:
    """to[k, i] = the word (patch 2i, patch 2i + 1) of float k of a part of the patch.

    `(depth, words)`, with PAD words between rows, and zeros up to whole tiles of words.
    part: its first run, its last, and its depth. TILE rows of words before they are transposed lie
    before `to`.
    """
    first_run, last_run, depth = part
    words, strip_step = whole_tiles((count + 1) // 2), whole_tiles(depth) + PAD
    strip = to - FLOAT * TILE * strip_step
    for i in range(0, words, TILE):
        left = count - 2 * i
        pixels = table + 16 * i  # 8 bytes per pixel
        gather_pairs(pixels, min(left, SIDE), runs, first_run, last_run, strip, strip_step)
        for r in range((left + 1) // 2, TILE):
            fill_zeros(strip + FLOAT * r * strip_step, depth)
        for k in range(0, depth, LANES):
            place = to + FLOAT * (k * (words + PAD) + i)
            transpose(strip + FLOAT * k, strip_step, place, words + PAD)


@inline
def _multiply(
    patches: Address, panels: Address, words: int, dw: Rows, add: bool, sums: Address
) -> None:
    """dw = patches (rows, words) times the panels of `pack_pairs`, plus dw if `add`."""
    step, epilogue = words + PAD, Epilogue(add, 0, 0, 0)
    for j in range(0, dw.columns, SIDE):
        width, panel = min(SIDE, whole_tiles(dw.columns - j)), panels + FLOAT * j * words
        for k in range(0, dw.rows, SIDE):
            multiply_part(patches + FLOAT * k * step, step, panel, width, words, sums)
            place = dw.data + FLOAT * (k * dw.step + j)
            write_sums(sums, Rows(place, dw.step, dw.rows - k, dw.columns - j), epilogue)


def scratch_size(block: int, longest: int, filters: int) -> int:
    """Floats per task: 32 x 32 sums, a strip of patches, patches, panels of dy, and the table."""
    patches = TILE * (longest + PAD) + longest * (block // 2 + PAD)
    return SIDE * SIDE + patches + block // 2 * (-(-filters // TILE) * TILE) + 2 * block


_scratch_size = inline(scratch_size)


@kernel
def weight_products(
    task: int,
    tasks: int,
    grid: PatchGrid,
    parts: Parts,
    dy: Rows,
    sums: Sums,
    scratch: Address,
    block: int,
    configuration: Address,
) -> None:
    """See `direct.grad_weight.weight_products`."""
    first, last = task_range(parts.number * sums.splits, task, tasks)
    corner = scratch + FLOAT * task * _scratch_size(block, parts.longest, dy.columns)
    patches = corner + FLOAT * (SIDE * SIDE + TILE * (parts.longest + PAD))
    panels = patches + FLOAT * parts.longest * (block // 2 + PAD)
    table = panels + FLOAT * (block // 2) * whole_tiles(dy.columns)
    configure_tiles(configuration)
    for unit in range(first, last):
        part, split = unit % parts.number, unit // parts.number
        m_first, m_last = task_range(dy.rows, split, sums.splits)
        run, at = load_index(parts.data, 2 * part), load_index(parts.data, 2 * part + 1)
        last_run, to = load_index(parts.data, 2 * part + 2), load_index(parts.data, 2 * part + 3)
        target = sums.dw + FLOAT * (split * sums.size + at * sums.step)
        result = Rows(target, sums.step, to - at, dy.columns)
        db = sums.db + FLOAT * split * sums.size
        for j in range(dy.columns if part == 0 else 0):
            store_scalar(db, j, 0.0)
        for m in range(m_first, m_last, block):
            count = min(block, m_last - m)
            words = whole_tiles((count + 1) // 2)
            patch_addresses(grid, m, count, table)
            gather_transposed(table, count, parts.runs, (run, last_run, to - at), patches)
            pixels = Strided(dy.data + FLOAT * m * dy.step, dy.step, 1)
            pack_pairs(pixels, count, dy.columns, panels, 2 * words, 0)
            _multiply(patches, panels, words, result, m > m_first, corner)
            if part == 0:
                add_pairs(panels, 2 * words, dy.columns, db)
    release_tiles()


def _run(tasks: int, *arguments: Any) -> None:
    weight_products(tasks, *arguments, address(CONFIGURATION))


WEIGHTS = WeightKernel(_run, scratch_size, BLOCK, SIDE)


def sums_of_products(dy: Array, x: Array) -> tuple[Array, Array]:
    """See `matrix.sums_of_products`: every row of x is an image of one pixel."""
    (images, filters), channels = dy.shape, x.shape[1]
    dw, db = empty((1, 1, channels, filters)), empty(filters)
    pixels = dy.reshape(images, 1, 1, filters), x.reshape(images, 1, 1, channels)
    conv2d_grad_weight(*pixels, window((1, 1), (1, 1), 1, 0), 1, dw, db, WEIGHTS)
    return dw[0, 0], db
