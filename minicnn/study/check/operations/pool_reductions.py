"""Poolings that take another number of a window than its maximum or mean, or another of its cells.

Each is tried with the right windows, and with one wrong part of their tables of indices.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form
from .window_tables import ADVICE, Tables, Wrong, choices, gather, scatter, table_faults, tables_of

Reduction = Callable[[Array], Array]  # of the cells `(N, H_out, W_out, kH, kW, C)`
BOTH = (3, 4)


def _flat(cells: Array) -> Array:
    return cells.reshape(*cells.shape[:3], -1, cells.shape[5])


def _sorted(place: Callable[[int], int], cells: Array) -> Array:
    ordered = np.sort(_flat(cells), axis=3)
    return ordered[:, :, :, place(ordered.shape[3])]


def _cell(place: Callable[[int], int], cells: Array) -> Array:
    return _flat(cells)[:, :, :, place(_flat(cells).shape[3])]


def _by_lines(
    of_first: Callable[..., Array], of_then: Callable[..., Array], axis: int, cells: Array
) -> Array:
    """A number of the numbers of each row, or of each column."""
    return of_then(of_first(cells, axis), 3)


REDUCTIONS: dict[str, Reduction] = {
    "the sum": lambda x: x.sum(BOTH),
    "the mean": lambda x: x.mean(BOTH),
    "the maximum": lambda x: x.max(BOTH),
    "the minimum": lambda x: x.min(BOTH),
    "the median": lambda x: np.median(x, BOTH),
    "the second largest value": partial(_sorted, lambda n: max(n - 2, 0)),
    "the sum of the diagonal": lambda x: x.diagonal(0, 3, 4).sum(-1),
    "the first cell": partial(_cell, lambda n: 0),
    "the last cell": partial(_cell, lambda n: -1),
    "the middle cell": partial(_cell, lambda n: n // 2),
    "the largest magnitude": lambda x: np.abs(x).max(BOTH),
    "the mean magnitude": lambda x: np.abs(x).mean(BOTH),
    "the mean of the squares": lambda x: (x * x).mean(BOTH),
    "the root of the mean of the squares": lambda x: np.sqrt((x * x).mean(BOTH)),
    "the root of the sum of the squares": lambda x: np.sqrt((x * x).sum(BOTH)),
    "the standard deviation": lambda x: x.std(BOTH),
    "the product": lambda x: x.prod(BOTH),
    "the maximum plus the mean": lambda x: x.max(BOTH) + x.mean(BOTH),
    "the mean of the maximum and the mean": lambda x: (x.max(BOTH) + x.mean(BOTH)) / 2,
    "the mean of the maximum and the minimum": lambda x: (x.max(BOTH) + x.min(BOTH)) / 2,
    "the maximum minus the minimum": lambda x: x.max(BOTH) - x.min(BOTH),
    "the logarithm of the sum of exp": lambda x: np.log(np.exp(x).sum(BOTH)),
}
OVER: dict[str, Callable[..., Array]] = {
    "sum": np.sum,
    "mean": np.mean,
    "maximum": np.max,
    "minimum": np.min,
}
for (first, of_first), (then, of_then) in product(OVER.items(), OVER.items()):
    if first != then:  # else it is that of all cells
        for lines, axis in (("rows", 4), ("columns", 3)):
            name = f"the {then} of the {first}s of the {lines}".replace("imums", "ima")
            REDUCTIONS[name] = partial(_by_lines, of_first, of_then, axis)
# The cell of the window that gets dy: where this is largest.
CHOSEN: dict[str, Reduction] = {
    "the maximum": lambda x: x,
    "the minimum": lambda x: np.where(np.isfinite(x), -x, -np.inf),
    "the largest magnitude": lambda x: np.where(np.isfinite(x), np.abs(x), -1),
    "the smallest magnitude": lambda x: -np.abs(x),
    "the first cell": lambda x: -_numbers(x),
    "the last cell": lambda x: _numbers(x),
}


def _numbers(cells: Array) -> Array:
    """0, 1, 2, ... for the cells of each window."""
    count = np.arange(cells.shape[3] * cells.shape[4]).reshape(1, 1, 1, *cells.shape[3:5], 1)
    return np.broadcast_to(count, cells.shape)


def _cells(c: Case, tables: Tables, fill: float) -> Array:
    return gather(c.x, tables, fill).transpose(0, 1, 3, 2, 4, 5)


def _mask(values: Array) -> Array:
    """1 at the first largest value of each window, in the order of `gather`."""
    flat = _flat(values)
    chosen = np.arange(flat.shape[3])[:, None] == flat.argmax(axis=3)[:, :, :, None]
    return chosen.reshape(values.shape).transpose(0, 1, 3, 2, 4, 5).astype(np.float64)


def reduced(reduction: Reduction, fill: float, c: Case, tables: Tables) -> Array:
    """y with given tables."""
    return reduction(_cells(c, tables, fill))


def shared(c: Case, tables: Tables, order: str) -> Array:
    """dx of average pooling with given tables."""
    each = (c.dy / (c.kernel[0] * c.kernel[1]))[:, :, None, :, None]
    (p, i), (q, j) = (t.shape for t in tables)
    return scatter(
        np.broadcast_to(each, (len(c.x), p, i, q, j, c.x.shape[3])), tables, c.x.shape, order
    )


def _chosen(
    choose: Reduction, found: Tables | None, c: Case, tables: Tables, order: str = ""
) -> Array:
    """dx of max pooling: the cell is found through `found`, or the same tables."""
    mask = _mask(choose(_cells(c, found or tables, -np.inf)))
    return scatter(mask * c.dy[:, :, None, :, None], tables, c.x.shape, order)


def other_numbers(
    right: str, form: Callable[[Reduction], Form], result: str = "y", of: str = "window"
) -> Iterator[Fault]:
    """Every other number of each window; `form` makes a result of a reduction."""
    for name, reduction in REDUCTIONS.items():
        if name != right:
            says = f"{name} of each {of} is taken, not {right}"
            yield Fault("another number", says, f"Take {right}.", {result: form(reduction)})


NONE: Wrong = ((), "both")


def _found_elsewhere(choose: Reduction, wrong: Wrong, is_found: bool, c: Case) -> Array:
    """Only the search, or only the place of dy, has the wrong tables."""
    own, right = tables_of(c, wrong), tables_of(c, NONE)
    return _chosen(choose, own, c, right) if is_found else _chosen(choose, right, c, own)


def max_pool_tables() -> Iterator[Fault]:
    """Max pooling with wrong tables, or with another number or cell of the window."""
    yield from _reductions("the maximum", -np.inf)
    yield from table_faults(
        {"y": partial(reduced, REDUCTIONS["the maximum"], -np.inf)},
        {"dx": partial(_chosen, CHOSEN["the maximum"], None)},
    )
    for cell, choose in CHOSEN.items():
        right = cell == "the maximum"
        for says, wrong in choices(1):
            for is_found in (True, False):
                what = f"{says}, where the maximum is {'searched' if is_found else 'written'}"
                if not right:
                    what = f"{cell} of each window gets dy, not the maximum; and {what}"
                forms = {"dx": partial(_found_elsewhere, choose, wrong, is_found)}
                yield Fault("windows of the maximum", what, ADVICE, forms)


def avg_pool_tables() -> Iterator[Fault]:
    """Average pooling with wrong tables, or with another number of the window."""
    yield from _reductions("the mean", 0.0)
    yield from table_faults({"y": partial(reduced, _of_all, 0.0)}, {"dx": shared})


def _of_all(cells: Array) -> Array:
    return cells.mean(BOTH)


def _reductions(right: str, fill: float) -> Iterator[Fault]:
    yield from other_numbers(right, lambda r: partial(_with_wrong_tables, r, fill, NONE))
    for name, reduction in REDUCTIONS.items():
        for says, wrong in choices(1) if name != right else ():
            says = f"{name} of each window is taken, not {right}; and {says}"
            forms = {"y": partial(_with_wrong_tables, reduction, fill, wrong)}
            yield Fault("another number, windows", says, f"Take {right}. {ADVICE}", forms)


def _with_wrong_tables(reduction: Reduction, fill: float, wrong: Wrong, c: Case) -> Array:
    return reduced(reduction, fill, c, tables_of(c, wrong))
