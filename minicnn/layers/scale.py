"""Multiplication by a constant."""

from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import check_dy_shape
from .layer import Layer


class Scale(Layer):
    """`y = factor * x` for any shape; the factor is a number, not trained."""

    def __init__(self, factor: float):
        self.factor = float(factor)

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.save_for_backward(x.shape)
        return F.activate(x * x.dtype.type(self.factor), None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, shape)
        return dy * dy.dtype.type(self.factor)
