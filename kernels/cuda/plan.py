"""How a product C = A B is cut into tiles for blocks, and its sums into parts.

A model of the card estimates the cycles of the busiest multiprocessor for each way and takes the
cheapest. Its numbers are those of Hopper's data sheets; none has been measured. They decide which
of two ways is cheaper, for which their ratios matter.
"""

import functools
from typing import Any, NamedTuple

# Multiply-adds per cycle of a multiprocessor whose operands are always ready. "WGMMA" is bfloat16
# on Hopper's units: see hopper.py.
MULTIPLY_ADDS = {"FFMA": 100, "TF32X3": 210, "TF32": 630, "BF16": 1270, "WGMMA": 2000}
QUARTERS = 4  # of a multiprocessor; each has warps of its own
SHARED_BYTES = 128  # per cycle to and from a multiprocessor's shared memory
CACHE_BYTES = 32  # per cycle from the second-level cache to a multiprocessor
MEMORY_BYTES = 14  # per cycle, a multiprocessor's share of the device's memory bandwidth
STEP_LATENCY = 500  # cycles per step that a warp waits, while other warps may work
BLOCK_LATENCY = 1500  # cycles before a block's first step
LAUNCH = 4000  # cycles of launching the kernel that adds up the parts
LEAST_STEPS = 4  # of a part: fewer do not pay for a block
FULL_WARPS, FULL_BALANCE = 8, 0.85  # a card with at least these is full
TRUST = 1.15  # a way that fills the card may be estimated that much dearer than the cheapest
STAGES = 3  # steps whose copies are in flight; one less if shared memory is short
RESERVED = 1 << 10  # bytes of shared memory that CUDA takes per block
WORKSPACE = 1 << 28  # bytes that the parts of a sum may take


class Card(NamedTuple):
    """A device: multiprocessors, and bytes of shared memory per block and per multiprocessor."""

    processors: int
    block_memory: int
    memory: int


class Tile(NamedTuple):
    """A block's part of C, `m` x `n` numbers, divided among warps_m x warps_n warps.

    A multiprocessor has registers for `together` blocks. `stages` is the most that a block fills.
    """

    m: int
    n: int
    warps_m: int
    warps_n: int
    together: int
    stages: int = STAGES

    @property
    def warps(self) -> int:
        """The warps of a block that multiply."""
        return self.warps_m * self.warps_n

    def defines(self) -> dict[str, Any]:
        """The tile as options of conv.cu."""
        warps = {"WARPS_M": self.warps_m, "WARPS_N": self.warps_n}
        return {"BM": self.m, "BN": self.n, **warps, "TOGETHER": self.together}


# Two warpgroups of 4 warps, each 64 rows.
HOPPER_TILES = (
    Tile(128, 256, 8, 1, 1, stages=4),
    Tile(128, 128, 8, 1, 2),
    Tile(128, 64, 8, 1, 2, stages=4),
)


