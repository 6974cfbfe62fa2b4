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


_trusted: dict[Tile, bool] = {}


def is_trusted(tile: Tile) -> bool:
    """True if the kernel of this tile agrees with conv.cu on this GPU, which is compared once.

    If it does not, a warning says so. While a graph is captured, nothing can be compared: the
    answer is False if it is not known yet.
    """
    if tile not in _trusted and not runtime().capturing:
        found = difference(tile)
        _trusted[tile] = found is None
        if found:
            name = f"the {tile.m}x{tile.n} kernel of conv_hopper.cu"
            warnings.warn(f"{name} is not used: {found}", stacklevel=2)
    return _trusted.get(tile, False)


def difference(tile: Tile) -> str | None:
    """What is wrong with the kernel of a tile of HOPPER_TILES, or None.

    Two rows of tiles of x w + b, with rows, columns and inner indices that do not fill them.
    """
    m, n, generator = tile.m + 9, tile.n - 8, np.random.default_rng(0)
    x, w = (
        runtime().upload(generator.standard_normal(shape).astype(ml_dtypes.bfloat16))
        for shape in ((m, 1, 1, INNER), (INNER, n))
    )
    bias = runtime().upload(generator.standard_normal(n, dtype=np.float32))
    try:
        ours = _product(x, w, bias, "WGMMA", tile)
        theirs = _product(x, w, bias, "BF16", tiles("BF16")[-1])
    except Exception as error:  # of any kind: the other kernel may well work
        return f"{type(error).__name__}: {error}"
    distance = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    if distance <= LIMIT:
        return None
    return f"its results differ from those of conv.cu by {distance:.1e} on this GPU"


def _product(x: Array, w: Array, bias: Array, how: str, tile: Tile) -> np.ndarray:
    (m, *_, k), n = x.shape, w.shape[1]
    patches = Patches(1, 1, k, k, k, 1, 1, 0, 0, 1, 1, k, 1, 1, 1)
    product = Product(m, n, k, 1, patches, Target(1, 1, n, n), Taps(0, 1, 0, 1, 1, k, n))
    y = empty(x, (m, 1, 1, n))
    way = Plan(how, tile, tile.stages, 1, 0.0, 0, 0.0)
    multiply("forward", product, way, x, w, (n, n), y, Epilogue(bias=bias))
    return runtime().download(y).astype(np.float64)
