"""Adaptive average and max pooling: definition and mistakes.

Most mistakes are other windows: a list of (start, stop) per axis for H pixels and H_out windows.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels import reference
from ....kernels.geometry import adaptive_windows as _right
from ....kernels.resampling import means
from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation, Results, integers, normal, number, with_dy
from .pool import is_largest, largest
from .pool_reductions import Reduction, other_numbers

Windows = Callable[[int, int], list[tuple[int, int]]]  # of H pixels and H_out windows
Share = Callable[[Array, Array], Array]  # of the cells of a window and its dy

# (N, H, W, C), (H_out, W_out)
GEOMETRIES = [
    ((2, 5, 7, 3), (3, 4)),
    ((1, 6, 4, 2), (3, 2)),
    ((3, 7, 5, 1), (4, 3)),
    ((2, 4, 6, 2), (1, 1)),
    ((2, 8, 5, 2), (3, 2)),
    ((1, 11, 9, 2), (4, 4)),
]
SMALL = [((1, 2, 2, 1), (1, 1)), ((1, 3, 3, 1), (2, 2)), ((1, 4, 5, 1), (3, 2)), *GEOMETRIES[:1]]


def _cells(c: Case, windows: Windows, array: Array) -> list[tuple[tuple[int, int], Array]]:
    """Each place of the output, and its cells `(N, h, w, C)` of an array like x."""
    rows, columns = (windows(n, m) for n, m in zip(c.x.shape[1:3], c.output_size, strict=True))
    return [
        ((p, q), array[:, top:bottom, left:right])
        for p, (top, bottom) in enumerate(rows)
        for q, (left, right) in enumerate(columns)
    ]


def _reduce(reduce: Callable[[Array], Array], windows: Windows, c: Case) -> Array:
    """y from a function of the cells of a window. Raises ValueError for an empty window."""
    y = np.zeros((len(c.x), *c.output_size, c.x.shape[3]))
    for (p, q), cells in _cells(c, windows, c.x):
        if not cells.size:
            raise ValueError("an empty window")
        y[:, p, q] = reduce(cells)
    return y


def _spread(share: Share, windows: Windows, c: Case, add: bool = True) -> Array:
    """dx from what each cell of a window gets; `add=False`: the last window overwrites others."""
    dx = np.zeros_like(c.x)
    pairs = zip(_cells(c, windows, c.x), _cells(c, windows, dx), strict=True)
    for ((p, q), cells), (_, target) in pairs:
        if not cells.size:
            raise ValueError("an empty window")
        target[...] = target * add + share(cells, c.dy[:, p, q][:, None, None])
    return dx


def _mean(cells: Array) -> Array:
    return np.asarray(cells.mean(axis=(1, 2)))


def _even(cells: Array, dy: Array) -> Array:
    return np.ones_like(cells) * dy / cells[0, ..., 0].size


def _to_largest(cells: Array, dy: Array) -> Array:
    return is_largest(cells) * dy


def _equal(size: int, count: int, length: int) -> list[tuple[int, int]]:
    """Windows of one length with the stride H // H_out; raises where one leaves the image."""
    stride = size // count
    if not stride or (count - 1) * stride + length > size:
        raise ValueError("a window leaves the image")
    return [(i * stride, i * stride + length) for i in range(count)]


