"""What max and average pooling share: cases, windows, and loops with what can go wrong in them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, integers, normal, with_dy

# n, H, W, C, kH, kW, stride, padding
GEOMETRIES = [
    (2, 4, 6, 3, 2, 2, 2, 0),
    (2, 5, 7, 2, 3, 3, 2, 0),
    (1, 5, 4, 1, 3, 2, 1, 0),
    (2, 6, 5, 2, 2, 3, 2, 0),
    (3, 7, 5, 2, 2, 2, 3, 0),
    (2, 6, 7, 2, 3, 2, 3, 0),
    (2, 4, 5, 2, 4, 5, 1, 0),
]
PADDED = [(2, 5, 6, 2, 3, 3, 2, 1), (1, 4, 5, 2, 2, 3, 1, 1), (2, 7, 6, 1, 5, 4, 3, 2)]
TIED = [(2, 4, 4, 2, 2, 2, 2, 0), (1, 6, 6, 1, 3, 3, 3, 0)]
SMALL = [
    (1, 2, 2, 1, 2, 2, 2, 0),
    (1, 1, 3, 1, 1, 2, 1, 0),
    (1, 2, 4, 1, 2, 2, 2, 0),
    (1, 3, 3, 1, 2, 2, 1, 0),
    (1, 3, 2, 1, 2, 1, 1, 0),
    (1, 5, 5, 1, 3, 3, 2, 0),
    (1, 5, 5, 1, 2, 2, 3, 0),
    (2, 2, 2, 2, 2, 2, 2, 0),
]


def make(geometry: tuple[int, ...], draw: Callable[..., Array]) -> Case:
    """A case of that geometry, filled by `draw(*shape)`."""
    n, h, w, c, kh, kw, stride, padding = geometry
    return Case({"x": draw(n, h, w, c)}, {"kernel": (kh, kw), "stride": stride, "padding": padding})


def cases(generator: np.random.Generator, forward: Callable[[Case], Array]) -> list[Case]:
    """Random numbers, no two alike, in all geometries."""
    draw = normal(generator)
    return [with_dy(make(g, draw), forward, generator) for g in GEOMETRIES + PADDED]


def small(forward: Callable[[Case], Array], ties: bool = False) -> list[Case]:
    """Small integers in small geometries; with ties, small integers of which many are equal."""
    found = [make(g, _spaced) for g in SMALL] + [make(g, integers) for g in PADDED[:2]]
    if ties:
        tied = make(SMALL[0], lambda *shape: np.full(shape, 3.0))
        found[:0] = [make(SMALL[0], _spaced), marked_as_tied(tied)]
    return [c.but(dy=integers(*forward(c).shape, start=3)) for c in found]


def marked_as_tied(c: Case) -> Case:
    """The case marked as one of ties."""
    return Case(c.arrays, {**c.settings, "has_ties": True}, c.dy)


def _spaced(*shape: int) -> Array:
    """Small integers, no two alike, some negative."""
    size = int(np.prod(shape))
    return ((np.arange(size) * 5 + 2) % size - size // 3).reshape(shape).astype(np.float64)


def geometry(c: Case) -> tuple[Any, ...]:
    """The window, as the reference takes it."""
    return (c.kernel, c.stride, c.padding)


def places(c: Case) -> Iterator[tuple[int, int]]:
    """Every place (p, q) of the output."""
    sizes = zip(c.x.shape[1:3], c.kernel, strict=True)
    return iter(np.ndindex(*((s + 2 * c.padding - k) // c.stride + 1 for s, k in sizes)))


def padded(c: Case, fill: float) -> Array:
    """x with a border of `fill`."""
    p = c.padding
    return np.pad(c.x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=fill)


def cells_of(image: Array, c: Case, p: int, q: int, step: int | None = None) -> Array:
    """The cells `(N, kH, kW, C)` of window (p, q)."""
    s = step or c.stride
    return image[:, p * s : p * s + c.kernel[0], q * s : q * s + c.kernel[1]]


def reduce_windows(c: Case, reduce: Callable, fill: float = 0.0, step: int | None = None) -> Array:
    """y from a function of a window's cells `(N, kH, kW, C)`."""
    image = padded(c, fill)
    first = reference.max_pool2d(c.x, *geometry(c))[0]
    y = np.zeros_like(first)
    for p, q in places(c):
        y[:, p, q] = reduce(cells_of(image, c, p, q, step))
    return y


def spread_shares(
    c: Case, share: Callable[[Array, Array], Array], add: float = 1, step: int | None = None
) -> Array:
    """dx from a function `(cells, dy)` -> what each cell gets."""
    image, dx = padded(c, -np.inf), np.zeros_like(padded(c, 0))
    for p, q in places(c):
        target = cells_of(dx, c, p, q, step)
        given = share(cells_of(image, c, p, q, step), c.dy[:, p, q][:, None, None])
        target[...] = add * target + given
    p = c.padding
    return dx[:, p : p + c.x.shape[1], p : p + c.x.shape[2]]


def largest(cells: Array) -> Array:
    """The maximum of each window."""
    return cells.max(axis=(1, 2))


def is_largest(cells: Array, which: str = "first") -> Array:
    """1 at the maximum of each window, at the first, the last or all of equal ones."""
    flat = cells.reshape(len(cells), -1, cells.shape[3])
    if which == "all":
        chosen = flat == flat.max(axis=1, keepdims=True)
    else:
        flat = flat if which == "first" else flat[:, ::-1]
        chosen = np.arange(flat.shape[1])[None, :, None] == flat.argmax(axis=1)[:, None]
        chosen = chosen if which == "first" else chosen[:, ::-1]
    return chosen.reshape(cells.shape).astype(np.float64)
