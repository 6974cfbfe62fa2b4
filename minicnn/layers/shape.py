"""Layers that only change the shape."""

import math

from ..kernels import dispatch as K
from .base import Layer, Shape, check_images


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


class PadShortcut(Layer):
    """ResNet's parameter-free shortcut where the shape changes (option A of He et al. 2015b, section 3.3).

    Every `stride`-th pixel, and zeros for the `out_channels - in_channels` new channels: behind the old ones (fb.resnet.torch), or with
    `both_sides` half in front and half behind (the common CIFAR checkpoints).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, both_sides: bool = False
    ):
        if out_channels < in_channels:
            raise ValueError(
                f"PadShortcut: out_channels={out_channels} must not be below in_channels={in_channels}"
            )
        self.in_channels, self.out_channels, self.stride, self.both_sides = (
            in_channels,
            out_channels,
            stride,
            both_sides,
        )
        self._first = (out_channels - in_channels) // 2 if both_sides else 0

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.in_channels)
        return shape[0], -(-shape[1] // self.stride), -(-shape[2] // self.stride), self.out_channels

    def forward(self, x, out=None):
        shape = self.output_shape(x.shape)
        if out is None:
            out = K.empty(x, shape)
        out[...] = 0
        out[..., self._first : self._first + self.in_channels] = x[
            :, :: self.stride, :: self.stride
        ]
        self.save_for_backward(x.shape, shape)
        return out

    def backward(self, dy, need_dx=True):
        x_shape, y_shape = self.saved()
        self.check_gradient(dy, y_shape)
        dx = K.empty(dy, x_shape)
        dx[...] = 0
        dx[:, :: self.stride, :: self.stride] = dy[
            ..., self._first : self._first + self.in_channels
        ]
        return dx

    def details(self):
        return {
            "stride": str(self.stride),
            "note": f"zeros for {self.out_channels - self.in_channels} channels",
        }

    def describe(self):
        text = f"{self.in_channels}, {self.out_channels}, stride={self.stride}"
        return text + (", both_sides=True" if self.both_sides else "")
