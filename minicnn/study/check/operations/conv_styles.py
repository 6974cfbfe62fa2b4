"""Mistakes of certain styles of a convolution, such as im2col, and of the axes of its db."""

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import combinations, permutations, product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault
from .conv import forward, pad, places


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


def im2col_faults() -> Iterator[Fault]:
    """Every other order of the three arrays of indices, and of the axes of the columns."""
    for order in list(permutations(range(6))):
        if order != COLUMNS:
            yield Fault(
                "axes of im2col",
                f"the columns of im2col are flattened in the order of axes ({_named(order)})",
                f"Transpose to ({_named(COLUMNS)}) before the reshape to rows.",
                {"y": partial(_of_columns, order)},
            )
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


COLUMN_AXES = ("N", "C", "kH", "kW", "H_out", "W_out")
COLUMNS = (0, 4, 5, 1, 2, 3)


def _named(order: tuple[int, ...]) -> str:
    return ", ".join(COLUMN_AXES[a] for a in order)


@lru_cache(maxsize=4)
def _windows(c: Case) -> Array:
    """The pixels of all windows `(N, C, kH, kW, H_out, W_out)`."""
    views = np.lib.stride_tricks.sliding_window_view(pad(c), c.w.shape[:2], axis=(1, 2))
    return views[:, :: c.stride, :: c.stride].transpose(0, 3, 4, 5, 1, 2)


def _of_columns(order: tuple[int, ...], c: Case) -> Array:
    """y from columns whose axes are in another order."""
    rows = _windows(c).transpose(order).reshape(-1, c.w[..., 0].size)
    weights = c.w.transpose(3, 2, 0, 1).reshape(c.w.shape[3], -1)
    return (rows @ weights.T + c.b).reshape(forward(c).shape)


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
