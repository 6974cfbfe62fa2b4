"""One matrix product C = A B of a convolution: its description, and how it is launched.

The rows of A are patches of images, gathered by the kernel (see conv.cu).
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from ..types import Array
from . import hopper
from .arrays import empty, number_type
from .device import DIVISOR, THREADS, blocks, counted, divisor, divisors, launch, runtime
from .plan import Plan, inner, shared_bytes
from .sums import sum_pixels


class Patches(NamedTuple):
    """The images that the rows of A are gathered from.

    Row m is pixel (image, p, q). Its tap (i, j) reads the pixel at
    (p * mul_y + off_y + i * tap_y, q * mul_x + off_x + j * tap_x). Pixels are `step` numbers apart
    and groups of channels `a_group`. `by_...` are the divisors that split m and k.
    """

    height: int
    width: int
    step: int
    channels: int
    a_group: int
    mul_y: int
    mul_x: int
    off_y: int
    off_x: int
    tap_y: int
    tap_x: int
    by_channels: int
    by_taps_x: int
    by_columns: int
    by_rows: int


class Taps(NamedTuple):
    """The weights of tap (i, j): cell (i0 + i * i_step) * kernel_x + j0 + j * j_step.

    A cell has `w_rows` rows, `w_step` numbers apart.
    """

    i0: int = 0
    i_step: int = 0
    j0: int = 0
    j_step: int = 0
    kernel_x: int = 0
    w_rows: int = 0
    w_step: int = 0


class Target(NamedTuple):
    """Where C is written: row m to pixel (p * out_mul_y + out_off_y, ...) of an image.

    Pixels are `out_step` numbers apart, groups `out_group`. An `out_width` of 0 means row m itself.
    """

    out_height: int = 0
    out_width: int = 0
    out_step: int = 0
    out_group: int = 0
    out_mul_y: int = 1
    out_mul_x: int = 1
    out_off_y: int = 0
    out_off_x: int = 0


class Product(NamedTuple):
    """`groups` products of m x n sums over k numbers.

    `activation`: the number of the one that C passes, one of `BOUNDS`. `other_step`: from pixel to
    pixel of the epilogue's images.
    """

    m: int
    n: int
    k: int
    groups: int
    patches: Patches
    target: Target
    taps: Taps = Taps()
    activation: int = 0
    other_step: int = 0


_FIELDS = ("m", "n", "k", "splits", "tiles_n", *Patches._fields, *Taps._fields, *Target._fields)
STRUCTURE = np.dtype(
    [
        (name, DIVISOR if name.startswith("by_") else np.int32)
        for name in (*_FIELDS, "activation", "other_step")
    ]
)


class Epilogue(NamedTuple):
    """What is applied to C before it is written: f(scale * C + bias + residual).

    `relu_output`: the output of a ReLU whose gradient is applied to C.
    """

    scale: Array | None = None
    bias: Array | None = None
    residual: Array | None = None
    relu_output: Array | None = None


NO_EPILOGUE = Epilogue()


def multiply(
    kernel: str,
    product: Product,
    way: Plan,
    a: Array,
    b: Array,
    b_row: tuple[int, int],
    out: Array,
    epilogue: Epilogue = NO_EPILOGUE,
    bias_gradient: Array | None = None,
) -> None:
    """Write the product to `out` in the way of a plan: launch, and add up the parts.

    Args:
        kernel: "forward", "grad_input" or "grad_weight".
        a: the images that patches are gathered from.
        b: the other operand.
        b_row: the length of b's rows, and the distance from row to row.
        bias_gradient: of a weight gradient, `(all groups' n,)` for the sums of b's columns.
    """
    m, n, k, groups = product[:4]
    options: dict[str, Any] = {
        "STAGES": way.stages,
        "REAL": number_type(a),
        "VEC_C": _store_width(out, n, product.target.out_step),
    }
    counted(a.size // a.shape[-1])
    structure = _structure(product, way.splits, -(-n // way.tile.n))
    partial = empty(a, (way.splits, m, groups * n), np.float32) if way.splits > 1 else None
    if way.precision == "WGMMA":
        arguments: tuple = a, *epilogue, out, partial
        hopper.launch_product(kernel, product, way, b, arguments, structure, options)
        if bias_gradient is not None:
            sum_pixels(b, bias_gradient)
    else:
        options |= way.tile.defines() | {
            "BK": inner(way.precision),
            "PRECISION": way.precision,
            "VEC_A": images_width(a, product),
            "VEC_B": _copy_width(b, *b_row),
        }
        steps = -(-k // inner(way.precision))
        summers = max(1, min(-(-m // way.tile.m), steps // way.splits))
        rows = way.splits * summers * max(1, 32 * way.tile.warps // way.tile.n)
        sums = None if bias_gradient is None else empty(a, (rows, groups * n), np.float32)
        arguments = {
            "forward": (a, b, *epilogue[:3], out, partial, structure),
            "grad_input": (a, b, *epilogue[2:], out, partial, structure),
            "grad_weight": (a, b, b_row[1], out, partial, sums, summers, structure),
        }[kernel]
        grid, block = way.grid(m, n, groups), 32 * way.tile.warps
        shared = shared_bytes(kernel, way.tile, way.precision, way.stages)
        launch("conv.cu", kernel, grid, block, *arguments, shared=shared, **options)
        if sums is not None:
            count = groups * n
            totals = sums, rows, count, bias_gradient
            launch("conv_sums.cu", "bias_totals", blocks(count), THREADS, *totals)
    if partial is not None:
        _finish(partial, epilogue, out, structure)


def _finish(partial: Array, epilogue: Epilogue, out: Array, structure: np.ndarray) -> None:
    """Add up the parts of a split sum."""
    channels, count = partial.shape[2], partial[0].size
    sizes = channels, *divisors(channels), count, structure
    numbers = partial, *epilogue, out, *sizes
    launch("conv_sums.cu", "finish", blocks(count), THREADS, *numbers, REAL=number_type(out))


@functools.lru_cache(maxsize=4096)
def _structure(product: Product, splits: int, tiles_n: int) -> np.ndarray:
    """The structure `Product` of product.cuh."""
    sizes = (*map(counted, (product.m, product.n, product.k)), splits, tiles_n)
    rest = *product.taps, *product.target, product.activation, product.other_step
    values = zip(STRUCTURE.names or (), (*sizes, *product.patches, *rest), strict=True)
    found = (divisor(max(1, v)) if name.startswith("by_") else v for name, v in values)
    return np.array([tuple(found)], STRUCTURE)


def _copy_width(array: Array, *sizes: int) -> int:
    """How many numbers of an operand one copy moves.

    16 bytes if its address and `sizes`, lengths of rows and steps, are multiples of them, else 1.
    """
    vec = 16 // array.itemsize
    aligned = runtime().address(array) % 16 == 0 and all(size % vec == 0 for size in sizes)
    return vec if aligned else 1


def images_width(a: Array, product: Product) -> int:
    """How many numbers of the images one copy moves: 16 bytes, or 1."""
    return _copy_width(a, product.patches.channels, product.patches.step)


def _store_width(out: Array, n: int, step: int) -> int:
    """How many numbers of C one store moves: 2 if all rows begin at an even number, else 1."""
    aligned = runtime().address(out) % (2 * out.itemsize) == 0
    return 2 if n % 2 == step % 2 == 0 and aligned else 1