class Plan(NamedTuple):
    """A product's precision, tile, stages and splits, and what the model estimates for them.

    `stages`: the steps whose copies are in flight. `splits`: the parts of each sum. `cycles`: of
    the busiest multiprocessor. `warps`: how many of its warps run at the same time. `balance`: the
    steps of the average multiprocessor over those of the busiest.
    """

    precision: str
    tile: Tile
    stages: int
    splits: int
    cycles: float
    warps: int
    balance: float

    def grid(self, m: int, n: int, groups: int) -> tuple[int, int, int]:
        """The blocks of conv.cu: tiles of C, and parts of the sums of each group."""
        return -(-m // self.tile.m) * -(-n // self.tile.n), 1, groups * self.splits

    @property
    def fills(self) -> bool:
        """True if each multiprocessor has enough warps to hide latency, and similar work."""
        return self.warps >= FULL_WARPS and self.balance >= FULL_BALANCE


def inner(precision: str) -> int:
    """BK: the inner indices of one step, 128 bytes of them."""
    return 128 // number_size(precision)


def number_size(precision: str) -> int:
    """Bytes of a number of A and B."""
    return 2 if precision in ("BF16", "WGMMA") else 4


def tiles(precision: str) -> tuple[Tile, ...]:
    """The tiles, the largest first.

    A warp that computes 64x64 numbers reads half as much of A and B per number as one with 32x32.
    """
    if precision == "WGMMA":
        return HOPPER_TILES
    if precision in ("BF16", "TF32"):
        return Tile(128, 128, 2, 2, 2), Tile(128, 64, 2, 2, 2), Tile(64, 64, 2, 2, 4)
    # 3xTF32 needs two registers per number of A and B, and two sums.
    large, small = (1, 3) if precision == "TF32X3" else (2, 4)
    return Tile(128, 128, 4, 2, large), Tile(128, 64, 4, 2, large), Tile(64, 64, 2, 2, small)


def shared_bytes(kernel: str, tile: Tile, precision: str, stages: int) -> int:
    """The shared memory of a block.

    It holds the stages of both tiles (`Tile` of gather.cuh), and four ints per row of C or, in the
    weight gradient, per pixel of two steps.
    """
    size, depth = number_size(precision), inner(precision)
    if precision == "WGMMA":  # Ring of conv_hopper.cu, which begins at a multiple of 1,024
        return 1024 + stages * ((tile.m + tile.n) * depth * size + 2 * 8) + 16 * tile.m

    def numbers(side: int, k_inside: bool) -> int:
        gap = 8 if size == 2 or not k_inside else 4
        return side * (depth + gap) if k_inside else depth * (side + gap)

    both = numbers(tile.m, kernel != "grad_weight") + numbers(tile.n, kernel == "grad_input")
    return stages * both * size + 16 * (2 * depth if kernel == "grad_weight" else tile.m)


def stages_of(kernel: str, tile: Tile, precision: str, card: Card) -> tuple[int, int]:
    """The number of stages, and of blocks that a multiprocessor then holds.

    As many stages as the tile may have if `tile.together` blocks have room for them, else one less.
    """
    for stages in (tile.stages, tile.stages - 1):
        needed = shared_bytes(kernel, tile, precision, stages)
        together = min(tile.together, card.memory // (needed + RESERVED))
        if needed <= card.block_memory and together == tile.together:
            break
    return stages, max(1, together)


@functools.lru_cache(maxsize=4096)
def plan(kernel: str, m: int, n: int, k: int, groups: int, precision: str, card: Card) -> Plan:
    """The way to compute `groups` products of m x n sums over k numbers.

    It is the cheapest way that fills the card, if that costs at most TRUST times the cheapest.
    """
    found = sorted(ways(kernel, m, n, k, groups, precision, card), key=lambda way: way.cycles)
    affordable = (way for way in found if way.cycles <= TRUST * found[0].cycles)
    return next((way for way in affordable if way.fills), found[0])


def ways(
    kernel: str, m: int, n: int, k: int, groups: int, precision: str, card: Card
) -> list[Plan]:
    """Each tile, with whole sums and with as many parts as fill the card 1 to 16 times."""
    steps, results = max(1, -(-k // inner(precision))), m * n * groups
    most = max(1, min(steps // LEAST_STEPS, WORKSPACE // (4 * results)))
    found = []
    for tile in tiles(precision):
        count = -(-m // tile.m) * -(-n // tile.n) * groups
        stages, together = stages_of(kernel, tile, precision, card)
        filling = (min(most, max(1, fill * card.processors // count)) for fill in range(1, 17))
        for splits in sorted({1, *filling}):
            busiest, each = -(-count * splits // card.processors), -(-steps // splits)
            resident = min(together, busiest)
            cycles = _cycles(tile, splits, each, busiest, resident, precision)
            if splits > 1:
                moved = (splits + 1) * results * 4
                cycles += LAUNCH + moved / (MEMORY_BYTES * card.processors)
            balance = count * steps / (card.processors * busiest * each)
            numbers = cycles, resident * tile.warps, balance
            found.append(Plan(precision, tile, stages, splits, *numbers))
    return found


def _cycles(
    tile: Tile, splits: int, steps: int, blocks: int, resident: int, precision: str
) -> float:
    """Cycles of a multiprocessor for `blocks` of `steps` each, `resident` of them at a time."""
    busy = _step_cycles(tile, precision)
    waits = 0 if precision == "WGMMA" else STEP_LATENCY * QUARTERS / tile.warps
    step = max(busy, (busy + waits) / resident)
    out = tile.m * tile.n * (number_size(precision) if splits == 1 else 4) / MEMORY_BYTES
    return blocks * (steps * step + BLOCK_LATENCY / resident + out)


@functools.cache
def _step_cycles(tile: Tile, precision: str) -> float:
    """Cycles of a step without waiting: the most of products, shared memory, and cache."""
    depth, size = inner(precision), number_size(precision)
    copied = (tile.m + tile.n) * depth * size
    readers, rows = tile.warps, tile.m // tile.warps_m
    if precision == "WGMMA":  # a warpgroup reads what its four warps multiply
        readers, rows = readers // 4, rows * 4
    read = readers * (rows + tile.n // tile.warps_n) * depth * size
    products = tile.m * tile.n * depth / MULTIPLY_ADDS[precision]
    return max(products, (copied + read) / SHARED_BYTES, copied / CACHE_BYTES)
