"""Layers that move numbers: `Reshape`, `Permute`, `Pad2d` and `FlipChannels`."""

import math

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.geometry import padding_pairs, pair
from ..kernels.types import Array, Padding, Pair, Shape
from .checks import check_count, check_dy_shape, check_images, check_number
from .layer import Layer


class Reshape(Layer):
    """`(N, ...)` -> `(N, *shape)`, in the order of memory.

    shape: sizes without the batch. `Flatten` is `Reshape` to one axis.
    Raises ShapeError if the number of values differs.
    """

    def __init__(self, *shape: int):
        if not shape:
            raise ValueError("Reshape: expected at least one size, as in Reshape(16, 5, 5)")
        self.shape = tuple(check_count(self, "size", n) for n in shape)

    def output_shape(self, shape: Shape) -> Shape:
        if math.prod(shape[1:]) != math.prod(self.shape):
            raise ShapeError(f"{self!r}: the input {shape} has another number of values")
        return (shape[0], *self.shape)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        self.save_for_backward(x.shape)
        return F.activate(x.reshape(shape), None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, self.output_shape(shape))
        return dy.reshape(shape)

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


class Permute(Layer):
    """The axes in another order: axis i of y is axis `axes[i]` of x. Axis 0 is the batch.

    `Permute(0, 3, 1, 2)` makes channels the first axis. Raises ShapeError for an x with another
    number of axes.
    """

    def __init__(self, *axes: int):
        self.axes = tuple(int(i) for i in axes)
        if sorted(axes) != list(range(len(axes))) or self.axes[:1] != (0,):
            raise ValueError(f"Permute: axes={axes}: expected 0, and then the others in any order")

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != len(self.axes):
            raise ShapeError(
                f"{self!r}: the input has shape {shape}; expected {len(self.axes)} axes"
            )
        return tuple(shape[i] for i in self.axes)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        y = F.empty(x, self.output_shape(x.shape)) if out is None else out
        y[...] = x.transpose(self.axes)
        self.save_for_backward(x.shape)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, self.output_shape(shape))
        dx = F.empty(dy, shape)
        dx.transpose(self.axes)[...] = dy
        return dx

    def __repr__(self) -> str:
        return f"Permute({', '.join(map(str, self.axes))})"


class Pad2d(Layer):
    """`(N, H, W, C)` with a frame of a constant: zeros, or `value`.

    padding: an int, a pair, or `((top, bottom), (left, right))`, in pixels. `Conv2d` pads itself.
    channels: how many of the constant are added before and after those of x.
    """

    def __init__(self, padding: Padding, value: float = 0.0, channels: Pair = (0, 0)):
        self.padding, self.value = padding_pairs(padding), check_number(self, "value", value)
        self.channels = pair(channels, "channels", 0)

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        height, width = (n + sum(p) for n, p in zip(shape[1:3], self.padding, strict=True))
        return shape[0], height, width, shape[3] + sum(self.channels)

    def _inside(self, a: Array) -> Array:
        (top, bottom), (left, right) = self.padding
        before, after = self.channels
        inside = a[:, top : a.shape[1] - bottom, left : a.shape[2] - right]
        return inside[..., before : a.shape[3] - after]

    def forward(self, x: Array, out: Array | None = None) -> Array:
        y = F.empty(x, self.output_shape(x.shape)) if out is None else out
        y[...] = self.value
        self._inside(y)[...] = x
        self.save_for_backward(y.shape)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, shape)
        return self._inside(dy)


class FlipChannels(Layer):
    """The last axis in reversed order: RGB becomes BGR."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        y = F.empty(x, x.shape) if out is None else out
        y[...] = x[..., ::-1]
        self.save_for_backward(x.shape)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, shape)
        dx = F.empty(dy, shape)
        dx[...] = dy[..., ::-1]
        return dx
