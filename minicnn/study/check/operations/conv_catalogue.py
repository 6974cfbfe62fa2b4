"""The mistakes that students make in the three passes of a convolution."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation
from .conv import (
    cases,
    ceil,
    collect,
    correlate,
    crop,
    fewer,
    forward,
    has_rest,
    only,
    pad,
    sizes,
    small,
    spread,
    square,
    terms,
    truth,
)
from .conv_styles import axes_of_db, by_cells, crop_faults, dilated, im2col_faults


def _answer(result: str, change: Callable[[Case], Case], c: Case) -> Array:
    return truth(change(c), {})[result]


def _asked(
    name: str, says: str, advice: str, results: str, change: Callable[[Case], Case]
) -> Fault:
    """A mistake that is the right answer to another question."""
    return Fault(
        name, says, advice, {r: partial(_answer, r, change) for r in results.split()}, change
    )


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


def _into_first(dx: Array) -> Array:
    total = np.zeros_like(dx)
    total[0] = dx.sum(axis=0)
    return total


def _cut(make: Form, cut: Callable[[Case, Array], Array], c: Case) -> Array:
    return cut(c, make(c))


def _two_in_dx() -> Iterator[Fault]:
    """A mistake in the sum of dx together with one in cutting off the border."""
    sums: dict[str, tuple[str, Callable[[Case], Array]]] = {
        "stride ignored": ("the stride is ignored", lambda c: spread(c, (1, 1))),
        "assigned dx": ("`=` stands where `+=` is needed", lambda c: spread(c, add=False)),
        "flip of dx": (
            "the kernel is flipped once too often or too little",
            lambda c: spread(c.but(w=c.w[::-1, ::-1])),
        ),
    }
    cuts: dict[str, tuple[str, Callable[[Case, Array], Array]]] = {
        "padding kept": ("dx still has the border of the padding", lambda c, a: a),
        "pad:-pad": (
            "without padding the slice pad:-pad is 0:-0, which selects nothing",
            lambda c, a: a[:, c.padding : -c.padding, c.padding : -c.padding],
        ),
        "1:-1": (
            "one pixel is cut off on each side, whatever the padding is",
            lambda c, a: a[:, 1:-1, 1:-1],
        ),
    }
    for (name, (says, make)), (other, (also, cut)) in product(sums.items(), cuts.items()):
        yield Fault(
            f"{name} + {other}",
            f"{says}; and {also}",
            "dx_padded[p*s : p*s + kH, ...] += w * dy for every place, then cut off the border: "
            "dx_padded[:, :, pad:pad + H, pad:pad + W].",
            {"dx": partial(_cut, make, cut)},
        )


def _padded(mode: str, c: Case) -> Array:
    return correlate(c, pad(c, mode))


FAULTS = (
    _asked(
        "flipped kernel",
        "the kernel is flipped: this is the convolution of mathematics",
        "Networks compute the cross-correlation: multiply x[p*s + i, q*s + j] by w[i, j].",
        "y",
        lambda c: c.but(w=c.w[::-1, ::-1]),
    ),
    _asked(
        "flip of dx",
        "the kernel is flipped once too often or once too little",
        "As a full convolution, dx slides the kernel rotated by 180 degrees over dy; "
        "as a sum over windows it adds dy * w unrotated.",
        "dx",
        lambda c: c.but(w=c.w[::-1, ::-1]),
    ),
    *(
        _asked(
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
    _asked(
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
    _asked(
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
    _asked(
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
    Fault(
        "padding ignored",
        "the padding is ignored",
        "Pad x with zeros first, and count 2*pad in the output's size.",
        {"y": lambda c: forward(c.but(padding=0))},
    ),
    Fault(
        "padding on one side",
        "the zeros are all at the bottom and right: the windows start at p*s instead of p*s - pad",
        "Put `pad` zeros on each of the four sides.",
        {
            "y": lambda c: correlate(
                c, np.pad(c.x, ((0, 0), (0, 2 * c.padding), (0, 2 * c.padding), (0, 0)))
            ),
        },
    ),
    Fault(
        "cut at the end",
        "the border is cut off at the bottom and right only",
        "Cut off `pad` pixels on each side: dx_padded[:, :, pad:pad + H, pad:pad + W].",
        {"dx": lambda c: spread(c)[:, : c.x.shape[1], : c.x.shape[2]]},
    ),
    Fault(
        "stride as dilation",
        "the stride is between the cells of a window, not between the windows",
        "The window of output (p, q) starts at p*stride, q*stride, and its pixels are neighbors.",
        {"y": partial(dilated, "y"), "dw": partial(dilated, "dw")},
    ),
    *(
        Fault(
            "padding repeats the edge" if mode == "edge" else f"padding {mode}",
            f"the border {what}",
            "The padding of a convolution is zeros: np.pad(..., mode='constant').",
            {"y": partial(_padded, mode)},
        )
        for mode, what in (
            ("edge", "repeats the edge's pixels"),
            ("reflect", "mirrors the image"),
            ("symmetric", "mirrors the image"),
            ("wrap", "continues the image from its other side"),
            ("minimum", "is the smallest value, as for max pooling"),
        )
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
        "Cut off `pad` pixels on each side: dx_padded[:, :, pad:pad + H, pad:pad + W].",
        {"dx": lambda c: spread(c)[:, 2 * c.padding :, 2 * c.padding :]},
    ),
    Fault(
        "1:-1",
        "one pixel is cut off on each side, whatever the padding is",
        "Cut off `pad` pixels: dx_padded[:, :, pad:pad + H, pad:pad + W].",
        {"dx": lambda c: spread(c)[:, 1:-1, 1:-1]},
    ),
    *_two_in_dx(),
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
    _asked(
        "no bias",
        "the bias is missing",
        "Add b[k] to every place of output channel k.",
        "y",
        lambda c: c.but(b=0 * c.b),
    ),
    _asked(
        "bias subtracted",
        "the bias is subtracted",
        "Add b[k].",
        "y",
        lambda c: c.but(b=-c.b),
    ),
    _asked(
        "first bias for all",
        "every output channel has the bias of the first one",
        "Output channel k has the bias b[k].",
        "y",
        lambda c: c.but(b=np.full_like(c.b, c.b[0])),
    ),
    _asked(
        "biases summed",
        "the sum of all biases is added to every output channel",
        "Output channel k has the bias b[k].",
        "y",
        lambda c: c.but(b=np.full_like(c.b, c.b.sum())),
    ),
    _asked(
        "bias per cell",
        "the bias is added once for each cell of the kernel",
        "Add b[k] once, after the sum over the window.",
        "y",
        lambda c: c.but(b=c.w[..., 0, 0].size * c.b),
    ),
    _asked(
        "bias twice",
        "the bias is added twice",
        "Add b[k] once, after the sum over the window.",
        "y",
        lambda c: c.but(b=2 * c.b),
    ),
    _asked(
        "bias per channel",
        "the bias is added once for each input channel",
        "Add b[k] once, after the sum over the channels.",
        "y",
        lambda c: c.but(b=c.x.shape[3] * c.b),
    ),
    _asked(
        "bias per weight",
        "the bias is added inside the sum, once for each weight",
        "Add b[k] once, after the sum over the window.",
        "y",
        lambda c: c.but(b=c.w[..., 0].size * c.b),
    ),
    Fault(
        "last channel only",
        "only the last input channel counts: `=` where `+=` is needed",
        "Sum the products over all input channels.",
        {"y": lambda c: forward(only(c, "c", -1))},
        lambda c: only(c, "c", -1),
    ),
    Fault(
        "first channel only",
        "only the first input channel counts",
        "Sum the products over all input channels.",
        {"y": lambda c: forward(only(c, "c", 0))},
        lambda c: only(c, "c", 0),
    ),
    Fault(
        "channels summed",
        "the input channels are summed before they are weighted",
        "Each input channel has weights of its own: multiply first, then sum over c.",
        {
            "y": lambda c: forward(
                c.but(x=np.repeat(c.x.sum(axis=3, keepdims=True), c.x.shape[3], axis=3))
            )
        },
    ),
    Fault(
        "first weights for all channels",
        "all input channels use the weights of the first one",
        "Each input channel has weights of its own: w[i, j, c].",
        {"y": lambda c: forward(c.but(w=np.repeat(c.w[:, :, :1], c.x.shape[3], axis=2)))},
    ),
    *(
        _asked(
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
        "padding always 1",
        "the padding is 1, whatever is given",
        "Take the padding from the parameters.",
        {"y": lambda c: forward(c.but(padding=1))},
    ),
    Fault(
        "kept axis",
        "the numbers are right, but the shape keeps axes of length 1",
        "db has the shape of b, (K,): sum without keepdims.",
        {"db": lambda c: truth(c, {})["db"].reshape(1, -1, 1, 1)},
    ),
    Fault(
        "kept axis",
        "the numbers are right, but the shape keeps axes of length 1",
        "db has the shape of b, (K,): sum without keepdims.",
        {"db": lambda c: truth(c, {})["db"].reshape(1, 1, 1, -1)},
    ),
    Fault(
        "db of ones",
        "db is 1 everywhere: dy is not used",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: np.ones_like(c.b)},
    ),
    _asked(
        "last filter only",
        "only the last filter contributes to dx: `=` where `+=` is needed",
        "Every filter read the pixel: sum over k.",
        "dx",
        lambda c: only(c, "k", -1),
    ),
    _asked(
        "first filter only",
        "only the first filter contributes to dx",
        "Every filter read the pixel: sum over k.",
        "dx",
        lambda c: only(c, "k", 0),
    ),
    Fault(
        "first filter for all",
        "every output channel uses the weights of the first filter",
        "Output channel k uses filter k: w[i, j, c, k].",
        {
            "y": lambda c: forward(c.but(w=np.repeat(c.w[..., :1], c.w.shape[3], axis=3))),
            "dx": lambda c: truth(c.but(w=np.repeat(c.w[..., :1], c.w.shape[3], axis=3)), {})["dx"],
        },
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
    *axes_of_db(),
    Fault(
        "mean of db",
        "db is a mean over the batch and all places",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: c.dy.mean(axis=(0, 1, 2))},
    ),
    Fault(
        "mean over places",
        "it is divided by the number of places of the output",
        "Sum over the places; take no mean.",
        {
            "dw": lambda c: truth(c, {})["dw"] / c.dy[0, ..., 0].size,
            "db": lambda c: truth(c, {})["db"] / c.dy[0, ..., 0].size,
        },
    ),
    Fault(
        "db counts",
        "db counts the places instead of adding dy there",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: np.full(c.b.shape, c.dy[..., 0].size, float)},
    ),
    Fault(
        "last place of db",
        "`=` where `+=` is needed: only the last place counts",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: c.dy[-1, -1, -1]},
    ),
    Fault(
        "last place of all",
        "`=` where `+=` is needed: only the last place of the last image counts",
        "dw is the sum over the batch and all places.",
        {"dw": lambda c: collect(c.but(dy=_last_image(c)), keep=slice(-1, None))},
    ),
)


def _last_image(c: Case) -> Array:
    dy = np.zeros_like(c.dy)
    dy[-1] = c.dy[-1]
    return dy


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
    more=(*crop_faults(), *im2col_faults()),
)
