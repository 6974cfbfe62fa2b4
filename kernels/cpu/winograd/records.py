"""The records of integers that Winograd's kernels take; see `engine.launch`."""

from typing import NamedTuple

from ..engine.simd import Address


class Tiles(NamedTuple):
    """rows x columns tiles cover an image; the first one's input starts at (-top, -left)."""

    rows: int
    columns: int
    top: int
    left: int


class Batch(NamedTuple):
    """`tiles` tiles from the `first` on, of which a task takes `subbatch` at a time."""

    first: int
    tiles: int
    subbatch: int


class Stack(NamedTuple):
    """One matrix per position, `step` floats apart; `row_step` floats between rows."""

    data: Address
    row_step: int
    step: int


class Filters(NamedTuple):
    """Weights `(r, s, C, K)` of a convolution with `columns` filters.

    `rotate`: those of the input gradient, with C and K exchanged and rotated by 180 degrees. An
    address of 0 means that they are transformed already.
    """

    data: Address
    columns: int
    rotate: bool


class Gradient(NamedTuple):
    """A weight gradient `(r, s, C, K)`."""

    data: Address
    channels: int
    filters: int


class Panels(NamedTuple):
    """One matrix per position, `step` floats apart, as packed panels `depth` rows deep."""

    data: Address
    depth: int
    step: int