_RULE = "Window i covers the rows floor(i * H / H_out) to ceil((i + 1) * H / H_out) - 1."
OTHER_WINDOWS: tuple[tuple[str, str, Windows], ...] = (
    (
        "end rounded down",
        "the end of each window is rounded down, not up: the windows do not overlap",
        lambda n, m: [(i * n // m, (i + 1) * n // m) for i in range(m)],
    ),
    (
        "both rounded up",
        "the start of each window is rounded up, not down",
        lambda n, m: [(-(-i * n // m), -(-(i + 1) * n // m)) for i in range(m)],
    ),
    (
        "rounded to the nearest",
        "the bounds of the windows are rounded to the nearest pixel",
        lambda n, m: [(round(i * n / m), round((i + 1) * n / m)) for i in range(m)],
    ),
    (
        "one pixel too many",
        "each window ends one pixel too late: floor((i + 1) * H / H_out) + 1",
        lambda n, m: [(i * n // m, min((i + 1) * n // m + 1, n)) for i in range(m)],
    ),
    (
        "equal windows",
        "all windows have H // H_out rows: the rest of the image is left out",
        lambda n, m: _equal(n, m, n // m),
    ),
    (
        "equal windows to the end",
        "all windows have one size, H - (H_out - 1) * (H // H_out)",
        lambda n, m: _equal(n, m, n - (m - 1) * (n // m)),
    ),
    (
        "equal windows rounded up",
        "all windows have one size, ceil(H / H_out), with the stride H // H_out",
        lambda n, m: _equal(n, m, -(-n // m)),
    ),
    (
        "last window to the end",
        "the windows start at i * (H // H_out), and only the last one reaches the end",
        lambda n, m: [(i * (n // m), (i + 1) * (n // m) if i < m - 1 else n) for i in range(m)],
    ),
)


def _size_of(c: Case) -> float:
    """H / H_out * W / W_out."""
    return c.x[0, ..., 0].size / float(np.prod(c.output_size))


def _other_windows(reduce: Callable[[Array], Array], share: Share) -> tuple[Fault, ...]:
    forms = {"y": partial(_reduce, reduce), "dx": partial(_spread, share)}
    return tuple(
        Fault(name, says, _RULE, {r: partial(form, windows) for r, form in forms.items()})
        for name, says, windows in OTHER_WINDOWS
    )


def _assigned(share: Share) -> Fault:
    return Fault(
        "assigned dx",
        "`=` where `+=` is needed: where windows overlap, only the last one counts",
        "Neighboring windows share a row where H_out does not divide H: dx[window] += ...",
        {"dx": partial(_spread, share, _right, add=False)},
    )


_DIVIDE = "Divide by the number of pixels of that window; the windows differ in size."
AVG_FAULTS = (
    Fault(
        "no divisor",
        "the sum is not divided by the number of pixels in the window",
        _DIVIDE,
        {
            "y": partial(_reduce, lambda x: x.sum(axis=(1, 2)), _right),
            "dx": partial(_spread, lambda x, dy: np.ones_like(x) * dy, _right),
        },
    ),
    Fault(
        "one divisor for all",
        "the divisor is (H / H_out) * (W / W_out) for every window",
        _DIVIDE,
        {
            "y": lambda c: _reduce(lambda x: x.sum(axis=(1, 2)) / _size_of(c), _right, c),
            "dx": lambda c: _spread(lambda x, dy: np.ones_like(x) * dy / _size_of(c), _right, c),
        },
    ),
    Fault(
        "maximum",
        "it is adaptive max pooling",
        "Take the mean of each window.",
        {
            "y": partial(_reduce, largest, _right),
            "dx": partial(_spread, _to_largest, _right),
        },
    ),
    _assigned(_even),
    *_other_windows(_mean, _even),
)
MAX_FAULTS = (
    Fault(
        "no mask",
        "every pixel of the window gets dy, not only the maximum",
        "The other pixels do not change y: their derivative is 0.",
        {"dx": partial(_spread, lambda x, dy: np.ones_like(x) * dy, _right)},
    ),
    Fault(
        "mean",
        "it is adaptive average pooling",
        "Take the maximum of each window; in backward only its place gets dy.",
        {
            "y": partial(_reduce, _mean, _right),
            "dx": partial(_spread, _even, _right),
        },
    ),
    _assigned(_to_largest),
    Fault(
        "assigned dx",
        "`=` where `+=` is needed: where windows share their maximum, only the last one counts",
        "Neighboring windows share a row where H_out does not divide H: dx[place] += dy.",
        {"dx": lambda c: _set_at_largest(c)},
    ),
    *_other_windows(largest, _to_largest),
)


def _set_at_largest(c: Case) -> Array:
    """`=` at the maximum only: the other cells of the window keep their values."""
    dx = np.zeros_like(c.x)
    pairs = zip(_cells(c, _right, c.x), _cells(c, _right, dx), strict=True)
    for ((p, q), cells), (_, target) in pairs:
        mask = is_largest(cells) > 0
        target[mask] = np.broadcast_to(c.dy[:, p, q][:, None, None], target.shape)[mask]
    return dx


# Where the maximum of a window is written: its row and column from the start of the window.
LENGTHS: dict[str, Callable[[int, int], int]] = {  # of the height and the width
    "the width": lambda height, width: width,
    "the height": lambda height, width: height,
}
STARTS = {"": (1, 1), "row": (0, 1), "column": (1, 0), "row and column": (0, 0)}


def _written(length: str, swap: bool, start: str, c: Case) -> Array:
    """dx with the place of the maximum taken wrongly. Raises IndexError outside of x."""
    dx, (rows, columns) = np.zeros_like(c.x), STARTS[start]
    bounds = [_right(n, m) for n, m in zip(c.x.shape[1:3], c.output_size, strict=True)]
    for (p, q), cells in _cells(c, _right, c.x):
        top, left = bounds[0][p][0] * rows, bounds[1][q][0] * columns
        height, width = cells.shape[1:3]
        flat = cells.reshape(len(cells), -1, cells.shape[3]).argmax(axis=1)
        row, column = np.divmod(flat, LENGTHS[length](height, width))
        row, column = (column, row) if swap else (row, column)
        n, channel = np.indices(row.shape)
        np.add.at(dx, (n, top + row, left + column, channel), c.dy[:, p, q])
    return dx


def _place_faults() -> Iterator[Fault]:
    for length, swap, start in list(product(LENGTHS, (False, True), STARTS))[1:]:
        wrong = [f"its index is divided by {length} of the window"] * (length != "the width")
        wrong += ["its row and column are exchanged"] * swap
        wrong += [f"the first {start} of the window is not added"] * bool(start)
        says = f"the place of the maximum is wrong: {'; and '.join(wrong)}"
        advice = "row = top + index // width, column = left + index % width."
        forms: dict[str, Form] = {"dx": partial(_written, length, swap, start)}
        yield Fault("place of the maximum", says, advice, forms)


def _avg_truth(c: Case, observed: Results) -> Results:
    rows, columns = map(means, c.x.shape[1:3], c.output_size)
    return {
        "y": reference.resample2d(c.x, rows, columns),
        "dx": reference.resample2d_grad(c.dy, rows, columns),
    }


def _max_truth(c: Case, observed: Results) -> Results:
    y, argmax = reference.adaptive_max_pool2d(c.x, c.output_size)
    return {"y": y, "dx": reference.adaptive_max_pool2d_grad(c.dy, argmax, c.x.shape)}


def _terms(is_max: bool, c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The cells of the window, or what the windows that hold the pixel give it."""
    n, channel = index[0], index[3]
    if result == "y":
        cells = dict(_cells(c, _right, c.x))[index[1], index[2]][n, ..., channel].ravel()
        if is_max:
            return f"max({', '.join(number(v) for v in cells)})"
        return f"({' + '.join(number(v) for v in cells)}) / {cells.size}"
    marks = np.zeros_like(c.x)
    marks[index] = 1
    windows = zip(_cells(c, _right, c.x), _cells(c, _right, marks), strict=True)
    given = []
    for ((p, q), cells), (_, mark) in windows:
        dy = number(c.dy[n, p, q, channel])
        if mark.any() and not is_max:
            given.append(f"{dy}/{cells[0, ..., 0].size}")
        elif (mark * is_largest(cells)).any():
            given.append(dy)
    return " + ".join(given) or "0, because it is the maximum of no window"


def _cases(draw: Callable[..., Array], geometries: list) -> list[Case]:
    return [Case({"x": draw(*shape)}, {"output_size": size}) for shape, size in geometries]


def _of_windows(reduction: Reduction) -> Form:
    return partial(_reduce, lambda cells: reduction(cells[:, None, None])[:, 0, 0], _right)


def _operation(name: str, kind: str, truth: Callable, faults: tuple[Fault, ...]) -> Operation:
    def forward(c: Case) -> Array:
        return truth(c.but(dy=np.zeros((len(c.x), *c.output_size, c.x.shape[3]))), {})["y"]

    number_of = "the mean" if kind == "average" else "the maximum"
    window = "sum over the window / its size" if kind == "average" else "max over the window"
    back = "dy / the window's size" if kind == "average" else "dy at its maximum"
    return Operation(
        name=name,
        title=f"adaptive {kind} pooling",
        source="minicnn.kernels.reference.pool",
        formulas={
            "y": f"y[p, q] = {window}: rows floor(p H / H_out) to ceil((p + 1) H / H_out) - 1",
            "dx": f"dx[window] += {back}, for every window",
        },
        cases=lambda g: [with_dy(c, forward, g) for c in _cases(normal(g), GEOMETRIES)],
        small=lambda: [
            c.but(dy=integers(*forward(c).shape, start=3)) for c in _cases(integers, SMALL)
        ],
        truth=truth,
        terms=partial(_terms, kind == "max"),
        faults=faults,
        gradients=("dx",),
        images=("x", "y", "dy", "dx"),
        more=(
            *other_numbers(number_of, _of_windows),
            *(_place_faults() if kind == "max" else ()),
        ),
    )


ADAPTIVE_AVG_POOL2D = _operation("adaptive_avg_pool2d", "average", _avg_truth, AVG_FAULTS)
ADAPTIVE_MAX_POOL2D = _operation("adaptive_max_pool2d", "max", _max_truth, MAX_FAULTS)
