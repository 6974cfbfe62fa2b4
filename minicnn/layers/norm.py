"""Normalization layers; the formulas are in `kernels/reference/norm.py`."""

import numpy as np

from ..errors import ShapeError
from ..kernels import dispatch as K
from .activation import check_activation
from .base import Layer, Parameter, Shape, check_images


class LocalResponseNorm(Layer):
    """Local response normalization across `size` neighboring channels (Krizhevsky et al. 2012, section 3.3).

    The defaults are the paper's. Caffe, cuDNN and torch divide alpha by the size: `alpha_div_n=True`, and then the paper's formula is
    alpha=5e-4. `(N, H, W, C)` -> the same shape.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        alpha_div_n: bool = False,
    ):
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(
                f"LocalResponseNorm: size={size!r}: expected a number of channels >= 1"
            )
        self.size, self.alpha, self.beta, self.k, self.alpha_div_n = (
            size,
            alpha,
            beta,
            k,
            bool(alpha_div_n),
        )

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        return shape

    def forward(self, x, out=None):
        self.output_shape(x.shape)
        y, scale = K.local_response_norm(
            x, self.size, self.alpha, self.beta, self.k, self.alpha_div_n, out=out
        )
        self.save_for_backward(x, y, scale)
        return y

    def backward(self, dy, need_dx=True):
        x, y, scale = self.saved()
        self.check_gradient(dy, y.shape)
        return K.local_response_norm_grad(
            dy, x, y, scale, self.size, self.alpha, self.beta, self.alpha_div_n
        )

    def details(self):
        return {
            "note": f"n={self.size} alpha={self.alpha:g}{'/n' * self.alpha_div_n} beta={self.beta:g} k={self.k:g}"
        }

    def describe(self):
        text = f"{self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"
        return text + (", alpha_div_n=True" if self.alpha_div_n else "")


class BatchNorm2d(Layer):
    """Batch normalization per channel, with its activation: `(N, H, W, C)` -> the same shape (Ioffe & Szegedy 2015).

    Parameters: `weight` (gamma) and `bias` (beta), `(channels,)`. Buffers: `running_mean`, `running_var`, updated in training with
    torch's `momentum`: the share of the new batch (0.1 here is a decay of 0.9 in Caffe and TensorFlow).
    Raises ShapeError in training for a single value per channel.
    """

    buffers = ("running_mean", "running_var")

    def __init__(
        self, channels: int, eps: float = 1e-5, momentum: float = 0.1, activation: str | None = None
    ):
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.activation = check_activation(activation)
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.channels)
        return shape

    def forward(self, x, out=None):
        return self.normalize(x, out=out)

    def forward_added(self, x, other, activation=None, out=None):
        return self.normalize(x, other, activation, out)

    def normalize(self, x, other=None, activation=None, out=None, moments=None):
        """`forward`, or with `other` `forward_added`, of an x whose convolution left what it knows of mean and variance in `moments`."""
        if other is not None and self.activation is not None:  # which comes before the addition
            return K.add(self.normalize(x, moments=moments), other, activation, out=out)
        self.output_shape(x.shape)
        if self.training and x.size == self.channels:
            raise ShapeError(
                f"{self!r}: in training {x.shape} gives one value per channel, which has no variance"
            )
        y, mean, inv_std = K.batch_norm(
            x,
            self.weight.value,
            self.bias.value,
            self.running_mean,
            self.running_var,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
            activation=self.activation or activation,
            residual=other,
            out=out,
            moments=moments,
        )
        self.save_for_backward(x, mean, inv_std, self.training)
        return y

    def backward(self, dy, need_dx=True):
        x, mean, inv_std, training = self.saved()
        self.check_gradient(dy, x.shape)
        dx, dgamma, dbeta = K.batch_norm_grad(
            dy,
            x,
            self.weight.value,
            mean,
            inv_std,
            training=training,
            beta=self.bias.value,
            activation=self.activation,
        )
        self.weight.add_grad(dgamma)
        self.bias.add_grad(dbeta)
        return dx

    def initialize(self, weight=None, bias=None):
        """gamma stays 1 and beta 0: weight initializers are for convolutions and linear layers."""
        return self

    def details(self):
        return {"activation": self.activation or "", "note": f"eps={self.eps:g}"}

    def describe(self):
        text = f"{self.channels}, eps={self.eps:g}, momentum={self.momentum:g}"
        return text + (f", activation={self.activation!r}" if self.activation else "")
