"""Average pooling: definition and mistakes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, integers, normal, number
from .conv import has_rest
from .pool import (
    cases,
    cells_of,
    geometry,
    is_largest,
    largest,
    padded,
    places,
    reduce_windows,
    small,
    spread_shares,
)
from .pool_reductions import Reduction, avg_pool_tables, other_numbers
from .pool_windows import window_faults
from .reshaped import reshaped


def _real(c: Case) -> Array:
    """The number of real pixels in each window, `(1, H_out, W_out, 1)`."""
    ones = c.but(x=np.ones_like(c.x))
    return reduce_windows(ones, lambda x: x.sum(axis=(1, 2)))[:1, ..., :1]


def avg_forward(c: Case) -> Array:
    """The reference's average pooling; zeros of the padding count."""
    return reference.avg_pool2d(c.x, *geometry(c))


def avg_truth(c: Case, observed: Results) -> Results:
    """The reference's output and gradient."""
    return {
        "y": avg_forward(c),
        "dx": reference.avg_pool2d_grad(c.dy, c.x.shape, *geometry(c)),
    }


def avg_terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The cells of the window, or the dy of the windows that hold the pixel, and the divisor."""
    area = c.kernel[0] * c.kernel[1]
    n, ch = index[0], index[3]
    if result == "y":
        cells = cells_of(padded(c, 0), c, *index[1:3])[n, ..., ch]
        return f"({' + '.join(signed_or(v) for v in cells.ravel())}) / {area}"
    given = []
    for p, q in places(c):
        i, j = index[1] + c.padding - p * c.stride, index[2] + c.padding - q * c.stride
        if 0 <= i < c.kernel[0] and 0 <= j < c.kernel[1]:
            given.append(signed_or(c.dy[n, p, q, ch]))
    return f"({' + '.join(given)}) / {area}" if given else "0, because no window holds it"


def signed_or(value: float) -> str:
    """A term of a sum, in parentheses if it is negative."""
    return f"({number(value)})" if value < 0 else number(value)


def _even(cells: Array, dy: Array) -> Array:
    return np.ones_like(cells) * dy / cells[0, ..., 0].size


def _one_cell(cell: tuple[int, int], divided: bool, c: Case) -> Array:
    def share(x: Array, dy: Array) -> Array:
        given = np.zeros_like(x)
        given[:, cell[0], cell[1]] = dy[:, 0, 0] / (x[0, ..., 0].size if divided else 1)
        return given

    return spread_shares(c, share)


AVG_FAULTS = (
    Fault(
        "no divisor",
        "the sum is not divided by the size of the window",
        "Divide by kH * kW.",
        {
            "y": lambda c: reduce_windows(c, lambda x: x.sum(axis=(1, 2))),
            "dx": lambda c: spread_shares(c, lambda x, dy: np.ones_like(x) * dy),
        },
    ),
    Fault(
        "divisor of real pixels",
        "the divisor counts only the real pixels at the border, not the padding",
        "Here zeros of the padding count: divide by kH * kW everywhere.",
        {
            "y": lambda c: reduce_windows(c, lambda x: x.sum(axis=(1, 2))) / _real(c),
            "dx": lambda c: spread_shares(
                c.but(dy=c.dy / _real(c)), lambda x, dy: np.ones_like(x) * dy
            ),
        },
    ),
    Fault(
        "divisor stride",
        "the divisor is stride * stride, not the size of the window",
        "Divide by kH * kW.",
        {
            "y": lambda c: reduce_windows(c, lambda x: x.sum(axis=(1, 2))) / c.stride**2,
            "dx": lambda c: spread_shares(c, lambda x, dy: np.ones_like(x) * dy / c.stride**2),
        },
    ),
    Fault(
        "assigned dx",
        "`=` where `+=` is needed: where windows overlap, only the last one counts",
        "A pixel lies in several windows: dx[window] += dy / (kH * kW).",
        {"dx": lambda c: spread_shares(c, _even, add=0)},
    ),
    Fault(
        "stride ignored",
        "the stride is ignored: the windows start at p, q instead of p*s, q*s",
        "Start the window of output (p, q) at row p*stride, column q*stride.",
        {
            "y": lambda c: reduce_windows(c, lambda x: x.mean(axis=(1, 2)), step=1),
            "dx": lambda c: spread_shares(c, _even, step=1),
        },
    ),
    *(
        Fault(
            "one cell",
            f"only the {which} cell of each window gets dy{what}",
            "Every pixel of the window has the share dy / (kH * kW).",
            {"dx": partial(_one_cell, cell, divided)},
        )
        for which, cell in (("first", (0, 0)), ("last", (-1, -1)))
        for what, divided in ((" / (kH * kW)", True), ("", False))
    ),
    Fault(
        "max's gradient",
        "only the maximum of each window gets dy: the gradient of max pooling",
        "Every pixel of the window has an equal share.",
        {"dx": lambda c: spread_shares(c, lambda x, dy: is_largest(x) * dy)},
    ),
    Fault(
        "maximum",
        "it is the maximum of the window, not the mean",
        "Use np.mean over the window.",
        {"y": lambda c: reduce_windows(c, largest)},
    ),
    Fault(
        "size without + 1",
        "the output is one place too small in each direction",
        "H_out = (H - kH) // stride + 1: the last window counts, too.",
        {"y": lambda c: avg_forward(c)[:, :-1, :-1]},
    ),
)

AVG_POOL2D = Operation(
    name="avg_pool2d",
    title="average pooling",
    source="minicnn.kernels.reference.pool",
    formulas={
        "y": "y[n, p, q, c] = sum_{i, j} x[n, p*s + i, q*s + j, c] / (kH * kW)",
        "dx": "dx[n, p*s + i, q*s + j, c] += dy[n, p, q, c] / (kH * kW)",
    },
    cases=lambda generator: cases(generator, avg_forward),
    small=lambda: small(avg_forward),
    truth=avg_truth,
    terms=avg_terms,
    faults=AVG_FAULTS,
    gradients=("dx",),
    images=("x", "y", "dy", "dx"),
    may_refuse=has_rest,
    more=tuple(window_faults(lambda x: x.mean(axis=(1, 2)), _even, 0.0)),
    pairs=avg_pool_tables,
)

# -- global average pooling ------------------------------------------------------------------------


def _global_truth(c: Case, observed: Results) -> Results:
    return {
        "y": reference.global_avg_pool2d(c.x),
        "dx": reference.global_avg_pool2d_grad(c.dy, c.x.shape),
    }


def _global_cases(draw: Callable[..., Array], shapes: list) -> list[Case]:
    return [Case({"x": draw(*shape)}, {}, draw(shape[0], shape[3])) for shape in shapes]


def _global_terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    area = c.x[0, ..., 0].size
    if result == "y":
        cells = c.x[index[0], ..., index[1]].ravel()
        return f"({' + '.join(signed_or(v) for v in cells)}) / {area}"
    return f"{signed_or(c.dy[index[0], index[3]])} / {area}"


def _of_map(reduction: Reduction, c: Case) -> Array:
    """y as a number of each map."""
    return reduction(c.x[:, None, None])[:, 0, 0]


def _at_pixel(row: int, column: int, divided: bool, c: Case) -> Array:
    dx = np.zeros_like(c.x)
    dx[:, row, column] = c.dy / (c.x[0, ..., 0].size if divided else 1)
    return dx


def _given(c: Case, divisor: float) -> Array:
    """Every pixel of a map gets its dy, divided by `divisor`."""
    return np.ones_like(c.x) * c.dy[:, None, None] / divisor


_GLOBAL_POOL = Operation(
    name="global_avg_pool2d",
    title="global average pooling",
    source="minicnn.kernels.reference.pool",
    formulas={
        "y": "y[n, c] = sum_{i, j} x[n, i, j, c] / (H * W)",
        "dx": "dx[n, i, j, c] = dy[n, c] / (H * W)",
    },
    cases=lambda g: _global_cases(normal(g), [(2, 3, 4, 3), (3, 2, 2, 2), (1, 5, 3, 4)]),
    small=lambda: _global_cases(integers, [(1, 1, 2, 1), (1, 2, 3, 2), (2, 2, 2, 2)]),
    truth=_global_truth,
    terms=_global_terms,
    gradients=("dx",),
    images=("x", "dx"),
    more=(
        *other_numbers("the mean", lambda r: partial(_of_map, r), of="map"),
        *(
            Fault(
                "one pixel",
                f"only the {name} pixel of each map gets {'dy / (H * W)' if divided else 'dy'}",
                "Every pixel has the share 1 / (H * W) in the mean.",
                {"dx": partial(_at_pixel, place, place, divided)},
            )
            for name, place in (("first", 0), ("last", -1))
            for divided in (False, True)
        ),
    ),
    faults=(
        Fault(
            "no divisor",
            "the sum is not divided by the number of pixels",
            "Divide by H * W.",
            {"y": lambda c: c.x.sum(axis=(1, 2)), "dx": lambda c: _given(c, 1)},
        ),
        Fault(
            "height only",
            "it is divided by the height only",
            "Divide by H * W.",
            {
                "y": lambda c: c.x.sum(axis=(1, 2)) / c.x.shape[1],
                "dx": lambda c: _given(c, c.x.shape[1]),
            },
        ),
        Fault(
            "width only",
            "it is divided by the width only",
            "Divide by H * W.",
            {
                "y": lambda c: c.x.sum(axis=(1, 2)) / c.x.shape[2],
                "dx": lambda c: _given(c, c.x.shape[2]),
            },
        ),
        Fault(
            "all values",
            "it is divided by the number of all values of the image, the channels too",
            "Divide by H * W: each channel has a mean of its own.",
            {
                "y": lambda c: c.x.sum(axis=(1, 2)) / c.x[0].size,
                "dx": lambda c: _given(c, c.x[0].size),
            },
        ),
        Fault(
            "maximum",
            "it is the maximum of each map, not the mean",
            "Sum the pixels and divide by H * W.",
            {"y": lambda c: c.x.max(axis=(1, 2))},
        ),
        Fault(
            "one pixel",
            "only one pixel of each map gets a gradient",
            "Every pixel has the share 1 / (H * W) in the mean.",
            {"dx": lambda c: _given(c, 1) * (c.x == c.x.max(axis=(1, 2), keepdims=True))},
        ),
        Fault(
            "not spread",
            "dx is not spread over the pixels: it has one value per map",
            "Give dx the shape of x: every pixel gets dy / (H * W).",
            {"dx": lambda c: c.dy[:, None, None] / c.x[0, ..., 0].size},
        ),
    ),
)
_PIXEL = (lambda a: a[:, None, None], lambda a: a.reshape(a.shape[0], a.shape[-1]))
# The result is (N, C), or (N, C, 1, 1).
GLOBAL_AVG_POOL2D = replace(_GLOBAL_POOL, forms=(reshaped(_GLOBAL_POOL, {"y": _PIXEL}),))
