"""Products of bfloat16 on Hopper's units (conv_hopper.cu): when they are used, and their launch.

These kernels have not run on a GPU yet: they are used only if the environment says MINICNN_HOPPER=1
or within `algorithm("wgmma")`. They compute forward and input gradient, also of linear layers, of
images whose channels are a multiple of 8, on a GPU of compute capability 9.0; conv.cu all else.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import Array
from .arrays import empty
from .device import THREADS, blocks, launch, runtime
from .plan import Plan, inner, shared_bytes

if TYPE_CHECKING:
    from .product import Product

ALGORITHMS = ("auto", "mma", "wgmma")
CAPABILITY = 90  # the instructions exist on no other
LONGEST = 65535 * 8  # inner indices: the limit of a grid's second side
# What is worth a copy of the weights and a large tile: rows, columns and inner indices.
LEAST = 2048, 64, 256

_forced = "auto"


@contextmanager
def algorithm(name: str) -> Iterator[None]:
    """Use these kernels within this block: "mma", those of conv.cu, or "wgmma" where it can.

    "auto" restores the choice by MINICNN_HOPPER. Raises ValueError for an unknown name.
    """
    global _forced
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {name!r}; expected one of {', '.join(ALGORITHMS)}")
    previous, _forced = _forced, name
    try:
        yield
    finally:
        _forced = previous


def is_forced() -> bool:
    """True within `algorithm("wgmma")`."""
    return _forced == "wgmma"


def is_chosen(kernel: str, product: "Product") -> bool:
    """True if a product of bfloat16 images, copied 16 bytes at a time, is to be computed here.

    Raises ValueError for an unknown value of MINICNN_HOPPER.
    """
    setting = os.environ.get("MINICNN_HOPPER", "")
    if setting not in ("", "0", "1"):
        raise ValueError(f"MINICNN_HOPPER={setting!r}: expected 0 or 1")
    m, n, k, _ = product[:4]
    possible = kernel != "grad_weight" and 0 < k <= LONGEST and runtime().capability == CAPABILITY
    if _forced != "auto":
        return possible and is_forced()
    return possible and setting == "1" and all(map(int.__ge__, (m, n, k), LEAST))


def launch_product(
    kernel: str,
    product: "Product",
    way: Plan,
    weights: Array,
    arguments: tuple[Any, ...],
    structure: np.ndarray,
    options: dict[str, Any],
) -> None:
    """Arrange the weights and start `convolve`.

    `arguments`: images, scale, bias, residual, relu_output, result, parts of the sums.
    """
    (m, n, k, groups), tile, step = product[:4], way.tile, product.taps.w_step
    options |= {"BN": tile.n, "TOGETHER": tile.together}
    steps, columns = -(-k // inner("WGMMA")), -(-n // tile.n) * tile.n
    tiles = empty(weights, (groups, columns, steps * inner("WGMMA")))
    # From column to column of C, and from channel to channel of a patch.
    between = (1, step) if kernel == "forward" else (step, 1)
    grid, sizes = (blocks(columns), steps * 8, groups), (*between, step // groups, structure)
    _start("arrange", grid, THREADS, weights, tiles, *sizes, **options)
    threads = 32 * (tile.warps + (4 if tile.together == 1 else 2))  # with those that copy
    shared = shared_bytes(kernel, tile, "WGMMA", way.stages)
    images, *rest = arguments
    grid = way.grid(m, n, groups)
    _start("convolve", grid, threads, images, tiles, *rest, structure, shared=shared, **options)


def _start(name: str, grid: tuple[int, ...], threads: int, *arguments: Any, **options: Any) -> None:
    launch("conv_hopper.cu", name, grid, threads, *arguments, architecture="sm_90a", **options)
