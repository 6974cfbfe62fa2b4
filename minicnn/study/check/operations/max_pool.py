"""Max pooling: definition and mistakes. A case of ties has equal maxima."""

from collections.abc import Callable

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, number, with_dy
from .conv import has_rest
from .pool import (
    TIED,
    cases,
    cells_of,
    geometry,
    is_largest,
    largest,
    make,
    marked_as_tied,
    padded,
    places,
    reduce_windows,
    small,
    spread_shares,
)
from .pool_reductions import max_pool_tables
from .pool_windows import place_faults, window_faults


def max_forward(c: Case) -> Array:
    """The reference's max pooling."""
    return reference.max_pool2d(c.x, *geometry(c))[0]


def max_truth(c: Case, observed: Results) -> Results:
    """The reference's results. Of equal maxima any may get dy, or all of them shares of it."""
    y, argmax = reference.max_pool2d(c.x, *geometry(c))
    dx = reference.max_pool2d_grad(c.dy, argmax, c.x.shape, *geometry(c))
    if "has_ties" in c.settings:
        seen = observed.get("dx")
        dx = seen if seen is not None and _is_shared(c, seen) else dx
    return {"y": y, "dx": dx}


def _is_shared(c: Case, dx: Array) -> bool:
    """True if each window's dy is divided among its maxima; windows do not overlap here."""
    if dx.shape != c.x.shape or not np.isfinite(dx).all():
        return False
    for p, q in places(c):
        given, dy = cells_of(dx, c, p, q), c.dy[:, p, q][:, None, None]
        elsewhere = given * (1 - is_largest(cells_of(c.x, c, p, q), "all"))
        if elsewhere.any() or (given * dy < 0).any():
            return False
        if not np.allclose(given.sum(axis=(1, 2)), c.dy[:, p, q]):
            return False
    return True


def _of_largest_magnitude(cells: Array) -> Array:
    flat = cells.reshape(len(cells), -1, cells.shape[3])
    places = np.abs(np.where(np.isfinite(flat), flat, 0)).argmax(axis=1)
    return np.asarray(np.take_along_axis(flat, places[:, None], axis=1)[:, 0])


def _multiplied(c: Case) -> Array:
    """The window is set to 1 at the maxima, then the whole window is multiplied by dy."""
    image, dx = padded(c, -np.inf), np.zeros_like(padded(c, 0))
    for p, q in places(c):
        target = cells_of(dx, c, p, q)
        target[is_largest(cells_of(image, c, p, q), "all") > 0] = 1
        target *= c.dy[:, p, q][:, None, None]
    p = c.padding
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def _set_at(c: Case, which: str) -> Array:
    """`=` at the maximum only: the other cells of the window keep their values."""
    image, dx = padded(c, -np.inf), np.zeros_like(padded(c, 0))
    for p, q in places(c):
        target, mask = cells_of(dx, c, p, q), is_largest(cells_of(image, c, p, q), which) > 0
        target[mask] = np.broadcast_to(c.dy[:, p, q][:, None, None], target.shape)[mask]
    p = c.padding
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def _set_by_cells(c: Case) -> Array:
    """The shares are set cell by cell of the window: the last cell overwrites the others."""
    image, dx, s = padded(c, -np.inf), np.zeros_like(padded(c, 0)), c.stride
    shares = {(p, q): is_largest(cells_of(image, c, p, q)) for p, q in places(c)}
    for i, j in np.ndindex(*c.kernel):
        for (p, q), share in shares.items():
            dx[:, p * s + i, q * s + j] = share[:, i, j] * c.dy[:, p, q]
    p = c.padding
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


_NO_SHARE = "A window's dy goes to one maximum: np.argmax, then np.unravel_index, gives its place."
_ADD = "Where windows overlap, a pixel can be the maximum of several: dx[place] += dy."

