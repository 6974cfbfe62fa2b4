"""Layers without arithmetic: they change the shape, or nothing."""

import math

from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import check_count, check_dy_shape, check_images
from .layer import Layer


class Identity(Layer):
    """`y = x` for any shape: the branch of a `Concat` that keeps the input."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.save_for_backward(x.shape)
        return F.activate(x, None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, shape)
        return dy


class Flatten(Layer):
    """`(N, H, W, C)` -> `(N, H * W * C)`, in the order of memory: row, column, channel.

    Weights from engines that flatten channel first (torch, Caffe) need their rows permuted.
    """

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], math.prod(shape[1:])

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.save_for_backward(x.shape)
        return F.activate(x.reshape(self.output_shape(x.shape)), None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, self.output_shape(shape))
        return dy.reshape(shape)


class PadShortcut(Layer):
    """ResNet's parameter-free shortcut where the shape changes (He et al. 2015b, 3.3, option A).

    y has every `stride`-th pixel of x, and `out_channels - in_channels` channels of zeros: after
    those of x (fb.resnet.torch), or with `pad_both_ends` half before and half after them (the
    common CIFAR checkpoints).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, pad_both_ends: bool = False
    ):
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "stride": stride}
        for name, value in sizes.items():
            check_count(self, name, value)
        if out_channels < in_channels:
            raise ValueError(
                f"PadShortcut: out_channels={out_channels} must not be below {in_channels=}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.stride, self.pad_both_ends = stride, pad_both_ends
        first = (out_channels - in_channels) // 2 if pad_both_ends else 0
        self._old = slice(first, first + in_channels)  # the channels of y that are those of x

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.in_channels)
        return shape[0], -(-shape[1] // self.stride), -(-shape[2] // self.stride), self.out_channels

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        if out is None:
            out = F.empty(x, shape)
        out[...] = 0
        out[..., self._old] = x[:, :: self.stride, :: self.stride]
        self.save_for_backward(x.shape, shape)
        return out

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        x_shape, y_shape = self.pop_saved()
        check_dy_shape(self, dy, y_shape)
        dx = F.empty(dy, x_shape)
        dx[...] = 0
        dx[:, :: self.stride, :: self.stride] = dy[..., self._old]
        return dx
