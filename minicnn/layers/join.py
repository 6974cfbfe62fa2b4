"""Layers that join several arrays into one; a `Graph` calls them.

`forward` takes a tuple of arrays, `backward` returns a tuple with the dx of each, and
`output_shape` takes a tuple of shapes.
"""

import math
from typing import Any

from ..checks import is_whole
from ..errors import ShapeError, brief
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .activation import check_activation
from .branches import channel_slices
from .checks import check_dy_shape
from .layer import Layer

Shapes = tuple[Shape, ...]


class Join(Layer):
    """The base of layers that read several arrays."""

    joins = True


class Elementwise(Join):
    """The base of joins of arrays of one shape, element by element.

    An axis of length 1 is repeated: `(N, 1, 1, C)` and `(N, H, W, C)` give `(N, H, W, C)`. The dx
    of a repeated array is summed over that axis.
    Raises ShapeError for other shapes.
    """

    def output_shape(self, shape: Shapes) -> Shape:  # type: ignore[override]
        sizes = [sorted(set(axis)) for axis in zip(*shape, strict=False)]
        is_equal = all(len(s) == 1 or (len(s) == 2 and s[0] == 1) for s in sizes)
        if len(set(map(len, shape))) > 1 or not is_equal:
            found = ", ".join(map(str, shape))
            raise ShapeError(f"{self!r}: the inputs are {found}; they must have one shape")
        return tuple(s[-1] for s in sizes)


def _sum_to(dx: Array, shape: Shape) -> Array:
    """The sum over the axes along which an array of `shape` was repeated."""
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and dx.shape[i] > 1)
    return dx.sum(axis=axes, keepdims=True) if axes else dx


class Add(Elementwise):
    """`y = f(x1 + x2 + ...)`; every dx is dy before the activation f.

    activation: None or a name, as in `Conv2d`.
    """

    def __init__(self, activation: str | None = None):
        self.activation = check_activation(activation)

    def forward(self, x: tuple[Array, ...], out: Array | None = None) -> Array:  # type: ignore[override]
        shapes = tuple(a.shape for a in x)
        shape = self.output_shape(shapes)
        y, *others = x
        if y.shape != shape:
            y = F.empty(y, shape)
            y[...] = x[0]
        for other in others[:-1]:
            y = _plus(y, other)
        if others:
            y = _plus(y, others[-1], self.activation, out)
        else:
            y = F.activate(y, self.activation, out=out)
        self.save_for_backward(y, shapes)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> tuple[Array, ...]:
        y, shapes = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        dy = F.activation_grad(dy, y, self.activation)
        return tuple(_sum_to(dy, shape) for shape in shapes)


def _plus(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """`f(a + b)`; b may be repeated along axes of length 1."""
    if a.shape == b.shape:
        return F.add(a, b, activation, out=out)
    return F.activate(a + b, activation, out=out)


class Multiply(Elementwise):
    """`y = x1 x2 ...`: the dx of each is dy times the others."""

    def forward(self, x: tuple[Array, ...], out: Array | None = None) -> Array:  # type: ignore[override]
        self.output_shape(tuple(a.shape for a in x))
        self.save_for_backward(x)
        return F.activate(math.prod(x[1:], start=x[0]), None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> tuple[Array, ...]:
        (x,) = self.pop_saved()
        check_dy_shape(self, dy, self.output_shape(tuple(a.shape for a in x)))
        products = (math.prod(x[:i] + x[i + 1 :], start=dy) for i in range(len(x)))
        return tuple(_sum_to(dx, a.shape) for dx, a in zip(products, x, strict=True))


class Maximum(Elementwise):
    """The largest of the arrays, element by element. Of equal values the first is the maximum."""

    def forward(self, x: tuple[Array, ...], out: Array | None = None) -> Array:  # type: ignore[override]
        shape = self.output_shape(tuple(a.shape for a in x))
        y = F.empty(x[0], shape) if out is None else out
        y[...] = x[0]
        for a in x[1:]:
            y[...] = a.clip(min=y)
        self.save_for_backward(x, y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> tuple[Array, ...]:
        x, y = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        gradients, rest = [], dy
        for a in x:
            dx = rest * (a == y)
            gradients.append(_sum_to(dx, a.shape))
            rest = rest - dx
        return tuple(gradients)


class Concatenate(Join):
    """The arrays one behind the other along the channels, the last axis.

    Raises ShapeError if they differ in more than their channels. `Concat` is the container for
    branches that read the same input.
    """

    def output_shape(self, shape: Shapes) -> Shape:  # type: ignore[override]
        if len({s[:-1] for s in shape}) > 1:
            found = ", ".join(map(str, shape))
            raise ShapeError(f"{self!r}: the inputs are {found}; only the channels may differ")
        return (*shape[0][:-1], sum(s[-1] for s in shape))

    def forward(self, x: tuple[Array, ...], out: Array | None = None) -> Array:  # type: ignore[override]
        shape = self.output_shape(tuple(a.shape for a in x))
        y = F.empty(x[0], shape) if out is None else out
        slices = channel_slices(a.shape[-1] for a in x)
        for a, channels in zip(x, slices, strict=True):
            y[..., channels] = a
        self.save_for_backward(slices, shape)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> tuple[Array, ...]:
        slices, shape = self.pop_saved()
        check_dy_shape(self, dy, shape)
        return tuple(dy[..., channels] for channels in slices)


class Slice(Layer):
    """`y = x[..., start:stop]`: some of the channels, the last axis. dx is 0 for the others.

    stop: the channel behind the last one. Raises ShapeError for an x with fewer channels.
    """

    def __init__(self, start: int, stop: int):
        if not is_whole(start, 0) or not is_whole(stop, start + 1):
            raise ValueError(
                f"Slice: start={brief(start)}, stop={brief(stop)}: expected 0 <= start < stop"
            )
        self.start, self.stop = int(start), int(stop)

    def output_shape(self, shape: Shape) -> Shape:
        if shape[-1] < self.stop:
            raise ShapeError(
                f"{self!r}: the input {shape} has {shape[-1]} channels; "
                f"expected at least {self.stop}"
            )
        return (*shape[:-1], self.stop - self.start)

    def forward(self, x: Array, out: Array | None = None) -> Any:
        self.output_shape(x.shape)
        self.save_for_backward(x.shape)
        y = F.empty(x, self.output_shape(x.shape)) if out is None else out
        y[...] = x[..., self.start : self.stop]
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, self.output_shape(shape))
        dx = F.empty(dy, shape)
        dx[...] = 0
        dx[..., self.start : self.stop] = dy
        return dx
