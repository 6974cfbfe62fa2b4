"""Pooling layers: `(N, H, W, C)` -> `(N, H_out, W_out, C)`."""

from typing import Any

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.geometry import padding_pairs, pair, pool_window
from ..kernels.resampling import means
from ..kernels.types import Array, IntOrPair, Padding, Shape
from ..rng import generator
from .activation import check_activation
from .checks import check_count, check_dy_shape, check_flag, check_images
from .init import torch_default
from .layer import Layer
from .parameter import Parameter
from .resample import Matrices, Resampling


class Pool2d(Layer):
    """The window of max and average pooling.

    kernel_size, stride: an int or a pair, in pixels; stride defaults to kernel_size.
    padding: an int, a pair, or `((top, bottom), (left, right))`; each side smaller than the kernel.
    ceil_mode: the last windows may reach beyond the edge (Caffe's rule); otherwise the pixels that
        do not fill a window are ignored.
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
    ):
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(kernel_size if stride is None else stride, "stride")
        self.padding = padding_pairs(padding)
        self.ceil_mode = check_flag(self, "ceil_mode", ceil_mode)

    @property
    def geometry(self) -> dict[str, Any]:
        """The window, as the operations take it."""
        return {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
        }

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        try:
            size = pool_window(shape[1:3], **self.geometry).output
        except ValueError as error:
            raise ShapeError(f"{self!r}: input {shape}: {error}") from None
        return (shape[0], *size, shape[3])


class MaxPool2d(Pool2d):
    """The largest value of every window.

    The padding is -inf. Of equal values the first in row-major order is the maximum.
    `MaxPool2d(3, stride=2)` is AlexNet's overlapping pooling.
    """

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        y, argmax = F.max_pool2d(x, out=out, **self.geometry)
        self.save_for_backward(x.shape, shape, argmax)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        x_shape, y_shape, argmax = self.pop_saved()
        check_dy_shape(self, dy, y_shape)
        return F.max_pool2d_grad(dy, argmax, x_shape, **self.geometry)


class AvgPool2d(Pool2d):
    """The mean of every window.

    With `count_include_pad` (torch's and Caffe's default) zeros of the padding count.
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = check_flag(self, "count_include_pad", count_include_pad)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        self.save_for_backward(x.shape, shape)
        return F.avg_pool2d(x, count_include_pad=self.count_include_pad, out=out, **self.geometry)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        x_shape, y_shape = self.pop_saved()
        check_dy_shape(self, dy, y_shape)
        return F.avg_pool2d_grad(
            dy, x_shape, count_include_pad=self.count_include_pad, **self.geometry
        )


class AdaptivePool2d(Layer):
    """`output_size` windows of nearly equal size (torch's rule), whatever the size of the map.

    Window i of P covers the rows floor(i H / P) to ceil((i + 1) H / P) - 1; columns likewise.
    """

    def __init__(self, output_size: IntOrPair):
        self.output_size = pair(output_size, "output_size")

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        return (shape[0], *self.output_size, shape[3])


class AdaptiveAvgPool2d(AdaptivePool2d, Resampling):
    """Means over `output_size` windows of nearly equal size.

    torchvision's AlexNet and VGG have it before their classifier, where it is the identity at
    their own input size.
    """

    def matrices(self, shape: Shape) -> Matrices:
        height, width = self.output_size
        return means(shape[1], height), means(shape[2], width)


class AdaptiveMaxPool2d(AdaptivePool2d):
    """The largest values of `output_size` windows of nearly equal size.

    Of equal values the first in row-major order is the maximum.
    """

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        y, argmax = F.adaptive_max_pool2d(x, self.output_size, out=out)
        self.save_for_backward(x.shape, shape, argmax)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        x_shape, y_shape, argmax = self.pop_saved()
        check_dy_shape(self, dy, y_shape)
        return F.adaptive_max_pool2d_grad(dy, argmax, x_shape)


class GlobalAvgPool2d(Layer):
    """The mean of every map: `(N, H, W, C)` -> `(N, C)` (Lin et al. 2013, section 3.2)."""

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        return shape[0], shape[3]

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        self.save_for_backward(x.shape)
        return F.global_avg_pool2d(x, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (x_shape,) = self.pop_saved()
        check_dy_shape(self, dy, (x_shape[0], x_shape[3]))
        return F.global_avg_pool2d_grad(dy, x_shape)


class GlobalMaxPool2d(Layer):
    """The largest value of every map, `(N, H, W, C)` -> `(N, C)`: one window of the map's size."""

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        return shape[0], shape[3]

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        place = None if out is None else out[:, None, None]
        y, argmax = F.max_pool2d(x, x.shape[1:3], out=place)
        self.save_for_backward(x.shape, argmax)
        return y.reshape(shape) if out is None else out

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        x_shape, argmax = self.pop_saved()
        check_dy_shape(self, dy, (x_shape[0], x_shape[3]))
        return F.max_pool2d_grad(dy[:, None, None], argmax, x_shape, x_shape[1:3])


class Subsample2d(Layer):
    """LeNet-5's trainable pooling: `y = f(w[c] * (sum of the window) + b[c])`.

    Source: LeCun et al. 1998, section II.B.

    Parameters: `weight` and `bias`, `(channels,)` each. Windows of `size` x `size` pixels do
    not overlap; pixels at the bottom and right that do not fill a window are ignored.
    """

    def __init__(self, channels: int, size: int = 2, activation: str | None = None):
        self.channels = check_count(self, "channels", channels)
        self.size = check_count(self, "size", size)
        self.activation = check_activation(activation)
        fan_in = self.size * self.size
        self.weight = Parameter(torch_default()((channels,), fan_in, 1, generator()), fan_in)
        self.bias = Parameter(torch_default()((channels,), fan_in, 1, generator()), fan_in)

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.channels)
        if min(shape[1:3]) < self.size:
            raise ShapeError(f"{self!r}: input {shape} is smaller than one window")
        return shape[0], shape[1] // self.size, shape[2] // self.size, shape[3]

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        y = F.subsample2d(
            x, self.weight.value, self.bias.value, self.size, activation=self.activation, out=out
        )
        self.save_for_backward(x, y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        x, y = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        dy = F.activation_grad(dy, y, self.activation)
        dx, dw, db = F.subsample2d_grad(dy, x, self.weight.value, self.size)
        self.weight.add_grad(dw, copy=False)
        self.bias.add_grad(db, copy=False)
        return dx
