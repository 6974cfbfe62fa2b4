"""What a kernel waits for, computed: the least time that each part of a GPU needs for it.

Four parts work at the same time, and the slowest decides (Williams, Waterman & Patterson 2009,
"Roofline"):

* memory: the bytes that must be moved at least once;
* the port of a multiprocessor to its first cache and shared memory, which are one memory: one
  wavefront of up to 128 bytes per cycle. An access of a warp is at least one wavefront; a warp that
  touches 32 lines needs 32;
* the units: the multiply-adds at the rate of the ordinary units or of the tensor cores.

Port and units are counted for the multiprocessors that have a block to work on.
"""

from typing import NamedTuple

UNITS = {"fp32": "ordinary units", "tf32": "tensor cores", "bf16": "tensor cores"}


class Card(NamedTuple):
    """A GPU as its data sheet describes it, in bytes, FLOP (dense) and cycles per second."""

    name: str
    processors: int
    memory: float
    clock: float
    rates: dict[str, float]


H100 = Card("H100 SXM", 132, 3.35e12, 1.83e9, {"fp32": 67e12, "tf32": 495e12, "bf16": 989e12})


class Least(NamedTuple):
    """The least time of one pass: seconds for each part."""

    memory: float
    port: float
    units: float
    kind: str  # of the units
    blocks: int
    processors: int

    @property
    def seconds(self) -> float:
        """The time of the slowest part."""
        return max(self.memory, self.port, self.units)

    @property
    def binds(self) -> str:
        """The slowest part."""
        if self.seconds == self.memory:
            return "memory"
        part = "port" if self.seconds == self.port else UNITS[self.kind]
        few = f" of {self.blocks} multiprocessors" if self.blocks < self.processors else ""
        return part + few


def least(
    flops: float, moved: float, port: float, kind: str, blocks: int, card: Card = H100
) -> Least:
    """The least time of a kernel.

    Args:
        flops: two for each multiply-add.
        moved: bytes that cross the memory's bus at least.
        port: wavefronts for 32 multiply-adds, which are one instruction of a warp.
        kind: of the units, a key of `Card.rates`.
        blocks: that run at the same time, at most one of them counted per multiprocessor.
    """
    working = min(blocks, card.processors)
    through = flops / 64 * port / (working * card.clock)
    busy = flops / (card.rates[kind] * working / card.processors)
    return Least(moved / card.memory, through, busy, kind, blocks, card.processors)