MAX_FAULTS = (
    Fault(
        "all ties",
        "each of several equal maxima gets the whole dy",
        _NO_SHARE,
        {"dx": lambda c: spread_shares(c, lambda x, dy: is_largest(x, "all") * dy)},
    ),
    *(
        Fault(
            "assigned dx",
            "`=` where `+=` is needed: where windows overlap, only the last one counts",
            _ADD,
            {"dx": form},
        )
        for form in (
            lambda c: spread_shares(c, lambda x, dy: is_largest(x) * dy, add=0),
            lambda c: _set_at(c, "first"),
            _set_by_cells,
        )
    ),
    *(
        Fault(
            "assigned dx, all ties",
            "`=` where `+=` is needed, and each of several equal maxima gets the whole dy",
            f"{_ADD} {_NO_SHARE}",
            {"dx": form},
        )
        for form in (
            lambda c: spread_shares(c, lambda x, dy: is_largest(x, "all") * dy, add=0),
            lambda c: _set_at(c, "all"),
        )
    ),
    Fault(
        "not zeros",
        "the cells that are not the maximum get the values of x: the array was not zeros",
        "Start from zeros: np.zeros_like(x), not a copy of x.",
        {"dx": lambda c: spread_shares(c, lambda x, dy: np.where(is_largest(x) > 0, dy, x))},
    ),
    Fault(
        "window multiplied by dy",
        "the whole window is multiplied by dy, also what other windows left; and each of "
        "several equal maxima gets the whole dy",
        f"{_ADD} {_NO_SHARE}",
        {"dx": _multiplied},
    ),
    Fault(
        "no mask",
        "every pixel of the window gets dy, not only the maximum",
        "The other pixels do not change y: their derivative is 0.",
        {"dx": lambda c: spread_shares(c, lambda x, dy: np.ones_like(x) * dy)},
    ),
    Fault(
        "average's gradient",
        "dy is divided evenly among the window: the gradient of average pooling",
        "Only the maximum changes y: it gets all of dy.",
        {"dx": lambda c: spread_shares(c, lambda x, dy: np.ones_like(x) * dy / x[0, ..., 0].size)},
    ),
    Fault(
        "times the maximum",
        "dy is multiplied by the maximum's value",
        "The derivative of the maximum is 1 at its place: multiply dy by the mask only.",
        {
            "dx": lambda c: spread_shares(
                c, lambda x, dy: is_largest(x) * dy * np.where(np.isinf(x), 0, x)
            )
        },
    ),
    Fault(
        "maximum for dy",
        "the maximum itself is put at its place, where dy is needed",
        "The derivative of the maximum is 1 at its place: dx[place] += dy.",
        {
            "dx": lambda c: spread_shares(
                c, lambda x, dy: is_largest(x) * np.where(np.isinf(x), 0, x)
            )
        },
    ),
    Fault(
        "minimum's gradient",
        "the minimum of each window gets dy, not the maximum",
        "Use np.argmax over the window.",
        {"dx": lambda c: spread_shares(c, lambda x, dy: is_largest(-x) * dy)},
    ),
    Fault(
        "largest magnitude",
        "the pixel of the largest magnitude gets dy, not the maximum",
        "Compare the values themselves, without abs.",
        {"dx": lambda c: spread_shares(c, lambda x, dy: is_largest(np.abs(x)) * dy)},
    ),
    Fault(
        "row and column exchanged",
        "the row and the column of the maximum are exchanged",
        "i, j = np.unravel_index(...): i counts rows, j columns.",
        {"dx": lambda c: _exchanged(c)},
    ),
    Fault(
        "window square",
        "the window is square: its width is that of its height",
        "pool_width belongs to the columns; try a window that is not square.",
        {"y": lambda c: max_forward(c.but(kernel=(c.kernel[0], c.kernel[0])))},
    ),
    Fault(
        "mask only",
        "the mask is written, without dy",
        "Multiply the mask by dy of that window.",
        {"dx": lambda c: spread_shares(c, lambda x, dy: is_largest(x) + 0 * dy, add=0)},
    ),
    Fault(
        "stride ignored",
        "the stride is ignored: the windows start at p, q instead of p*s, q*s",
        "Start the window of output (p, q) at row p*stride, column q*stride.",
        {
            "y": lambda c: reduce_windows(c, largest, -np.inf, step=1),
            "dx": lambda c: spread_shares(c, lambda x, dy: is_largest(x) * dy, step=1),
        },
    ),
    Fault(
        "stride ignored",
        "the stride is ignored where dx is written: p + i, q + j instead of p*s + i, q*s + j",
        "The maximum of window (p, q) is at row p*stride + i, column q*stride + j of x.",
        {"dx": lambda c: _unstrided(c)},
    ),
    Fault(
        "stride ignored in the size",
        "the stride is ignored: the output has one value per pixel",
        "H_out = (H - kH) // stride + 1, and the window starts at p*stride.",
        {"y": lambda c: max_forward(c.but(stride=1))},
    ),
    Fault(
        "mean",
        "it is the mean of the window, not the maximum",
        "Use np.max over the window.",
        {"y": lambda c: reference.avg_pool2d(c.x, *geometry(c))},
    ),
    Fault(
        "sum",
        "it is the sum of the window, not the maximum",
        "Use np.max over the window.",
        {"y": lambda c: reduce_windows(c, lambda x: x.sum(axis=(1, 2)))},
    ),
    Fault(
        "minimum",
        "it is the minimum of the window",
        "Use np.max over the window.",
        {"y": lambda c: reduce_windows(c, lambda x: x.min(axis=(1, 2)), np.inf)},
    ),
    Fault(
        "start at 0",
        "the search for the maximum starts at 0: windows of negative values give 0",
        "Start with the first value of the window, or with -inf.",
        {"y": lambda c: np.maximum(max_forward(c), 0)},
    ),
    Fault(
        "padding with zeros",
        "the padding is 0, and 0 is larger than the negative pixels at the border",
        "Pad with -inf, so that the padding is never the maximum.",
        {
            "y": lambda c: reduce_windows(c, largest, 0.0),
            "dx": lambda c: _padded_gradient(c),
        },
    ),
    Fault(
        "largest magnitude",
        "it is the largest magnitude, not the largest value",
        "Compare the values themselves, without abs.",
        {"y": lambda c: reduce_windows(c, lambda x: np.abs(x).max(axis=(1, 2)))},
    ),
    Fault(
        "largest magnitude",
        "it is the value of the largest magnitude, not the largest one",
        "Take the maximum of the values, not of their magnitudes.",
        {"y": lambda c: reduce_windows(c, _of_largest_magnitude, -np.inf)},
    ),
    Fault(
        "kernel exchanged",
        "height and width of the window are exchanged",
        "pool_height belongs to the rows; try a window that is not square.",
        {"y": lambda c: max_forward(c.but(kernel=c.kernel[::-1]))},
    ),
    Fault(
        "window of the stride's size",
        "the window has the stride's size instead of its own",
        "Window: rows p*stride to p*stride + pool_height.",
        {"y": lambda c: _stride_window(c)},
    ),
    Fault(
        "size without + 1",
        "the output is one place too small in each direction",
        "H_out = (H - kH) // stride + 1: the last window counts, too.",
        {"y": lambda c: max_forward(c)[:, :-1, :-1]},
    ),
    Fault(
        "size rounded up",
        "the output's size is rounded up: the last windows reach beyond the image",
        "Round down: only windows that fit count.",
        {
            "y": lambda c: reference.max_pool2d(c.x, c.kernel, c.stride, c.padding, ceil_mode=True)[
                0
            ]
        },
    ),
    Fault(
        "size from the stride",
        "the output's size is H // stride: the last windows reach beyond the image",
        "H_out = (H - kH) // stride + 1.",
        {"y": lambda c: _by_stride(c)},
    ),
)


