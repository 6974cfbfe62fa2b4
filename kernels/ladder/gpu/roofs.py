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
    cache: float  # the second one; in no data sheet, about
    clock: float
    rates: dict[str, float]


H100 = Card(
    "H100 SXM", 132, 3.35e12, 5.5e12, 1.83e9, {"fp32": 67e12, "tf32": 495e12, "bf16": 989e12}
)


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


LATENCY = 0.6e-6  # seconds from the request of a number in memory to its arrival, about


class Stream(NamedTuple):
    """The least time of kernels that are bound by memory: statistics, then the other passes."""

    memory: float
    sectors: float
    latency: float
    others: float

    @property
    def seconds(self) -> float:
        """The statistics' slowest part, and the other passes."""
        return max(self[:3]) + self.others

    @property
    def binds(self) -> str:
        """The slowest part of the statistics."""
        names = "memory", "second cache", "latency"
        return names[self[:3].index(max(self[:3]))]


def stream(used: float, sectors: int, flight: float, others: float, card: Card = H100) -> Stream:
    """The least time of statistics over `used` bytes, and of passes that move `others` bytes.

    Args:
        sectors: bytes that come from the second cache for each byte that is used.
        flight: bytes that all blocks together have requested at any time; no more arrive during
            one latency (Little's law).
    """
    fetched = used * sectors
    waited = fetched / flight * LATENCY
    return Stream(used / card.memory, fetched / card.cache, waited, others / card.memory)
