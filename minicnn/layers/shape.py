"""Layers that only change the shape."""

import math

from ..kernels import dispatch as K
from .base import Layer, Shape


class Flatten(Layer):
    """`(N, H, W, C)` -> `(N, H * W * C)`, in the order of memory: row, column, channel.

    Weights from engines that flatten channel first (torch, Caffe) need their rows permuted.
    """

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], math.prod(shape[1:])

    def forward(self, x, out=None):
        self.save_for_backward(x.shape)
        return K.activate(x.reshape(self.output_shape(x.shape)), None, out=out)

    def backward(self, dy, need_dx=True):
        (shape,) = self.saved()
        self.check_gradient(dy, self.output_shape(shape))
        return dy.reshape(shape)
