"""A factor and a bias per channel."""

import numpy as np

from ..kernels.types import Array, Shape
from .checks import check_count, check_dtype, check_dy_shape, check_flag, check_last_axis
from .layer import Layer
from .parameter import Parameter


class Affine(Layer):
    """`y = x * w[c] + b[c]` with one factor and one bias per channel, the last axis of x.

        dx = dy * w[c]
        dw[c] = sum of dy * x, db[c] = sum of dy, over all places of the channel

    It is what batch norm does after the normalization, and Caffe's Scale layer.
    Parameters: `weight` and `bias`, `(channels,)` each, 1 and 0 at first.
    scale, bias: False for a layer without the factor, or without the bias.
    trainable: False for constants, such as a normalization of the images: parameters that begin
        frozen, also after the layer was saved and loaded.
    """

    def __init__(
        self, channels: int, scale: bool = True, bias: bool = True, trainable: bool = True
    ):
        self.channels = check_count(self, "channels", channels)
        self.scale = check_flag(self, "scale", scale)
        bias = check_flag(self, "bias", bias)
        self.trainable = check_flag(self, "trainable", trainable)
        if not (self.scale or bias):
            raise ValueError("Affine: scale=False, bias=False: expected at least one of them")
        self.weight = Parameter(np.ones(channels, np.float32)) if self.scale else None
        self.bias = Parameter(np.zeros(channels, np.float32)) if bias else None
        for parameter in self.parameters():
            parameter.frozen = not self.trainable

    def output_shape(self, shape: Shape) -> Shape:
        check_last_axis(self, shape, self.channels)
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight or self.bias)  # type: ignore[arg-type]
        y = x * self.weight.value if self.weight else x
        y = y + self.bias.value if self.bias else y
        self.save_for_backward(x)
        if out is None:
            return y.astype(x.dtype, copy=False)  # x may have fewer bits than the parameters
        out[...] = y
        return out

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (x,) = self.pop_saved()
        check_dy_shape(self, dy, x.shape)
        places = tuple(range(dy.ndim - 1))
        if self.bias:
            db = dy.sum(axis=places, dtype=self.bias.value.dtype)
            self.bias.add_grad(db, copy=False)
        if self.weight is None:
            return dy
        w = self.weight.value
        self.weight.add_grad((dy.astype(w.dtype) * x).sum(axis=places), copy=False)
        return (dy * w).astype(dy.dtype, copy=False)

    def initialize(self, weight: object = None, bias: object = None) -> "Affine":
        """The factors stay 1 and the biases 0: initializers are for convolutions."""
        return self
