"""Mistakes of certain styles of a convolution, such as im2col, and of the axes of its db."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations, product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault
from .conv import forward, pad, places, spread


def dilated(result: str, c: Case) -> Array:
    """y or dw with stride and dilation exchanged, at the right number of places."""
    (height, width), s, image = c.dy.shape[1:3], c.stride, pad(c)
    y, dw = np.zeros_like(c.dy) + c.b, np.zeros_like(c.w)
    for i, j in np.ndindex(*c.w.shape[:2]):
        part = image[:, i * s : i * s + height, j * s : j * s + width]
        y += part @ c.w[i, j]
        dw[i, j] = np.tensordot(part, c.dy, ((0, 1, 2), (0, 1, 2)))
    return y if result == "y" else dw


def by_cells(c: Case) -> Array:
    """dx with its padding, set cell by cell of the kernel: the last cell overwrites the others."""
    dx, (height, width), s = np.zeros_like(pad(c)), c.dy.shape[1:3], c.stride
    for i, j in np.ndindex(*c.w.shape[:2]):
        rows = slice(i, i + s * (height - 1) + 1, s)
        dx[:, rows, j : j + s * (width - 1) + 1 : s] = c.dy @ c.w[i, j].T
    return dx


def _columns(c: Case, orders: tuple[int, int, int]) -> Array:
    """y by im2col in NCHW, whose arrays of indices are in other orders than (C, kH, kW)."""
    (kh, kw, channels, filters), r = c.w.shape, np.arange(c.w[..., 0].size)
    k = (r // (kh * kw), r % channels)[orders[0]]
    i = (r // kw % kh, r % kh, r // (channels * kw))[orders[1]]
    j = (r % kw, r // (channels * kh), r // kh % kw)[orders[2]]
    image, s, y = pad(c), c.stride, np.zeros_like(forward(c))
    weights = c.w.transpose(3, 2, 0, 1).reshape(filters, -1)
    for p, q in places(c):
        y[:, p, q] = image[:, p * s + i, q * s + j, k] @ weights.T + c.b
    return y


def crop_faults() -> Iterator[Fault]:
    """The border cut off wrongly: dx_padded[start:stop], the same for rows and columns."""
    for start, stop in product(("0", "1", "pad", "2*pad"), ("the end", "H", "-pad", "H + 1", "-1")):
        where = f"dx_padded[:, :, {start}:{stop}, ...]".replace("the end", "")
        yield Fault(
            "border cut off wrongly",
            f"the border is cut off as {where}, and the same along the width",
            "Cut off `pad` pixels on each side: dx_padded[:, :, pad:pad + H, pad:pad + W].",
            {"dx": partial(_cropped, start, stop)},
        )


def _cropped(start: str, stop: str, c: Case) -> Array:
    p, dx = c.padding, spread(c)
    first = {"0": 0, "1": 1, "pad": p, "2*pad": 2 * p}[start]
    for axis in (1, 2):
        size = c.x.shape[axis]
        last = {"the end": None, "H": size, "-pad": -p, "H + 1": size + 1, "-1": -1}[stop]
        dx = np.moveaxis(np.moveaxis(dx, axis, 0)[first:last], 0, axis)
    return dx


def im2col_faults() -> Iterator[Fault]:
    """Every other order of the three arrays of indices."""
    for orders in list(product(range(2), range(3), range(3)))[1:]:
        names = ("channels", "rows", "columns")
        wrong = [name for name, order in zip(names, orders, strict=True) if order]
        yield Fault(
            f"im2col's indices of the {' and '.join(wrong)}",
            f"im2col reads the cells in the wrong order: its indices of the {' and '.join(wrong)} "
            "are repeated where they are to be tiled, or the reverse",
            "Row c*kH*kW + i*kW + j of the columns has channel c, row i, column j: np.repeat makes "
            "an index that changes slowly, np.tile one that changes fast.",
            {"y": partial(_columns, orders=orders)},
        )


AXES = {"N": "the images", "H": "the rows", "W": "the columns", "C": "the channels"}


def axes_of_db() -> Iterator[Fault]:
    """db summed over any other set of axes, in both layouts."""
    for letters, axes in (("NCHW", (0, 3, 1, 2)), ("NHWC", (0, 1, 2, 3))):
        for count in range(1, 5):
            for summed in combinations(range(4), count):
                left = [letters[i] for i in range(4) if i not in summed]
                if left == ["C"]:
                    continue
                over = ", ".join(AXES[letters[i]] for i in summed)
                rest = " and ".join(AXES[k] for k in left) or "a single number"
                yield Fault(
                    "axes of db",
                    f"db is summed over the wrong axes ({over}): {rest} "
                    f"{'are' if left else 'is'} left",
                    "db[k] sums dy over the images, the rows and the columns; the channels remain.",
                    {"db": partial(_summed, axes, summed)},
                )


def _summed(axes: tuple[int, ...], summed: tuple[int, ...], c: Case) -> Array:
    return c.dy.transpose(axes).sum(axis=summed)
