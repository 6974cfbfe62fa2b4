"""Which axis of our array is which axis of ONNX's, while a file is read.

ONNX's maps are (N, C, H, W), ours (N, H, W, C). Every axis consists of atoms, pieces that no
reshape has cut; an axis of length 1 has none. Reshape cuts and joins atoms, Transpose permutes
them, and both are only bookkeeping: our array stays as it is until a layer needs its numbers in a
certain order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """The value after ONNX's Reshape to `shape`. Raises ValueError for one that mixes images."""
    waiting = list(flat(value.axes))
    cut: dict[Atom, Axis] = {}
    axes: list[Axis] = []
    for size in shape:
        axis: list[Atom] = []
        rest = size
        while waiting and (rest > 1 or (waiting[0].is_batch and not axis)):
            atom = waiting.pop(0)
            if atom.is_batch and (axis or atom.size != size):
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
            if atom.is_batch:
                break
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
