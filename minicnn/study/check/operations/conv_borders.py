"""Mistakes at the border of a convolution: what the padding is, and how dx's border is cut off."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault
from .conv import collect, correlate, forward, pad, spread
from .conv_styles import by_cells

# -- the padded image: y and dw read it ------------------------------------------------------------


def _shifted(rows: int, columns: int, c: Case) -> Array:
    """The padded image moved up and to the left, or down and to the right; zeros follow."""
    image = np.pad(pad(c), ((0, 0), (abs(rows),) * 2, (abs(columns),) * 2, (0, 0)))
    height, width = (n + 2 * c.padding for n in c.x.shape[1:3])
    top, left = abs(rows) + rows, abs(columns) + columns
    return image[:, top : top + height, left : left + width]


def _sides(before: int, after: int, c: Case) -> Array:
    """x with multiples of the padding before and after it along both axes."""
    sides = (before * c.padding, after * c.padding)
    return np.pad(c.x, ((0, 0), sides, sides, (0, 0)))


def _constant(value: Callable[[Array], float], c: Case) -> Array:
    p = c.padding
    return np.pad(c.x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=value(c.x))


_FOUR = "Put `pad` zeros on each of the four sides."
_ZEROS = "The padding of a convolution is zeros: np.pad(..., mode='constant')."
_START = "The window of output (p, q) starts at row p*stride, column q*stride of the padded image."
IMAGES: tuple[tuple[str, str, str, Callable[[Case], Array]], ...] = (
    (
        "padding on one side",
        "the zeros are all at the bottom and right: the windows start at p*s instead of p*s - pad",
        _FOUR,
        partial(_sides, 0, 2),
    ),
    (
        "padding on one side",
        "the zeros are all at the top and left",
        _FOUR,
        partial(_sides, 2, 0),
    ),
    *(
        (
            "padding repeats the edge" if mode == "edge" else f"padding {mode}",
            f"the border {what}",
            _ZEROS,
            partial(pad, mode=mode),
        )
        for mode, what in (
            ("edge", "repeats the edge's pixels"),
            ("reflect", "mirrors the image"),
            ("symmetric", "mirrors the image"),
            ("wrap", "continues the image from its other side"),
            ("minimum", "is the smallest value, as for max pooling"),
        )
    ),
    ("padding ones", "the border is 1", _ZEROS, partial(_constant, lambda x: 1.0)),
    ("padding mean", "the border is the mean of x", _ZEROS, partial(_constant, np.mean)),
    ("padding minimum", "the border is the smallest x", _ZEROS, partial(_constant, np.min)),
    ("padding maximum", "the border is the largest x", _ZEROS, partial(_constant, np.max)),
    ("padding -1", "the border is -1", _ZEROS, partial(_constant, lambda x: -1.0)),
    (
        "windows start late",
        "the windows start at p*s + s - 1 instead of p*s",
        _START,
        lambda c: _shifted(c.stride - 1, c.stride - 1, c),
    ),
    *(
        (
            "windows shifted",
            f"the windows start {what}",
            _START,
            partial(_shifted, rows, columns),
        )
        for rows, columns, what in (
            (1, 1, "one pixel too far down and to the right"),
            (-1, -1, "one pixel too far up and to the left"),
            (1, 0, "one pixel too far down"),
            (0, 1, "one pixel too far to the right"),
        )
    ),
)


def _of_image(name: str, says: str, advice: str, image: Callable[[Case], Array]) -> Fault:
    forms = {
        "y": lambda c: correlate(c, image(c)),
        "dw": lambda c: collect(c, image=image(c)),
    }
    return Fault(name, says, advice, forms)


# -- the border of dx ------------------------------------------------------------------------------

_CUT = "Cut off `pad` pixels on each side: dx_padded[:, :, pad:pad + H, pad:pad + W]."
BORDER_FAULTS = (
    Fault(
        "padding ignored",
        "the padding is ignored",
        "Pad x with zeros first, and count 2*pad in the output's size.",
        {"y": lambda c: forward(c.but(padding=0))},
    ),
    Fault(
        "padding always 1",
        "the padding is 1, whatever is given",
        "Take the padding from the parameters.",
        {"y": lambda c: forward(c.but(padding=1))},
    ),
    *(_of_image(*image) for image in IMAGES),
    Fault(
        "cut at the end",
        "the border is cut off at the bottom and right only",
        _CUT,
        {"dx": lambda c: spread(c)[:, : c.x.shape[1], : c.x.shape[2]]},
    ),
    Fault(
        "padding kept",
        "dx still has the border of the padding",
        "Cut the border off: dx = dx_padded[:, :, pad:pad + H, pad:pad + W].",
        {"dx": spread},
    ),
    Fault(
        "pad:-pad",
        "without padding dx is empty: the slice pad:-pad is 0:-0, which selects nothing",
        "Write dx_padded[:, :, pad:pad + H, pad:pad + W], which also holds for pad = 0.",
        {"dx": lambda c: spread(c)[:, c.padding : -c.padding, c.padding : -c.padding]},
    ),
    Fault(
        "cut at one side",
        "the border is cut off at the top and left only, with both its widths",
        _CUT,
        {"dx": lambda c: spread(c)[:, 2 * c.padding :, 2 * c.padding :]},
    ),
    Fault(
        "1:-1",
        "one pixel is cut off on each side, whatever the padding is",
        "Cut off `pad` pixels: dx_padded[:, :, pad:pad + H, pad:pad + W].",
        {"dx": lambda c: spread(c)[:, 1:-1, 1:-1]},
    ),
)

SUMS: dict[str, tuple[str, Callable[[Case], Array]]] = {
    "": ("", spread),
    "stride ignored": ("the stride is ignored; and ", lambda c: spread(c, (1, 1))),
    "assigned dx": ("`=` stands where `+=` is needed; and ", lambda c: spread(c, add=False)),
    "assigned cells": ("`=` stands where `+=` is needed; and ", by_cells),
    "flip of dx": (
        "the kernel is flipped once too often or too little; and ",
        lambda c: spread(c.but(w=c.w[::-1, ::-1])),
    ),
}
STARTS: dict[str, Callable[[int, int], int]] = {
    "": lambda p, n: 0,
    "1": lambda p, n: 1,
    "pad": lambda p, n: p,
    "2*pad": lambda p, n: 2 * p,
}
STOPS: dict[str, Callable[[int, int], int | None]] = {
    "": lambda p, n: None,
    "{}": lambda p, n: n,
    "-pad": lambda p, n: -p,
    "{} + 1": lambda p, n: n + 1,
    "-1": lambda p, n: -1,
    "pad + {}": lambda p, n: p + n,
}
Cut = tuple[str, str]  # a start and a stop


@lru_cache(maxsize=8)
def _sum(name: str, c: Case) -> Array:
    return SUMS[name][1](c)


def _cut_off(name: str, rows: Cut, columns: Cut, c: Case) -> Array:
    height, width = (
        slice(STARTS[start](c.padding, n), STOPS[stop](c.padding, n))
        for (start, stop), n in zip((rows, columns), c.x.shape[1:3], strict=True)
    )
    return _sum(name, c)[:, height, width]


def border_faults() -> Iterator[Fault]:
    """The border cut off wrongly, and the sum wrong besides; rows and columns cut differently."""
    cuts = list(product(STARTS, STOPS))
    right = ("pad", "pad + {}")
    chosen = [(name, cut, cut) for name in SUMS for cut in cuts if cut != right]
    chosen += [("", rows, columns) for rows in cuts for columns in cuts if rows != columns]
    for name, rows, columns in chosen:
        where = ", ".join(
            f"{start}:{stop}".format(letter)
            for (start, stop), letter in ((rows, "H"), (columns, "W"))
        )
        yield Fault(
            "border cut off wrongly" if not name else f"{name} + border",
            f"{SUMS[name][0]}the border is cut off as dx_padded[:, :, {where}]",
            _CUT,
            {"dx": partial(_cut_off, name, rows, columns)},
        )
