"""How a product C = A B is cut into tiles for blocks, and its sum into parts: the way that a model of the card finds cheapest.

The model counts cycles of the fullest multiprocessor. Its numbers are Hopper's, from data sheets, and none has been measured; what they
decide is which of two ways is cheaper, and for that their ratios matter.
"""

import functools
from typing import NamedTuple

MULTIPLY_ADDS = {"FFMA": 100, "TF32X3": 210, "TF32": 630, "BF16": 1270}  # a cycle of a multiprocessor that always has operands at hand
QUARTERS = 4  # of a multiprocessor, each with warps of its own
SHARED_BYTES = 128  # that a multiprocessor's shared memory moves in a cycle
CACHE_BYTES = 32  # that a multiprocessor reads from the second-level cache in a cycle
MEMORY_BYTES = 14  # its share of the device's memory, in a cycle
STEP_LATENCY = 500  # cycles of a step in which a warp waits: for a barrier, fragments, products; others may work meanwhile
BLOCK_LATENCY = 1500  # cycles before a block's first step
LAUNCH = 4000  # cycles that the kernel costs which adds up the parts
LEAST_STEPS = 4  # of a part: less is not worth a block
FULL_WARPS, FULL_BALANCE = 8, 0.85  # from here on a card counts as filled
TRUST = 1.15  # a way that fills the card is taken although the model thinks it up to this much dearer
STAGES = 3  # steps whose copies are under way; one less where blocks have not the shared memory
RESERVED = 1 << 10  # bytes of shared memory that every block takes beside its own
WORKSPACE = 1 << 28  # bytes that the parts of a sum may take


class Card(NamedTuple):
    """A device: its multiprocessors, the bytes of shared memory that a block may have, and those of a multiprocessor."""

    processors: int
    block_memory: int
    memory: int


class Tile(NamedTuple):
    """A block's part of C, `m` x `n` numbers, and how its warps share it; a multiprocessor has registers for `together` blocks."""

    m: int
    n: int
    warps_m: int
    warps_n: int
    together: int

    @property
    def warps(self) -> int:
        return self.warps_m * self.warps_n

    def defines(self) -> dict[str, int]:
        """The tile as the options that conv.cu is compiled with."""
        return {"BM": self.m, "BN": self.n, "WARPS_M": self.warps_m, "WARPS_N": self.warps_n, "TOGETHER": self.together}


class Plan(NamedTuple):
    """A product's tile, how many steps' copies are under way, in how many parts its sum is split, and what the model says of that.

    `warps`: on the fullest multiprocessor at a time. `balance`: the average multiprocessor's steps, as a share of the fullest one's.
    """

    tile: Tile
    stages: int
    splits: int
    cycles: float
    warps: int
    balance: float

    @property
    def fills(self) -> bool:
        """Whether every multiprocessor has enough warps to hide latencies behind each other, and about as much to do as the others."""
        return self.warps >= FULL_WARPS and self.balance >= FULL_BALANCE


def inner(precision: str) -> int:
    """BK: the inner indices of one step, 128 bytes of them."""
    return 128 // number_size(precision)


def number_size(precision: str) -> int:
    """Bytes of a number of A and B."""
    return 2 if precision == "BF16" else 4


def tiles(precision: str) -> tuple[Tile, ...]:
    """The tiles there are, the largest first. A warp that makes 64x64 numbers reads half as much of A and B for each as one with 32x32."""
    if precision in ("BF16", "TF32"):
        return Tile(128, 128, 2, 2, 2), Tile(128, 64, 2, 2, 2), Tile(64, 64, 2, 2, 4)
    split = precision == "TF32X3"  # two registers for each number of A and B, and two sums
    return Tile(128, 128, 4, 2, 1 if split else 2), Tile(128, 64, 4, 2, 1 if split else 2), Tile(64, 64, 2, 2, 3 if split else 4)


def shared_bytes(kernel: str, tile: Tile, precision: str, stages: int) -> int:
    """A block's: the stages of both tiles (`Tile` of gather.cuh), and four ints for each row of C, or for the pixels of two steps."""
    size, depth = number_size(precision), inner(precision)

    def numbers(side: int, k_inside: bool) -> int:
        gap = 8 if size == 2 or not k_inside else 4
        return side * (depth + gap) if k_inside else depth * (side + gap)

    both = numbers(tile.m, kernel != "grad_weight") + numbers(tile.n, kernel == "grad_input")
    return stages * both * size + 16 * (2 * depth if kernel == "grad_weight" else tile.m)


def stages_of(kernel: str, tile: Tile, precision: str, card: Card) -> tuple[int, int]:
    """How many steps' copies are under way, and how many blocks a multiprocessor then holds: three stages if all `together` have room."""
    for stages in (STAGES, STAGES - 1):
        needed = shared_bytes(kernel, tile, precision, stages)
        together = min(tile.together, card.memory // (needed + RESERVED))
        if needed <= card.block_memory and together == tile.together:
            break
    return stages, max(1, together)


@functools.lru_cache(maxsize=4096)
def plan(kernel: str, m: int, n: int, k: int, groups: int, precision: str, card: Card) -> Plan:
    """The way to make `groups` products of m x n sums over k numbers: the cheapest that fills the card, if one is nearly the cheapest."""
    found = sorted(ways(kernel, m, n, k, groups, precision, card), key=lambda way: way.cycles)
    return next((way for way in found if way.fills and way.cycles <= TRUST * found[0].cycles), found[0])


def ways(kernel: str, m: int, n: int, k: int, groups: int, precision: str, card: Card) -> list[Plan]:
    """Every tile, with the sum whole and in as many parts as fill the multiprocessors one to sixteen times."""
    steps, results = max(1, -(-k // inner(precision))), m * n * groups
    most = max(1, min(steps // LEAST_STEPS, WORKSPACE // (4 * results)))
    found = []
    for tile in tiles(precision):
        count = -(-m // tile.m) * -(-n // tile.n) * groups
        stages, together = stages_of(kernel, tile, precision, card)
        for splits in sorted({1} | {min(most, max(1, fill * card.processors // count)) for fill in range(1, 17)}):
            fullest, each = -(-count * splits // card.processors), -(-steps // splits)
            warps = min(together, fullest) * tile.warps
            cycles = _cycles(tile, splits, each, fullest, min(together, fullest), precision)
            if splits > 1:
                cycles += LAUNCH + (splits + 1) * results * 4 / (MEMORY_BYTES * card.processors)
            found.append(Plan(tile, stages, splits, cycles, warps, count * steps / (card.processors * fullest * each)))
    return found


def _cycles(tile: Tile, splits: int, each: int, blocks: int, resident: int, precision: str) -> float:
    """Cycles of a multiprocessor that makes so many blocks of `each` steps, `resident` of them at a time."""
    busy = _step_cycles(tile, precision)
    step = max(busy, (busy + STEP_LATENCY * QUARTERS / tile.warps) / resident)
    out = tile.m * tile.n * (number_size(precision) if splits == 1 else 4) / MEMORY_BYTES
    return blocks * (each * step + BLOCK_LATENCY / resident + out)


@functools.cache
def _step_cycles(tile: Tile, precision: str) -> float:
    """Cycles of a step in which nothing waits: of the slowest of products, shared memory and the second-level cache."""
    depth, size = inner(precision), number_size(precision)
    copied = (tile.m + tile.n) * depth * size
    read = tile.warps * (tile.m // tile.warps_m + tile.n // tile.warps_n) * depth * size
    products = tile.m * tile.n * depth / MULTIPLY_ADDS[precision]
    return max(products, (copied + read) / SHARED_BYTES, copied / CACHE_BYTES)
