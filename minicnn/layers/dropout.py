"""Dropout."""

from ..kernels import dispatch as K
from ..random import generator
from .base import Layer, Shape


class Dropout(Layer):
    """In training, set each value to 0 with probability p and scale the rest by 1 / (1 - p); otherwise the identity.

    Any shape. The masks come from `minicnn.random`, so that one seed repeats them.
    Raises ValueError unless 0 <= p < 1.
    """

    def __init__(self, p: float = 0.5):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p={p!r}: expected a probability, 0 <= p < 1")
        self.p = p

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x, out=None):
        if not self.training or self.p == 0:
            self.save_for_backward(x.shape, None)
            return K.activate(x, None, out=out)
        y, keep = K.dropout(x, self.p, generator(), out=out)
        self.save_for_backward(x.shape, keep)
        return y

    def backward(self, dy, need_dx=True):
        shape, keep = self.saved()
        self.check_gradient(dy, shape)
        return dy if keep is None else K.dropout_grad(dy, keep, self.p)

    def details(self):
        return {"note": f"p={self.p:g}"}

    def describe(self):
        return f"{self.p:g}"
