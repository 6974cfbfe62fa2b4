"""Which axis of our array is which axis of ONNX's, while a file is read.

ONNX's maps are (N, C, H, W), ours (N, H, W, C). Every axis consists of atoms, pieces that no
reshape has cut; an axis of length 1 has none. Reshape cuts and joins atoms, Transpose permutes
them, and both are only bookkeeping: our array stays as it is until a layer needs its numbers in a
certain order.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels.types import Shape


@dataclass(frozen=True, eq=False)
class Atom:
    """A piece of an axis.

    is_batch: True for the images of a batch; their number is that of the file.
    """

    size: int
    is_batch: bool = False


Axis = tuple[Atom, ...]
Axes = tuple[Axis, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the file that is computed.

    node: the layer that gives our array, or "input". axes: those of ONNX's tensor. ours: those of
    our array, with the same atoms.
    """

    node: str
    axes: Axes
    ours: Axes

    @property
    def shape(self) -> Shape:
        """The shape of ONNX's tensor."""
        return tuple(map(length, self.axes))


def length(axis: Axis) -> int:
    """The length of an axis."""
    return math.prod(atom.size for atom in axis)


def flat(axes: Sequence[Axis]) -> Axis:
    """All atoms in the order of memory."""
    return tuple(atom for axis in axes for atom in axis)


def new_axis(size: int) -> Axis:
    """An axis of one atom."""
    return () if size == 1 else (Atom(size),)


def standard(axes: Axes) -> Axes:
    """The axes of our array for a tensor: channels last if it has maps, else as they are."""
    return (axes[0], axes[2], axes[3], axes[1]) if len(axes) == 4 else axes


def order_of(value: Value) -> list[int]:
    """The axes of ONNX's tensor in the order of our array, or of `standard` if it merges some."""
    rank, order = len(value.axes), list[int]()
    for axis in value.ours if len(value.ours) == rank else ():
        order += [i for i in range(rank) if i not in order and value.axes[i] == axis][:1]
    if len(order) == rank:
        return order
    return [0, 2, 3, 1] if rank == 4 else list(range(rank))


def with_last(value: Value, axis: int) -> Axes:
    """Axes of an array whose last one is that of ONNX's tensor; the others stay in our order."""
    if value.ours[-1] == value.axes[axis]:
        return value.ours
    return (*(value.axes[i] for i in order_of(value) if i != axis), value.axes[axis])


def with_joined(value: Value, chosen: Collection[int]) -> Axes:
    """Axes of an array whose last one joins the chosen axes, in the order of our array.

    It is for what does not depend on the order of the numbers along these axes, as a mean.
    """
    atoms = flat([value.axes[i] for i in chosen])
    last = tuple(atom for atom in flat(value.ours) if atom in atoms)
    if value.ours[-1] == last:
        return value.ours
    return (*(value.axes[i] for i in order_of(value) if i not in chosen), last)


def in_order(array: np.ndarray, axes: Sequence[Axis], ours: Axis) -> np.ndarray:
    """The numbers of a constant as our axis `ours` has them, which joins these axes.

    array: it begins with these axes; further ones stay behind them.
    """
    atoms, rest = flat(axes), array.shape[len(axes) :]
    parts = array.reshape([*(atom.size for atom in atoms), *rest])
    order = [atoms.index(atom) for atom in ours]
    return parts.transpose(*order, *range(len(atoms), parts.ndim)).reshape((-1, *rest))


def replaced(axes: Axes, place: int, axis: Axis) -> Axes:
    """The axes with another one at a place."""
    return (*axes[:place], axis, *axes[place + 1 :])


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """The value after ONNX's Reshape to `shape`.

    The batch may be joined with what is behind it. Raises ValueError for what is before it.
    """
    waiting = list(flat(value.axes))
    cut: dict[Atom, Axis] = {}
    axes: list[Axis] = []
    for size in shape:
        axis: list[Atom] = []
        rest = size
        while waiting and (rest > 1 or (waiting[0].is_batch and not axis)):
            atom = waiting.pop(0)
            if atom.is_batch and (axis or rest % atom.size):
                raise ValueError("it joins the images of a batch with another axis")
            if rest % atom.size:
                if atom.size % rest:
                    raise ValueError("it cuts an axis into parts of other sizes")
                pieces = Atom(rest), Atom(atom.size // rest)
                cut[atom] = pieces
                atom = pieces[0]
                waiting.insert(0, pieces[1])
            axis.append(atom)
            rest //= atom.size
        if rest > 1:
            raise ValueError("it has another number of values")
        axes.append(tuple(axis))
    if waiting:
        raise ValueError("it has another number of values")
    return Value(value.node, tuple(axes), tuple(_cut(axis, cut) for axis in value.ours))


def _cut(axis: Axis, cut: dict[Atom, Axis]) -> Axis:
    """The axis with the pieces of the atoms that were cut, which may have been cut again."""
    found: Axis = ()
    for atom in axis:
        found += _cut(cut[atom], cut) if atom in cut else (atom,)
    return found


def transposed(value: Value, order: Sequence[int]) -> Value:
    """The value after ONNX's Transpose."""
    return Value(value.node, tuple(value.axes[i] for i in order), value.ours)