def _padded_gradient(c: Case) -> Array:
    p = c.padding
    image, dx = padded(c, 0.0), np.zeros_like(padded(c, 0.0))
    for i, j in places(c):
        cells_of(dx, c, i, j)[...] += (
            is_largest(cells_of(image, c, i, j)) * c.dy[:, i, j][:, None, None]
        )
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def _exchanged(c: Case) -> Array:
    """Each maximum's gradient at row j, column i of its window."""
    image, dx = padded(c, -np.inf), np.zeros_like(padded(c, 0))
    for p, q in places(c):
        for n, i, j, ch in np.argwhere(is_largest(cells_of(image, c, p, q)) > 0):
            dx[n, p * c.stride + j, q * c.stride + i, ch] += c.dy[n, p, q, ch]
    p = c.padding
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def _unstrided(c: Case) -> Array:
    """The maximum is found in the right window, and written as if the stride were 1."""
    image, dx = padded(c, -np.inf), np.zeros_like(padded(c, 0))
    for p, q in places(c):
        mask = is_largest(cells_of(image, c, p, q))
        cells_of(dx, c, p, q, 1)[...] += mask * c.dy[:, p, q][:, None, None]
    p = c.padding
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def _stride_window(c: Case) -> Array:
    image, y, s = padded(c, -np.inf), np.zeros_like(max_forward(c)), c.stride
    for p, q in places(c):
        y[:, p, q] = largest(image[:, p * s : p * s + s, q * s : q * s + s])
    return y


