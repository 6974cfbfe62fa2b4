"""A small product on Hopper's units and by conv.cu, compared on the device that is there."""

import warnings

import ml_dtypes
import numpy as np

from ..types import Array
from .arrays import empty
from .device import runtime
from .plan import Plan, Tile, tiles
from .product import Epilogue, Patches, Product, Taps, Target, multiply

LIMIT = 5e-3  # relative L2 error of results that were rounded to bfloat16
INNER = 520  # nine steps, so that stages are filled again, and the last one has zeros


_trusted: dict[tuple[bool, Tile], bool] = {}


def is_trusted(kernel: str, tile: Tile) -> bool:
    """True if a tile's kernel agrees with conv.cu on this GPU, which is compared once.

    If it does not, a warning says so. While a graph is captured, nothing can be compared: the
    answer is False if it is not known yet.
    """
    known = kernel == "grad_weight", tile  # forward and input gradient have one kernel
    if known not in _trusted and not runtime().capturing:
        found = difference(*known)
        _trusted[known] = found is None
        if found:
            name = f"{'grad_weight_hopper' if known[0] else 'convolve'} of {tile.m}x{tile.n}"
            warnings.warn(f"{name} in conv_hopper.cu is not used: {found}", stacklevel=2)
    return _trusted.get(known, False)


def difference(of_weights: bool, tile: Tile) -> str | None:
    """What is wrong with the kernel of a tile of HOPPER_TILES, or None.

    `of_weights`: the weight gradient's, else that of the other passes. Rows, columns and inner
    indices do not fill their tiles.
    """
    m, n, generator = tile.m + 8, tile.n - 8, np.random.default_rng(0)
    rows = (INNER, m, n) if of_weights else (m, INNER, n)
    x, b = (
        runtime().upload(generator.standard_normal(shape).astype(ml_dtypes.bfloat16))
        for shape in ((rows[0], 1, 1, rows[1]), (INNER, n))
    )
    try:
        ours = _product(of_weights, x, b, "WGMMA", tile)
        theirs = _product(of_weights, x, b, "BF16", tiles("BF16")[-1])
    except Exception as error:  # of any kind: the other kernel may well work
        return f"{type(error).__name__}: {error}"
    distance = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    if distance <= LIMIT:
        return None
    return f"its results differ from those of conv.cu by {distance:.1e} on this GPU"


def _product(of_weights: bool, x: Array, b: Array, how: str, tile: Tile) -> np.ndarray:
    """x b, or the weight gradient x^T b."""
    rows, c, n = x.shape[0], x.shape[3], b.shape[1]
    patches = Patches(1, 1, c, c, c, 1, 1, 0, 0, 1, 1, c, 1, 1, 1)
    way = Plan(how, tile, tile.stages, 1, 0.0, 0, 0.0)
    if of_weights:
        out = empty(x, (c, n), np.float32)
        product = Product(c, n, rows, 1, patches, Target(out_step=n, out_group=n))
        multiply("grad_weight", product, way, x, b, (n, n), out)
    else:
        out = empty(x, (rows, n))
        target, taps = Target(1, 1, n, n), Taps(0, 1, 0, 1, 1, c, n)
        product = Product(rows, n, c, 1, patches, target, taps)
        bias = runtime().upload(np.arange(n, dtype=np.float32) / n)
        multiply("forward", product, way, x, b, (n, n), out, Epilogue(bias=bias))
    return runtime().download(out).astype(np.float64)
