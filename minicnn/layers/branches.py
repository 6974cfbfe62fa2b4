"""Containers of parallel paths: `Concat` for Inception modules, `Residual` for residual blocks."""

from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .activation import check_activation
from .checks import check_dy_shape, inside
from .layer import Layer
from .sequential import Container


def channel_slices(counts: Iterable[int]) -> list[slice]:
    """The channels of each of several arrays in their concatenation: 2, 3 -> `0:2`, `2:5`."""
    return [slice(start, end) for start, end in pairwise(accumulate(counts, initial=0))]


class Concat(Container):
    """Branches on the same input, with their outputs concatenated along the channels.

        y = [branch_1(x), branch_2(x), ...]
        dx = sum_i branch_i.backward(the channels of dy that belong to branch i)

    Each branch writes directly into its slice of the result (Szegedy et al. 2014, figure 2).
    Raises ShapeError if the outputs of the branches differ in more than their channels.
    """

    def _branch_shapes(self, shape: Shape) -> list[Shape]:
        shapes = []
        for name, branch in self._layers.items():
            with inside(name):
                shapes.append(branch.output_shape(shape))
        if len({s[:-1] for s in shapes}) > 1:
            found = ", ".join(map(str, shapes))
            raise ShapeError(f"Concat: the branches give {found}; only the channels may differ")
        return shapes

    def output_shape(self, shape: Shape) -> Shape:
        shapes = self._branch_shapes(shape)
        return (*shapes[0][:-1], sum(s[-1] for s in shapes))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shapes = self._branch_shapes(x.shape)
        slices = channel_slices(s[-1] for s in shapes)
        if out is None:
            out = F.empty(x, (*shapes[0][:-1], slices[-1].stop))
        for (name, branch), channels in zip(self._layers.items(), slices, strict=True):
            with inside(name):
                branch(x, out=out[..., channels])
        self.save_for_backward(slices, out.shape)
        return out

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        slices, shape = self.pop_saved()
        check_dy_shape(self, dy, shape)
        dx = None
        for (name, branch), channels in zip(self._layers.items(), slices, strict=True):
            with inside(name):
                part = branch.backpropagate(dy[..., channels], need_dx=need_dx)
            dx = part if dx is None or part is None else F.add(dx, part)
        return dx if need_dx else None


class Residual(Layer):
    """`y = f(body(x) + shortcut(x))` (He et al. 2015b, equations 1 and 2).

    backward passes dy to both paths and adds the two dx. `shortcut=None` is the identity.
    `activation` is applied after the addition; it is None in the pre-activation form.
    Raises ShapeError if body and shortcut give different shapes.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None, activation: str | None = None):
        self.body, self.shortcut = body, shortcut
        self.activation = check_activation(activation)

    def output_shape(self, shape: Shape) -> Shape:
        body = self.body.output_shape(shape)
        shortcut = self.shortcut.output_shape(shape) if self.shortcut else shape
        if body != shortcut:
            raise ShapeError(
                f"Residual: the body gives {body} and the shortcut {shortcut}; "
                "they must be equal to be added"
            )
        return body

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        shortcut = self.shortcut(x) if self.shortcut else x
        y = F.add(self.body(x), shortcut, self.activation, out=out)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any, need_dx: bool = True) -> Array | None:
        (y,) = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        dy = F.activation_grad(dy, y, self.activation)
        dx = self.body.backpropagate(dy, need_dx=need_dx)
        shortcut = self.shortcut.backpropagate(dy, need_dx=need_dx) if self.shortcut else dy
        return F.add(dx, shortcut) if need_dx else None
