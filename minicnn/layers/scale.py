"""Multiplication by a constant, and addition of one."""

from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import check_dy_shape, check_number
from .layer import Layer


class Scale(Layer):
    """`y = factor * x + shift` for any shape; both are numbers that are not trained."""

    def __init__(self, factor: float, shift: float = 0.0):
        self.factor = check_number(self, "factor", factor)
        self.shift = check_number(self, "shift", shift)

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.save_for_backward(x.shape)
        y = x * x.dtype.type(self.factor)
        return F.activate(y + y.dtype.type(self.shift) if self.shift else y, None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, shape)
        return dy * dy.dtype.type(self.factor)