def _by_stride(c: Case) -> Array:
    height, width = (size // c.stride for size in c.x.shape[1:3])
    y = np.zeros((len(c.x), height, width, c.x.shape[3]))
    for p, q in np.ndindex(height, width):
        y[:, p, q] = largest(cells_of(c.x, c, p, q))
    return y


def few_values(generator: np.random.Generator) -> Callable[..., Array]:
    """A function that draws -1, 0 or 1."""
    return lambda *shape: generator.integers(-1, 2, shape).astype(np.float64)


def max_cases(generator: np.random.Generator) -> list[Case]:
    """Random numbers, then small integers of which many are equal."""
    draw = few_values(generator)
    tied = [marked_as_tied(make(g, draw)) for g in TIED]
    return cases(generator, max_forward) + [with_dy(c, max_forward, generator) for c in tied]


def max_terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The cells of the window, or the dy of the windows whose maximum the pixel is."""
    if result == "y":
        n, p, q, ch = index
        cells = cells_of(padded(c, -np.inf), c, p, q)[n, ..., ch]
        return f"max({', '.join(number(v) for v in cells.ravel() if np.isfinite(v))})"
    n, row, column, ch = index
    won = []
    for p, q in places(c):
        mask = is_largest(cells_of(padded(c, -np.inf), c, p, q))[n, ..., ch]
        i, j = row + c.padding - p * c.stride, column + c.padding - q * c.stride
        if 0 <= i < c.kernel[0] and 0 <= j < c.kernel[1] and mask[i, j]:
            won.append(number(c.dy[n, p, q, ch]))
    if not won and "has_ties" in c.settings:
        return "0, because another of the equal maxima gets it"
    return " + ".join(won) or "0, because it is the maximum of no window"


MAX_POOL2D = Operation(
    name="max_pool2d",
    title="max pooling",
    source="minicnn.kernels.reference.pool",
    formulas={
        "y": "y[n, p, q, c] = max_{i, j} x[n, p*s + i, q*s + j, c]",
        "dx": "dx[n, p*s + i*, q*s + j*, c] += dy[n, p, q, c], (i*, j*) the place of the maximum",
    },
    cases=max_cases,
    small=lambda: small(max_forward, ties=True),
    truth=max_truth,
    terms=max_terms,
    faults=MAX_FAULTS,
    gradients=("dx",),
    images=("x", "y", "dy", "dx"),
    may_refuse=has_rest,
    more=(
        *place_faults(),
        *window_faults(largest, lambda x, dy: is_largest(x) * dy, -np.inf),
    ),
    pairs=max_pool_tables,
)
