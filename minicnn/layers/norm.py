"""Normalization layers."""

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .activation import check_activation
from .checks import (
    check_count,
    check_dtype,
    check_dy_shape,
    check_flag,
    check_images,
    check_last_axis,
    check_number,
)
from .init import Initializer
from .layer import Layer
from .parameter import Parameter

if TYPE_CHECKING:
    from typing import Self


class LocalResponseNorm(Layer):
    """Local response normalization across `size` neighboring channels (Krizhevsky et al. 2012).

    The paper prints size=5, alpha=1e-4, beta=0.75, k=2. Caffe and torch divide alpha by the size:
    `alpha_div_n=True`; with it, alpha=5e-4 is the paper's formula. `(N, H, W, C)` -> the same
    shape; the formula is in `minicnn.kernels.reference.norm`.
    groups: neighbors are of the same group of channels: of the same column of AlexNet's.
    within_channel: the neighbors are the `size` x `size` pixels around one of the same map, and
        alpha is divided by size^2. Caffe's WITHIN_CHANNEL is
        `LocalResponseNorm(size, alpha, beta, k=1.0, alpha_div_n=True, within_channel=True)`.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        alpha_div_n: bool = False,
        groups: int = 1,
        within_channel: bool = False,
    ):
        self.size = check_count(self, "size", size)
        self.alpha_div_n = check_flag(self, "alpha_div_n", alpha_div_n)
        self.alpha, self.beta = check_number(self, "alpha", alpha), check_number(self, "beta", beta)
        self.k = check_number(self, "k", k)
        self.groups = check_count(self, "groups", groups)
        self.within_channel = check_flag(self, "within_channel", within_channel)
        if groups > 1 and self.within_channel:
            raise ValueError(
                f"LocalResponseNorm: groups={groups} of channels mean nothing within a channel; "
                "expected 1"
            )

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        if shape[3] % self.groups:
            raise ShapeError(
                f"{self!r}: the input has {shape[3]} channels; expected a multiple of {self.groups}"
            )
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        constants = self.size, self.alpha, self.beta, self.k, self.alpha_div_n, self.within_channel
        if self.groups == 1:
            y, scale = F.local_response_norm(x, *constants, out=out)
            self.save_for_backward(x, y, scale)
            return y
        parts = self._parts(x)
        y, scale = F.local_response_norm(parts, *constants)
        self.save_for_backward(parts, y, scale)
        return F.activate(y.reshape(x.shape), None, out=out)

    def _parts(self, a: Array) -> Array:
        """`(N, H, W, C)` as `(N, H, W groups, C / groups)`: each group like a pixel of its own."""
        n, h, w, c = a.shape
        return a.reshape(n, h, w * self.groups, c // self.groups)

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        x, y, scale = self.pop_saved()
        n, h, w, c = y.shape
        shape = (n, h, w // self.groups, c * self.groups)
        check_dy_shape(self, dy, shape)
        constants = self.size, self.alpha, self.beta, self.alpha_div_n, self.within_channel
        dx = F.local_response_norm_grad(self._parts(dy), x, y, scale, *constants)
        return dx.reshape(shape)


class Normalization(Layer):
    """A layer that scales with `weight` (gamma) and shifts with `bias` (beta)."""

    def initialize(self, weight: Initializer | None = None, bias: float | None = None) -> "Self":
        """gamma stays 1 and beta 0: initializers are for convolutions and linear layers."""
        return self


class BatchNorm2d(Normalization):
    """Batch normalization per channel, with its activation (Ioffe & Szegedy 2015).

    `(N, H, W, C)` -> the same shape. Parameters: `weight` (gamma) and `bias` (beta), `(channels,)`.
    Buffers: `running_mean`, `running_var`, updated in training with torch's `momentum`: the
    fraction of the new batch (0.1 here is a decay of 0.9 in Caffe and TensorFlow).
    scale: False for a batch norm without `weight`: gamma is 1.
    Raises ShapeError in training if there is only one value per channel.
    """

    buffers = ("running_mean", "running_var")

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        activation: str | None = None,
        scale: bool = True,
    ):
        self.channels = check_count(self, "channels", channels)
        self.eps = check_number(self, "eps", eps, 0)
        self.momentum = check_number(self, "momentum", momentum, 0, 1)
        self.scale = check_flag(self, "scale", scale)
        self.activation = check_activation(activation, from_output=False)
        self._ones = np.ones(channels, np.float32)
        self.weight = Parameter(self._ones.copy()) if self.scale else None
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.channels)
        return shape

    def check_input(self, x: Array) -> None:
        """Raise ShapeError unless batch norm is defined for x: one value has no variance."""
        self.output_shape(x.shape)
        if self.training and x.size == self.channels:
            raise ShapeError(
                f"{self!r}: in training {x.shape} gives one value per channel, "
                "which has no variance"
            )

    @property
    def gamma(self) -> Array:
        """The factors `(channels,)`: the weight, or ones."""
        if self.weight is not None:
            return self.weight.value
        return self._ones.astype(self.bias.value.dtype, copy=False)

    def arguments(self) -> tuple[Array, Array, Array, Array, bool, float, float]:
        """Parameters, statistics, mode and constants, as the operations take them."""
        parameters = self.gamma, self.bias.value
        statistics = self.running_mean, self.running_var
        return *parameters, *statistics, self.training, self.momentum, self.eps

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.check_input(x)
        y, mean, inv_std = F.batch_norm(x, *self.arguments(), self.activation, out=out)
        self.save_for_backward(x, mean, inv_std, self.training)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        x, mean, inv_std, training = self.pop_saved()
        check_dy_shape(self, dy, x.shape)
        gamma, beta = self.gamma, self.bias.value
        dx, dgamma, dbeta = F.batch_norm_grad(
            dy, x, gamma, mean, inv_std, training, beta, self.activation
        )
        if self.weight is not None:
            self.weight.add_grad(dgamma, copy=False)
        self.bias.add_grad(dbeta, copy=False)
        return dx


class SampleNorm(Normalization):
    """A normalization by the statistics of one image or pixel: group and layer normalization.

    It is the same in training and in evaluation, for any batch size.
    """

    def __init__(self, channels: int, eps: float):
        self.channels = check_count(self, "channels", channels)
        self.eps = check_number(self, "eps", eps, 0)
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))

    def output_shape(self, shape: Shape) -> Shape:
        check_last_axis(self, shape, self.channels)
        return shape

    def normalize(self, x: Array, out: Array | None) -> tuple[Array, Array, Array]:
        """y, the means and the values 1 / sqrt(var + eps)."""
        raise TypeError(f"{type(self).__name__} does not define normalize")

    def gradients(self, dy: Array, *saved: Array) -> tuple[Array, Array, Array]:
        """dx, dgamma and dbeta from dy, x, gamma and what `normalize` returned with y."""
        raise TypeError(f"{type(self).__name__} does not define gradients")

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        y, mean, inv_std = self.normalize(x, out)
        self.save_for_backward(x, mean, inv_std)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        x, *statistics = self.pop_saved()
        check_dy_shape(self, dy, x.shape)
        dx, dgamma, dbeta = self.gradients(dy, x, self.weight.value, *statistics)
        self.weight.add_grad(dgamma, copy=False)
        self.bias.add_grad(dbeta, copy=False)
        return dx


class GroupNorm(SampleNorm):
    """Group normalization: each group of neighboring channels of each image (Wu & He 2018).

    `(N, ..., channels)` -> the same shape. Parameters: `weight` (gamma) and `bias` (beta),
    `(channels,)`. With groups=channels it is instance normalization. The formula is in
    `minicnn.kernels.reference.norm`.
    Raises ValueError if channels is not a multiple of groups.
    """

    def __init__(self, groups: int, channels: int, eps: float = 1e-5):
        self.groups = check_count(self, "groups", groups)
        super().__init__(channels, eps)
        if channels % groups:
            raise ValueError(
                f"GroupNorm: channels={channels}: expected a multiple of groups={groups}"
            )

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            raise ShapeError(f"{self!r}: the input has shape {shape}; expected (N, ..., C)")
        return super().output_shape(shape)

    def normalize(self, x: Array, out: Array | None) -> tuple[Array, Array, Array]:
        return F.group_norm(x, self.weight.value, self.bias.value, self.groups, self.eps, out)

    def gradients(self, dy: Array, *saved: Array) -> tuple[Array, Array, Array]:
        return F.group_norm_grad(dy, *saved)


class LayerNorm(SampleNorm):
    """Layer normalization: the channels of each pixel (Ba et al. 2016).

    `(..., channels)` -> the same shape. Parameters: `weight` (gamma) and `bias` (beta),
    `(channels,)`. The formula is in `minicnn.kernels.reference.norm`.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__(channels, eps)

    def normalize(self, x: Array, out: Array | None) -> tuple[Array, Array, Array]:
        return F.layer_norm(x, self.weight.value, self.bias.value, self.eps, out)

    def gradients(self, dy: Array, *saved: Array) -> tuple[Array, Array, Array]:
        return F.layer_norm_grad(dy, *saved)
