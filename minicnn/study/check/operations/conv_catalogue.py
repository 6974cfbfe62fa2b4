"""The mistakes that students make in the three passes of a convolution."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Operation
from .conv import (
    asked,
    cases,
    ceil,
    collect,
    correlate,
    crop,
    fewer,
    forward,
    has_rest,
    pad,
    sizes,
    small,
    spread,
    square,
    terms,
    truth,
)
from .conv_borders import BORDER_FAULTS, border_faults
from .conv_channels import CHANNEL_FAULTS
from .conv_styles import by_cells, dilated, im2col_faults
from .window_tables import conv_dw, conv_dx, conv_y, table_faults


def _other_width(image: int, kernel: int, c: Case) -> Array:
    """y whose width comes from other lengths; raises where a window would leave the image."""
    height = sizes(c, 2 * c.padding, 1)[0]
    width = (c.x.shape[image] + 2 * c.padding - c.w.shape[kernel]) // c.stride + 1
    return fewer(c, pad(c), height, width)


def _without_last(row: bool, column: bool, c: Case) -> Case:
    """dy with zeros in the last row or column of places."""
    dy = c.dy.copy()
    if row:
        dy[:, -1] = 0
    if column:
        dy[:, :, -1] = 0
    return c.but(dy=dy)


def _repeated(c: Case) -> Array:
    """dy for stride 1, each value in a block of stride x stride places."""
    height, width = sizes(c.but(stride=1), 2 * c.padding, 1)
    return c.dy.repeat(c.stride, 1).repeat(c.stride, 2)[:, :height, :width]


def _into_first(dx: Array) -> Array:
    total = np.zeros_like(dx)
    total[0] = dx.sum(axis=0)
    return total


def _last_image(c: Case) -> Array:
    dy = np.zeros_like(c.dy)
    dy[-1] = c.dy[-1]
    return dy


def _square_part(length: Callable[[int, int], int], c: Case) -> Case:
    k, w = length(*c.w.shape[:2]), np.zeros_like(c.w)
    w[:k, :k] = c.w[:k, :k]
    return c.but(w=w)


WINDOW_FAULTS = (
    asked(
        "flipped kernel",
        "the kernel is flipped: this is the convolution of mathematics",
        "Networks compute the cross-correlation: multiply x[p*s + i, q*s + j] by w[i, j].",
        "y",
        lambda c: c.but(w=c.w[::-1, ::-1]),
    ),
    asked(
        "flip of dx",
        "the kernel is flipped once too often or once too little",
        "As a full convolution, dx slides the kernel rotated by 180 degrees over dy; "
        "as a sum over windows it adds dy * w unrotated.",
        "dx",
        lambda c: c.but(w=c.w[::-1, ::-1]),
    ),
    *(
        asked(
            f"kernel flipped {how}",
            f"the kernel is flipped {how}",
            "Networks compute the cross-correlation: multiply x[p*s + i, q*s + j] by w[i, j].",
            "y dx",
            change,
        )
        for how, change in (
            ("vertically", lambda c: c.but(w=c.w[::-1])),
            ("horizontally", lambda c: c.but(w=c.w[:, ::-1])),
        )
    ),
    asked(
        "first image for all",
        "every image of the batch is computed from the first one",
        "Use image n: x[n].",
        "y dw",
        lambda c: c.but(x=np.repeat(c.x[:1], len(c.x), axis=0)),
    ),
    Fault(
        "all into the first image",
        "the gradients of all images are added into the first one",
        "Use image n: dx[n].",
        {"dx": lambda c: _into_first(truth(c, {})["dx"])},
    ),
    Fault(
        "mirrored dw",
        "dw is mirrored in both directions",
        "dw[i, j] sums x[p*s + i, q*s + j] * dy[p, q]: neither x nor dy is flipped.",
        {"dw": lambda c: truth(c, {})["dw"][::-1, ::-1]},
    ),
    *(
        asked(
            "square kernel",
            f"only the first {length} rows and columns of the kernel are used",
            "kH belongs to the rows, kW to the columns; try a kernel that is not square.",
            "y dx",
            partial(_square_part, of),
        )
        for length, of in (
            ("min(kH, kW)", lambda kh, kw: min(kh, kw)),
            ("kH", lambda kh, kw: kh),
            ("kW", lambda kh, kw: kw),
        )
    ),
    asked(
        "transposed kernel",
        "height and width of the kernel are exchanged",
        "Index the kernel as w[i, j] with i along the height; try a kernel that is not square.",
        "y dx",
        lambda c: c.but(w=square(c, c.w, 0, 1)),
    ),
    Fault(
        "transposed dw",
        "height and width of dw are exchanged",
        "dw has the axes of w; try a kernel that is not square.",
        {"dw": lambda c: square(c, truth(c, {})["dw"], 0, 1)},
    ),
    asked(
        "transposed dy",
        "height and width of dy are exchanged",
        "Read dy[p, q] where y[p, q] was written; try an image that is not square.",
        "dx dw",
        lambda c: c.but(dy=square(c, c.dy, 1, 2)),
    ),
    Fault(
        "stride ignored",
        "the stride is ignored: the windows start at p, q instead of p*s, q*s",
        "Start the window of output (p, q) at row p*stride, column q*stride.",
        {
            "y": lambda c: correlate(c, pad(c), (1, 1)),
            "dx": lambda c: crop(c, spread(c, (1, 1))),
            "dw": lambda c: collect(c, (1, 1)),
        },
    ),
    Fault(
        "stride ignored in the size",
        "the stride is ignored: the output has one value per pixel",
        "H_out = (H + 2*pad - kH) // stride + 1, and the window starts at p*stride.",
        {"y": lambda c: forward(c.but(stride=1))},
    ),
    Fault(
        "stride ignored along the height",
        "the stride is used along the width only: the rows of the windows start at p",
        "Multiply both p and q by the stride.",
        {
            "y": lambda c: correlate(c, pad(c), (1, c.stride)),
            "dx": lambda c: crop(c, spread(c, (1, c.stride))),
            "dw": lambda c: collect(c, (1, c.stride)),
        },
    ),
    Fault(
        "stride ignored along the width",
        "the stride is used along the height only: the columns of the windows start at q",
        "Multiply both p and q by the stride.",
        {
            "y": lambda c: correlate(c, pad(c), (c.stride, 1)),
            "dx": lambda c: crop(c, spread(c, (c.stride, 1))),
            "dw": lambda c: collect(c, (c.stride, 1)),
        },
    ),
    asked(
        "dy repeated",
        "each dy fills a block of stride x stride places, where zeros belong between them",
        "Write dy at every stride-th place of an array of zeros: dz[:, :, ::s, ::s] = dy.",
        "dx dw db",
        lambda c: c.but(stride=1, dy=_repeated(c)),
    ),
    Fault(
        "stride as dilation",
        "the stride is between the cells of a window, not between the windows",
        "The window of output (p, q) starts at p*stride, q*stride, and its pixels are neighbors.",
        {"y": partial(dilated, "y"), "dw": partial(dilated, "dw")},
    ),
    Fault(
        "assigned dx",
        "`=` where `+=` is needed: where windows overlap, only the last one counts",
        "A pixel lies in several windows, and each adds to its gradient: "
        "dx_padded[window] += w * dy.",
        {"dx": lambda c: crop(c, spread(c, add=False))},
    ),
    Fault(
        "assigned dx",
        "`=` where `+=` is needed: where windows overlap, only one counts "
        "(with an array of indices, dx[i] += a adds repeated ones only once, too)",
        "A pixel lies in several windows, and each adds to its gradient: use += in a loop, or "
        "np.add.at.",
        {"dx": lambda c: crop(c, by_cells(c))},
    ),
    Fault(
        "assigned dw",
        "`=` where `+=` is needed: only the last place of the output counts",
        "Every place of the output uses the weight: dw += x[window] * dy[p, q].",
        {"dw": lambda c: collect(c, keep=slice(-1, None))},
    ),
    Fault(
        "first place only",
        "only the first place of the output counts",
        "Sum over all places p, q of the output.",
        {"dw": lambda c: collect(c, keep=slice(1))},
    ),
    *(
        asked(
            "last places missing",
            f"the last {which} of the output is left out",
            "Loop over all H_out rows and W_out columns: range(H_out), not range(H_out - 1).",
            "dx dw db",
            partial(_without_last, row, column),
        )
        for which, row, column in (
            ("row", True, False),
            ("column", False, True),
            ("row and column", True, True),
        )
    ),
    Fault(
        "mean of the window",
        "the sum is divided by the number of weights",
        "A convolution is a weighted sum, not a mean.",
        {"y": lambda c: forward(c.but(w=c.w / c.w[..., 0].size))},
    ),
    Fault(
        "size without + 1",
        "the output is one place too small in each direction",
        "H_out = (H + 2*pad - kH) // stride + 1: the last window counts, too.",
        {"y": lambda c: fewer(c, pad(c), *sizes(c, 2 * c.padding, 0))},
    ),
    Fault(
        "size with one pad",
        "the output's size counts the padding once instead of twice",
        "H_out = (H + 2*pad - kH) // stride + 1: there is padding on both sides.",
        {"y": lambda c: fewer(c, pad(c), *sizes(c, c.padding, 1))},
    ),
    Fault(
        "size rounded up",
        "the output's size is rounded up: the last windows reach beyond the image",
        "Round down: only windows that fit count. H_out = (H + 2*pad - kH) // stride + 1.",
        {"y": ceil},
    ),
    *(
        Fault(
            "height for width",
            f"the output's width is computed with the height of the {what}",
            "W_out = (W + 2*pad - kW) // stride + 1; try lengths that are not square.",
            {"y": partial(_other_width, image, kernel)},
        )
        for what, image, kernel in (("image", 1, 1), ("kernel", 2, 0))
    ),
    Fault(
        "width from the height",
        "the output's width is computed from the height",
        "W_out = (W + 2*pad - kW) // stride + 1; try an image that is not square.",
        {"y": lambda c: fewer(c, pad(c), *(2 * sizes(c, 2 * c.padding, 1)[:1]))},
    ),
    Fault(
        "last place of all",
        "`=` where `+=` is needed: only the last place of the last image counts",
        "dw is the sum over the batch and all places.",
        {"dw": lambda c: collect(c.but(dy=_last_image(c)), keep=slice(-1, None))},
    ),
)


def conv_tables() -> Iterator[Fault]:
    """Windows at the wrong places, in one or two ways."""
    return table_faults({"y": conv_y, "dw": conv_dw}, {"dx": conv_dx})


FAULTS = (*WINDOW_FAULTS, *BORDER_FAULTS, *CHANNEL_FAULTS)
FORMULAS = {
    "y": "y[n, p, q, k] = b[k] + sum_{i, j, c} x[n, p*s + i, q*s + j, c] * w[i, j, c, k]",
    "dx": "dx[n, p*s + i, q*s + j, c] += sum_k dy[n, p, q, k] * w[i, j, c, k]",
    "dw": "dw[i, j, c, k] = sum_{n, p, q} x[n, p*s + i, q*s + j, c] * dy[n, p, q, k]",
    "db": "db[k] = sum_{n, p, q} dy[n, p, q, k]",
}
CONV2D = Operation(
    name="conv2d",
    title="convolution",
    source="minicnn.kernels.reference.conv",
    formulas=FORMULAS,
    cases=cases,
    small=small,
    truth=truth,
    terms=terms,
    faults=FAULTS,
    gradients=("dx", "dw", "db"),
    images=("x", "y", "dy", "dx"),
    filters=("w", "dw"),
    may_refuse=has_rest,
    more=(*border_faults(), *im2col_faults()),
    pairs=conv_tables,
)
