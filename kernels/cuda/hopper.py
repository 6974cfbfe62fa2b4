"""Products of bfloat16 on Hopper's units (conv_hopper.cu): when they are used, and their launch.

These kernels have not run on a GPU yet: they are used only if the environment says MINICNN_HOPPER=1
or within `algorithm("wgmma")`. They compute all passes, also of linear layers, of images whose
channels are a multiple of 8, on a GPU of compute capability 9.0; conv.cu computes all else.
"""

import functools
import os
import warnings
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..thread_state import ThreadState
from ..types import Array
from .arrays import empty
from .device import THREADS, blocks, launch, runtime
from .plan import Plan, Tile, inner, shared_bytes

if TYPE_CHECKING:
    from .product import Product

ALGORITHMS = ("auto", "mma", "wgmma")
CAPABILITY = 90  # the instructions exist on no other
BOX = 1, 1, 64, 64  # pixels and filters of a copy of dy
LONGEST = 65535 * 8  # inner indices: the limit of a grid's second side
# What is worth a copy of the weights and a large tile: rows, columns and inner indices.
LEAST = {
    "forward": (2048, 64, 256),
    "grad_input": (2048, 64, 256),
    "grad_weight": (256, 64, 2048),
}


class _State(ThreadState):
    """algorithm: one of `ALGORITHMS`."""

    inherited = ("algorithm",)
    algorithm = "auto"


_state = _State()


def algorithm(name: str) -> AbstractContextManager[None]:
    """Use these kernels in this block, in this thread: "mma", those of conv.cu, or "wgmma".

    "wgmma" is used where it can be, and "auto" restores the choice by MINICNN_HOPPER.
    Raises ValueError for an unknown name.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {name!r}; expected one of {', '.join(ALGORITHMS)}")
    return _state.changed(algorithm=name)


def is_forced() -> bool:
    """True within `algorithm("wgmma")`."""
    return _state.algorithm == "wgmma"


def is_chosen(kernel: str, product: "Product", b: Array) -> bool:
    """True if a product of bfloat16 images, copied 16 bytes at a time, and b is computed here.

    Raises ValueError for an unknown value of MINICNN_HOPPER.
    """
    setting = os.environ.get("MINICNN_HOPPER", "")
    if setting not in ("", "0", "1"):
        raise ValueError(f"MINICNN_HOPPER={setting!r}: expected 0 or 1")
    capability = runtime().capability
    if setting == "1" and capability != CAPABILITY:
        _warn_of(capability)
    possible = capability == CAPABILITY and _is_possible(kernel, product, b)
    if _state.algorithm != "auto":
        return possible and is_forced()
    sizes = zip(product[:3], LEAST[kernel], strict=True)
    return possible and setting == "1" and all(size >= least for size, least in sizes)


@functools.cache
def _warn_of(capability: int) -> None:
    warnings.warn(
        f"MINICNN_HOPPER=1 changes nothing: the GPU has compute capability {capability / 10}; "
        "expected 9.0",
        stacklevel=2,
    )


def _is_possible(kernel: str, product: "Product", b: Array) -> bool:
    if kernel != "grad_weight":
        return 0 < product.k <= LONGEST
    aligned = runtime().address(b) % 16 == 0 and b.shape[-1] % 8 == 0
    return product.k > 0 and b.flags.c_contiguous and aligned


def launch_product(
    kernel: str,
    product: "Product",
    way: Plan,
    b: Array,
    arguments: tuple[Any, ...],
    structure: np.ndarray,
    options: dict[str, Any],
) -> None:
    """Start `convolve`, after the weights are arranged, or `grad_weight_hopper`.

    `b`: weights, or the gradients dy. `arguments`: images, scale, bias, residual, relu_output,
    result, parts of the sums.
    """
    (m, n, _, groups), tile, images = product[:4], way.tile, arguments[0]
    options |= {"BN": tile.n, "TOGETHER": tile.together}
    grid = way.grid(m, n, groups)
    threads = 32 * (tile.warps + (4 if tile.together == 1 else 2))  # with those that copy
    options["shared"] = shared_bytes(kernel, tile, "WGMMA", way.stages)
    if kernel == "grad_weight":
        boxes = runtime().tensor_map(b.reshape(1, 1, -1, b.shape[-1]), BOX)
        arguments = boxes, *arguments[-2:], structure
        _start("grad_weight_hopper", grid, threads, images, *arguments, **options)
    else:
        tiles = _arranged(kernel, product, tile, b, structure, options)
        _start("convolve", grid, threads, images, tiles, *arguments[1:], structure, **options)


def _arranged(
    kernel: str,
    product: "Product",
    tile: Tile,
    weights: Array,
    structure: np.ndarray,
    options: dict[str, Any],
) -> Array:
    """The weights as tiles, as they lie in shared memory."""
    (_, n, k, groups), step = product[:4], product.taps.w_step
    steps, columns = -(-k // inner("WGMMA")), -(-n // tile.n) * tile.n
    tiles = empty(weights, (groups, columns, steps * inner("WGMMA")))
    # From column to column of C, and from channel to channel of a patch.
    between = (1, step) if kernel == "forward" else (step, 1)
    grid, sizes = (blocks(columns), steps * 8, groups), (*between, step // groups, structure)
    _start("arrange", grid, THREADS, weights, tiles, *sizes, **options | {"shared": 0})
    return tiles


def _start(name: str, grid: tuple[int, ...], threads: int, *arguments: Any, **options: Any) -> None:
    launch("conv_hopper.cu", name, grid, threads, *arguments, architecture="sm_90a", **options)
