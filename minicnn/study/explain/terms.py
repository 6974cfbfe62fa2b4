"""Terms from arrays of indices, and the windows of convolution and pooling along one axis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ...kernels.geometry import Window
from ...kernels.reference import activation as activations
from ...kernels.types import Array, Shape
from ..trace import Record
from .explanation import Factor, Index, Ranges, Read, Step, Term


@dataclass(frozen=True)
class Column:
    """One factor of many terms. index: `(T, axes)`, or None for numbers. values: `(T,)`."""

    name: str
    index: np.ndarray | None
    values: np.ndarray


def elements(name: str, array: Array | None, *axes: int | np.ndarray) -> Column:
    """The elements `array[axes]` as a factor; axes that are single numbers are the same for all."""
    assert array is not None
    index = np.stack(np.broadcast_arrays(*axes), axis=-1).reshape(-1, array.ndim)
    return Column(name, index, array[tuple(index.T)].astype(np.float64))


def constant(name: str, value: float) -> Column:
    """One number as a factor of all terms."""
    return Column(name, None, np.full(1, value))


def products(*columns: Column) -> list[Term]:
    """The terms whose values are the products of the columns, from left to right."""
    count = max((len(c.values) for c in columns), default=0)
    if any(len(c.values) == 0 for c in columns):
        return []
    lists = []
    for column in columns:
        values = np.broadcast_to(column.values, count).tolist()
        places: Sequence[Index | None] = [None] * count
        if column.index is not None:
            shape = count, column.index.shape[1]
            places = list(map(tuple, np.broadcast_to(column.index, shape).tolist()))
        lists.append([Factor(column.name, *pair) for pair in zip(places, values, strict=True)])
    return [term_of(*factors) for factors in zip(*lists, strict=True)]


def term_of(*factors: Factor) -> Term:
    """The product of the factors as a term."""
    value = 1.0
    for factor in factors:
        value *= factor.value
    return Term(value, factors)


def from_layer(record: Record, what: str, index: Index) -> Factor:
    """One element of a layer's array as a factor of an explanation of another layer."""
    return Factor(what, index, float(record.arrays()[what][index]), record.path)


def element(name: str, array: Array | None, index: Index) -> Factor:
    """One element as a factor."""
    assert array is not None
    return Factor(name, index, float(array[index]))


def number(name: str, value: float) -> Factor:
    """A number as a factor."""
    return Factor(name, None, float(value))


def box(record: Record, what: str, *columns: Column) -> tuple[Read, ...]:
    """The smallest box around the indices of the columns; () if there are none."""
    rows = [c.index for c in columns if c.index is not None and len(c.index)]
    if not rows:
        return ()
    low = np.min([r.min(axis=0) for r in rows], axis=0).tolist()
    high = np.max([r.max(axis=0) for r in rows], axis=0).tolist()
    ranges: Ranges = tuple((a, b + 1) for a, b in zip(low, high, strict=True))
    return (Read(record.path, what, ranges),)


class Axis(NamedTuple):
    """The windows of a convolution or pooling along one axis: rows, or columns."""

    size: int
    kernel: int
    stride: int
    before: int
    dilation: int
    windows: int

    def cells(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """The cells of a window that are not in the padding, and their pixels."""
        cells = np.arange(self.kernel)
        pixels = window * self.stride + cells * self.dilation - self.before
        real = (pixels >= 0) & (pixels < self.size)
        return cells[real], pixels[real]

    def covering(self, pixel: int) -> tuple[np.ndarray, np.ndarray]:
        """The windows that contain a pixel, in their order, and the cell that it is in each."""
        cells = np.arange(self.kernel)[::-1]
        start = pixel + self.before - cells * self.dilation
        window = start // self.stride
        found = (start % self.stride == 0) & (window >= 0) & (window < self.windows)
        return window[found], cells[found]

    def pixels_of(self, cell: int) -> tuple[np.ndarray, np.ndarray]:
        """The windows in which a cell is not in the padding, and the pixels there."""
        windows = np.arange(self.windows)
        pixels = windows * self.stride + cell * self.dilation - self.before
        real = (pixels >= 0) & (pixels < self.size)
        return windows[real], pixels[real]


def axes_of(shape: tuple[int, ...], geometry: Window) -> tuple[Axis, Axis]:
    """The rows and the columns of an image batch `(N, H, W, C)`."""
    rows, columns = (
        Axis(
            *(shape[1 + axis], geometry.kernel[axis], geometry.stride[axis]),
            *(geometry.padding[axis][0], geometry.dilation[axis], geometry.output[axis]),
        )
        for axis in range(2)
    )
    return rows, columns


def flat(*axes: np.ndarray) -> list[np.ndarray]:
    """All combinations of the indices, the last axis fastest: one array `(T,)` per axis.

    An argument `(n, m)` is m indices that go together, such as cells and their pixels: it gives n
    arrays.
    """
    grids = np.meshgrid(*(np.arange(a.shape[-1]) for a in axes), indexing="ij")
    found = []
    for a, grid in zip(axes, grids, strict=True):
        rows = a[None] if a.ndim == 1 else a
        found += [row[grid.ravel()] for row in rows]
    return found


def places_of_channel(shape: Shape, c: int) -> np.ndarray:
    """The indices `(T, axes)` of all numbers of a channel, the last axis of an array."""
    grid = flat(*(np.arange(size) for size in shape[:-1]))
    return np.stack([*grid, np.full_like(grid[0], c)], axis=-1)


def activation_step(name: str | None, constants: tuple[float, ...] = ()) -> Step | None:
    """The activation after a sum."""
    if name is None:
        return None
    function = activations.ACTIVATIONS[name][0]
    return Step(f"{name}(sum)", lambda z: float(function(np.array([z]), *constants)[0]))


def applied(name: str | None, formula: str) -> str:
    """The formula with the activation around it, such as `relu(...)`."""
    return f"{name}({formula})" if name else formula


def slopes(
    record: Record,
    name: str | None,
    *axes: int | np.ndarray,
    constants: tuple[float, ...] = (),
) -> list[Column]:
    """The slope of an activation at elements of its output; no factor without an activation.

    It is a function of y, or of x for an activation such as GELU.
    """
    if name is None:
        return []
    array = record.x if name in activations.FROM_INPUT else record.y
    column = elements(f"{name}'", array, *axes)
    slope = activations.ACTIVATIONS[name][1]
    values = slope(np.ones(len(column.values)), column.values, *constants)
    return [replace(column, values=values)]


def slope_factors(record: Record, name: str | None, index: Index) -> list[Factor]:
    """`slopes` at one place, for a term of the same or another layer."""
    found = slopes(record, name, *index)
    return [Factor(c.name, index, float(c.values[0]), record.path) for c in found]
