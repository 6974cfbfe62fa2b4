"""Pooling layers: `(N, H, W, C)` -> `(N, H_out, W_out, C)`."""

import numpy as np

from ..errors import ShapeError
from ..kernels import dispatch as K
from ..kernels.geometry import padding_pairs, pair, pool_window
from ..random import generator
from .activation import check_activation
from .base import Layer, Parameter, Shape, check_images
from .conv import short
from .init import torch_default


class _Pool2d(Layer):
    """What max and average pooling share: their window.

    kernel_size, stride: an int or a pair, in pixels; stride defaults to kernel_size.
    padding: an int, a pair, or `((top, bottom), (left, right))`; each side smaller than the kernel.
    ceil_mode: let the last windows hang over the edge (Caffe's rule) instead of dropping the rest.
    """

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode: bool = False):
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(kernel_size if stride is None else stride, "stride")
        self.padding = padding_pairs(padding)
        self.ceil_mode = bool(ceil_mode)

    def _geometry(self):
        return {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
        }

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        try:
            size = pool_window(shape[1:3], **self._geometry()).output
        except ValueError as error:
            raise ShapeError(f"{self!r}: input {shape}: {error}") from None
        return (shape[0], *size, shape[3])

    def details(self):
        return {
            "kernel": "x".join(map(str, self.kernel_size)),
            "stride": short(self.stride),
            "padding": short(self.padding),
            "note": "ceil" if self.ceil_mode else "",
        }

    def describe(self):
        text = short(self.kernel_size)
        text += f", stride={short(self.stride)}" if self.stride != self.kernel_size else ""
        text += f", padding={short(self.padding)}" if self.padding != ((0, 0), (0, 0)) else ""
        return text + (", ceil_mode=True" if self.ceil_mode else "")


class MaxPool2d(_Pool2d):
    """The largest value of every window; the border counts as -inf, and of equal values the first in row-major order wins.

    The arguments are those of every pooling layer: `MaxPool2d(3, stride=2)` is AlexNet's overlapping pooling.
    After a forward, `argmax` `(N, H_out, W_out, C)` tells which cell of its window won.
    """

    argmax: np.ndarray | None = None

    def forward(self, x, out=None):
        shape = self.output_shape(x.shape)
        y, self.argmax = K.max_pool2d(x, out=out, **self._geometry())
        self.save_for_backward(x.shape, shape)
        return y

    def backward(self, dy, need_dx=True):
        x_shape, y_shape = self.saved()
        self.check_gradient(dy, y_shape)
        return K.max_pool2d_grad(dy, self.argmax, x_shape, **self._geometry())


class AvgPool2d(_Pool2d):
    """The mean of every window. With `count_include_pad` (torch's and Caffe's default) zeros of the padding count."""

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, x, out=None):
        shape = self.output_shape(x.shape)
        self.save_for_backward(x.shape, shape)
        return K.avg_pool2d(
            x, count_include_pad=self.count_include_pad, out=out, **self._geometry()
        )

    def backward(self, dy, need_dx=True):
        x_shape, y_shape = self.saved()
        self.check_gradient(dy, y_shape)
        return K.avg_pool2d_grad(
            dy, x_shape, count_include_pad=self.count_include_pad, **self._geometry()
        )

    def describe(self):
        return super().describe() + ("" if self.count_include_pad else ", count_include_pad=False")


class AdaptiveAvgPool2d(Layer):
    """Means over `output_size` x `output_size` windows that divide an image of any size as evenly as they can (torch's rule).

    torchvision's AlexNet and VGG have it before their classifier, where it is the identity at their own input size.
    """

    def __init__(self, output_size):
        self.output_size = pair(output_size, "output_size")

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        return (shape[0], *self.output_size, shape[3])

    def forward(self, x, out=None):
        shape = self.output_shape(x.shape)
        self.save_for_backward(x.shape, shape)
        return K.adaptive_avg_pool2d(x, self.output_size, out=out)

    def backward(self, dy, need_dx=True):
        x_shape, y_shape = self.saved()
        self.check_gradient(dy, y_shape)
        return K.adaptive_avg_pool2d_grad(dy, x_shape)

    def describe(self):
        return short(self.output_size)


class GlobalAvgPool2d(Layer):
    """The mean of every map: `(N, H, W, C)` -> `(N, C)` (Lin et al. 2013, section 3.2)."""

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        return shape[0], shape[3]

    def forward(self, x, out=None):
        self.output_shape(x.shape)
        self.save_for_backward(x.shape)
        return K.global_avg_pool2d(x, out=out)

    def backward(self, dy, need_dx=True):
        (x_shape,) = self.saved()
        self.check_gradient(dy, (x_shape[0], x_shape[3]))
        return K.global_avg_pool2d_grad(dy, x_shape)


class Subsample2d(Layer):
    """LeNet-5's trainable pooling: `y = f(w[c] * (sum of the window) + b[c])` (LeCun et al. 1998, section II.B).

    Parameters: `weight` and `bias`, `(channels,)` each. Windows of `size` x `size` pixels lie side by side; what is left over at the
    bottom and right is dropped.
    """

    def __init__(self, channels: int, size: int = 2, activation: str | None = None):
        self.channels, self.size = channels, size
        self.activation = check_activation(activation)
        fan_in = size * size
        self.weight = Parameter(torch_default()((channels,), fan_in, 1, generator()), fan_in)
        self.bias = Parameter(torch_default()((channels,), fan_in, 1, generator()), fan_in)

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.channels)
        if min(shape[1:3]) < self.size:
            raise ShapeError(f"{self!r}: input {shape} is smaller than one window")
        return shape[0], shape[1] // self.size, shape[2] // self.size, shape[3]

    def forward(self, x, out=None):
        self.output_shape(x.shape)
        y = K.subsample2d(
            x, self.weight.value, self.bias.value, self.size, activation=self.activation, out=out
        )
        self.save_for_backward(x, y)
        return y

    def backward(self, dy, need_dx=True):
        x, y = self.saved()
        self.check_gradient(dy, y.shape)
        dy = K.activation_grad(dy, y, self.activation)
        dx, dw, db = K.subsample2d_grad(dy, x, self.weight.value, self.size)
        self.weight.add_grad(dw)
        self.bias.add_grad(db)
        return dx

    def connections(self, output):
        return output[1] * output[2] * output[3] * (self.size * self.size + 1)

    def details(self):
        return {"kernel": f"{self.size}x{self.size}", "stride": str(self.size), "padding": "0"} | {
            "activation": self.activation or "",
            "note": "trainable",
        }

    def describe(self):
        return f"{self.channels}, {self.size}" + (
            f", activation={self.activation!r}" if self.activation else ""
        )
