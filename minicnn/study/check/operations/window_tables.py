"""Windows at the wrong places: tables of indices that are made of parts, one or two of them wrong.

    row[p, i] = start(p) + cell(i) - cut        the row of x that cell i of window p is

The rows and the columns have a table each. A part is the start of a window, the distance of its
cells, the border that is cut off, what stands outside of the image, and which windows and cells
count. y and dw read x through the tables, dx is added to through them.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault


class Axis(NamedTuple):
    """The lengths along one axis of the image; `other` is the number of windows along the other."""

    size: int
    kernel: int
    windows: int
    stride: int
    padding: int
    other: int

    @property
    def padded(self) -> int:
        """The length with the padding."""
        return self.size + 2 * self.padding

    @property
    def rest(self) -> int:
        """How many pixels lie behind the last window."""
        return self.padded - self.kernel - (self.windows - 1) * self.stride


Index = Callable[[Axis, Array], Array]


class Part(NamedTuple):
    """What is wrong: the kind of part, a sentence with {p} and {k}, and other indices."""

    kind: str
    says: str
    of: Index


def _mirrored(a: Axis, h: Array) -> Array:
    return np.where(h < 0, -h, np.where(h >= a.size, 2 * a.size - 2 - h, h))


RIGHT: dict[str, Index] = {
    "start": lambda a, p: p * a.stride,
    "cell": lambda a, i: i,
    "outside of the border": lambda a, h: h,
    "cut": lambda a, h: h - a.padding,
    "outside": lambda a, h: h,
    "windows": lambda a, p: p >= 0,
    "cells": lambda a, i: i >= 0,
}
PARTS = (
    Part("start", "the windows start at {p} instead of {p}*s", lambda a, p: p),
    Part("start", "the windows start at {p}*{k} instead of {p}*s", lambda a, p: p * a.kernel),
    Part(
        "start",
        "the windows start at {p}*s + s - 1 instead of {p}*s",
        lambda a, p: p * a.stride + a.stride - 1,
    ),
    Part("start", "the windows start at ({p} + 1)*s", lambda a, p: (p + 1) * a.stride),
    Part("start", "the windows start one pixel too late", lambda a, p: p * a.stride + 1),
    Part("start", "the windows start one pixel too early", lambda a, p: p * a.stride - 1),
    Part(
        "start",
        "the pixels that the windows leave over stand before the first window",
        lambda a, p: p * a.stride + a.rest,
    ),
    Part(
        "start",
        "the windows stand in reverse order",
        lambda a, p: (a.windows - 1 - p) * a.stride,
    ),
    Part(
        "start",
        "the windows start at max({p}*s - pad, 0) of the padded image",
        lambda a, p: np.maximum(p * a.stride - a.padding, 0),
    ),
    Part("cell", "the cells of a window are in reverse order", lambda a, i: a.kernel - 1 - i),
    Part("cell", "the cells of a window are s pixels apart", lambda a, i: i * a.stride),
    Part("cell", "every cell is the first pixel of its window", lambda a, i: 0 * i),
    Part(
        "outside of the border",
        "a pixel outside of the padded image is the last one in it",
        lambda a, h: np.clip(h, 0, a.padded - 1),
    ),
    Part("cut", "the padding is not subtracted", lambda a, h: h),
    Part("cut", "the padding is subtracted twice", lambda a, h: h - 2 * a.padding),
    Part("cut", "the padding counts one pixel too many", lambda a, h: h - a.padding - 1),
    Part("cut", "the padding counts one pixel too few", lambda a, h: h - a.padding + 1),
    Part(
        "cut",
        "pad // 2 or pad - 1 is subtracted instead of the padding",  # equal for a padding below 3
        lambda a, h: h - a.padding // 2,
    ),
    Part("cut", "{k} - 1 is subtracted instead of the padding", lambda a, h: h - a.kernel + 1),
    Part("cut", "{k} // 2 is subtracted instead of the padding", lambda a, h: h - a.kernel // 2),
    Part(
        "cut",
        "{k} - 1 - pad is subtracted instead of the padding",
        lambda a, h: h - a.kernel + 1 + a.padding,
    ),
    Part("outside", "the border repeats the edge", lambda a, h: np.clip(h, 0, a.size - 1)),
    Part("outside", "the border is the other side of the image", lambda a, h: h % a.size),
    Part("outside", "the border mirrors the image", _mirrored),
    Part("windows", "the last {line} of windows is left out", lambda a, p: p < a.windows - 1),
    Part("windows", "the first {line} of windows is left out", lambda a, p: p > 0),
    Part(
        "windows",
        "the first and the last {line} of windows are left out",
        lambda a, p: (p > 0) & (p < a.windows - 1),
    ),
    Part("windows", "only the first {line} of windows counts", lambda a, p: p == 0),
    Part("windows", "only the last {line} of windows counts", lambda a, p: p == a.windows - 1),
    Part("windows", "only min(H_out, W_out) windows count", lambda a, p: p < a.other),
    Part("windows", "only every second {line} of windows counts", lambda a, p: p % 2 == 0),
    Part("cells", "the last {line} of each window is left out", lambda a, i: i < a.kernel - 1),
    Part("cells", "the first {line} of each window is left out", lambda a, i: i > 0),
    Part("cells", "only the first {line} of each window counts", lambda a, i: i == 0),
    Part("cells", "only the last {line} of each window counts", lambda a, i: i == a.kernel - 1),
)
WHERE = {"both": (0, 1), "along the height only": (0,), "along the width only": (1,)}
ADVICE = (
    "Cell i of window p is row p*stride + i of the padded image, and row p*stride + i - pad of x; "
    "the same with q and j along the columns."
)


def axes_of(c: Case) -> tuple[Axis, Axis]:
    """The lengths along the rows and the columns."""
    kernel = c.kernel if "kernel" in c.settings else c.w.shape[:2]
    lengths = list(zip(c.x.shape[1:3], kernel, c.dy.shape[1:3], strict=True))
    rows, columns = (Axis(*own, c.stride, c.padding, 0) for own in lengths)
    return rows._replace(other=columns.windows), columns._replace(other=rows.windows)


def table(a: Axis, parts: tuple[Part, ...] = ()) -> Array:
    """The pixel of each cell `(windows, kernel)`, -1 where there is none."""
    of = RIGHT | {part.kind: part.of for part in parts}
    p, i = np.arange(a.windows)[:, None], np.arange(a.kernel)[None]
    found = of["outside of the border"](a, of["start"](a, p) + of["cell"](a, i))
    found = of["outside"](a, of["cut"](a, found))
    counts = of["windows"](a, p) & of["cells"](a, i) & (found >= 0) & (found < a.size)
    return np.where(counts, found, -1)


Tables = tuple[Array, Array]


def gather(image: Array, tables: Tables, fill: float = 0.0) -> Array:
    """The cells of all windows `(N, H_out, kH, W_out, kW, C)`; `fill` where there is no pixel."""
    framed = np.pad(image, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=fill)
    rows, columns = tables
    return framed[:, rows[:, :, None, None], columns[None, None]]


def scatter(cells: Array, tables: Tables, shape: tuple[int, ...], order: str = "") -> Array:
    """The sum of the cells at their pixels, the adjoint of `gather`.

    order: "windows" or "cells" if they are not added but written one after another, so that the
    last one remains.
    """
    framed = np.zeros((shape[0], shape[1] + 1, shape[2] + 1, shape[3]))
    rows = np.broadcast_to(tables[0][:, :, None, None], cells.shape[1:5])
    columns = np.broadcast_to(tables[1], cells.shape[1:5])
    if not order:
        np.add.at(framed, (slice(None), rows, columns), cells)  # type: ignore[arg-type]
    else:
        turn = (0, 2, 1, 3) if order == "windows" else (1, 3, 0, 2)
        places = rows.transpose(turn).ravel(), columns.transpose(turn).ravel()
        values = cells.transpose(0, *(a + 1 for a in turn), 5)
        framed[:, places[0], places[1]] = values.reshape(len(cells), -1, shape[3])
    return framed[:, :-1, :-1]


# -- the mistakes ----------------------------------------------------------------------------------

Wrong = tuple[tuple[Part, ...], str]  # the parts, and where they are wrong


def tables_of(c: Case, wrong: Wrong) -> Tables:
    """The tables of the rows and of the columns."""
    parts, where = wrong
    rows, columns = (
        table(a, parts if axis in WHERE[where] else ()) for axis, a in enumerate(axes_of(c))
    )
    return rows, columns


def choices(most: int = 2) -> Iterator[tuple[str, Wrong]]:
    """What is wrong, in words, and as parts: one part first, then two."""
    for count in range(1, most + 1):
        for parts in combinations(PARTS, count):
            if len({part.kind for part in parts}) == count:
                for where in WHERE:
                    yield _said(parts, where), (parts, where)


LINES = {"both": "row and column"} | dict(zip(list(WHERE)[1:], ("row", "column"), strict=True))


def _said(parts: tuple[Part, ...], where: str) -> str:
    p, k = ("q", "kW") if where == "along the width only" else ("p", "kH")
    text = "; and ".join(part.says.format(p=p, k=k, line=LINES[where]) for part in parts)
    if all("{line}" in part.says for part in parts):
        return text
    if where != "both":
        return f"{text}, {where}"
    return text + ("; the same along the columns" if "{p}" in parts[0].says else "")


Reads = Callable[[Case, Tables], Array]  # y or dw, of x through the tables
Adds = Callable[[Case, Tables, str], Array]  # dx, and how it is written: see `scatter`


def table_faults(reads: dict[str, Reads], adds: dict[str, Adds]) -> Iterator[Fault]:
    """The wrong tables of one operation, for its results by name."""
    assigned = "`=` stands where `+=` is needed"
    for says, wrong in choices():
        forms = {r: partial(_read, of, wrong) for r, of in reads.items()}
        forms |= {r: partial(_added, of, wrong, "") for r, of in adds.items()}
        yield Fault("windows", says, ADVICE, forms)
    for says, wrong in choices(1):
        if says.startswith("the windows start"):
            forms = {r: partial(_read_inside, of, wrong) for r, of in reads.items() if r == "y"}
            says = f"{says}, and those that leave the image are not computed"
            yield Fault("windows inside", says, ADVICE, forms)
    for says, wrong in choices(1):
        for order in ("windows", "cells"):
            forms = {r: partial(_added, of, wrong, order) for r, of in adds.items()}
            yield Fault("windows, assigned", f"{assigned}; and {says}", ADVICE, forms)


def _read(of: Reads, wrong: Wrong, c: Case) -> Array:
    return of(c, tables_of(c, wrong))


def _read_inside(of: Reads, wrong: Wrong, c: Case) -> Array:
    """y without the windows of which a cell is outside of the padded image."""
    start = wrong[0][0].of
    rows, columns = (
        (start(a, p := np.arange(a.windows)) >= 0) & (start(a, p) + a.kernel <= a.padded)
        for a in axes_of(c)
    )
    return _read(of, wrong, c)[:, rows][:, :, columns]


def _added(of: Adds, wrong: Wrong, order: str, c: Case) -> Array:
    return of(c, tables_of(c, wrong), order)


# -- the convolution with given tables -------------------------------------------------------------


def conv_y(c: Case, tables: Tables) -> Array:
    """The convolution's y."""
    return np.tensordot(gather(c.x, tables), c.w, ((2, 4, 5), (0, 1, 2))) + c.b


def conv_dw(c: Case, tables: Tables) -> Array:
    """The convolution's dw."""
    return np.tensordot(gather(c.x, tables), c.dy, ((0, 1, 3), (0, 1, 2)))


def conv_dx(c: Case, tables: Tables, order: str) -> Array:
    """The convolution's dx."""
    cells = np.tensordot(c.dy, c.w, ((3,), (3,))).transpose(0, 1, 3, 2, 4, 5)
    return scatter(cells, tables, c.x.shape, order)
