"""Bands: what some rows of results read, copied into contiguous memory, a vector of channels each.

The pixels of an image lie C floats apart. Where C is a power of two, those of a window share a few
sets of the nearest cache, which cannot hold them. In a band they are neighbors, and a border of
zeros makes all windows whole.
"""

from typing import NamedTuple

from ...geometry import Window
from ..engine.arrays import Image
from ..engine.launch import inline
from ..engine.simd import FLOAT, LANES, Address, load, prefetch, store
from ..engine.simd.functions import constant
from .taps import TILE
from .tiles import AHEAD

BYTES = 1 << 18  # of the bands of all vectors at most, if one row of results does not need more
TOGETHER = 8  # vectors of channels that are copied at once, so that memory is read in order


class Bands(NamedTuple):
    """How results are divided into bands of `rows` rows, `number` per image.

    Result (p, q) reads the pixels (p * step_y + off_y + i * move_y, q * step_x + off_x + j *
    move_x). A band has up to height x width pixels, enough for `across` results per row.
    """

    rows: int
    number: int
    across: int
    step_y: int
    step_x: int
    move_y: int
    move_x: int
    off_y: int
    off_x: int
    height: int
    width: int


def bands_of(geometry: Window, vectors: int) -> Bands:
    """The bands of a convolution for so many vectors of channels at once."""
    (step_y, step_x), (move_y, move_x) = geometry.stride, geometry.dilation
    across = -(-geometry.output[1] // TILE) * TILE
    reach = (geometry.kernel[0] - 1) * move_y + 1
    width = (across - 1) * step_x + (geometry.kernel[1] - 1) * move_x + 1
    fit = (BYTES // (FLOAT * LANES * width * vectors) - reach) // step_y + 1
    rows = -(-geometry.output[0] // -(-geometry.output[0] // max(1, fit)))
    number, height = -(-geometry.output[0] // rows), (rows - 1) * step_y + reach
    off = -geometry.padding[0][0], -geometry.padding[1][0]
    return Bands(
        rows, number, across, step_y, step_x, move_y, move_x, *off, height=height, width=width
    )


@inline
def pack(
    x: Image,
    n: int,
    c: int,
    vectors: int,
    top: int,
    left: int,
    height: int,
    width: int,
    bands: Address,
    size: int,
) -> None:
    """Copy the pixels of image n from (top, left) on, with zeros around it, to `vectors` bands.

    Band v, `size` floats behind the one before, gets the channels from c + LANES v on. The last
    vector of channels begins earlier, so that it is a whole one.
    """
    for r in range(height):
        row, h = bands + FLOAT * LANES * width * r, top + r
        inside = 0 <= h < x.height
        first = min(width, max(0, -left)) if inside else width
        last = max(first, min(width, x.width - left)) if inside else width
        for v in range(vectors):
            for k in range(first):
                store(row, size * v + LANES * k, constant(0.0))
            for k in range(last, width):
                store(row, size * v + LANES * k, constant(0.0))
        pixels = x.data + FLOAT * ((n * x.height + h) * x.width + left) * x.step
        for k in range(first, last):
            for v in range(vectors):
                at = k * x.step + min(c + LANES * v, x.channels - LANES)
                prefetch(pixels, at + AHEAD)
                store(row, size * v + LANES * k, load(pixels, at))
