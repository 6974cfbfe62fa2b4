"""Fully connected layers."""

import numpy as np

from ..errors import ShapeError
from ..kernels import dispatch as K
from ..random import generator
from .activation import check_activation
from .base import Layer, Parameter, Shape, check_dtype, make_bias
from .init import Initializer, torch_default


class Linear(Layer):
    """`y = f(x w + b)`: `(N, in_features)` -> `(N, out_features)`.

    Parameters: `weight` `(in_features, out_features)`, `bias` `(out_features,)`.
    `activation`, `init` and `bias_init` are as in `Conv2d`. Raises ShapeError for any other input.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: str | None = None,
        init: Initializer | None = None,
        bias_init: float | None = None,
    ):
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"Linear: {name}={value!r}: expected an integer >= 1")
        self.in_features, self.out_features = in_features, out_features
        self.activation = check_activation(activation)
        weight = (init or torch_default())(
            (in_features, out_features), in_features, out_features, generator()
        )
        self.weight = Parameter(weight, in_features, out_features)
        self.bias = make_bias(out_features, in_features, out_features, bias_init) if bias else None

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[1] != self.in_features or shape[0] == 0:
            hint = "; put a Flatten before it" if len(shape) == 4 else ""
            raise ShapeError(
                f"{self!r}: the input has shape {shape}; expected (N, {self.in_features}){hint}"
            )
        return shape[0], self.out_features

    def forward(self, x, out=None):
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        bias = self.bias.value if self.bias else None
        y = K.linear(x, self.weight.value, bias, activation=self.activation, out=out)
        self.save_for_backward(x, y)
        return y

    def backward(self, dy, need_dx=True):
        x, y = self.saved()
        self.check_gradient(dy, y.shape)
        dy = K.activation_grad(dy, y, self.activation)
        dw, db = K.linear_grad_weight(dy, x)
        self.weight.add_grad(dw)
        if self.bias:
            self.bias.add_grad(db)
        return K.linear_grad_input(dy, self.weight.value) if need_dx else None

    def macs(self, output):
        return self.in_features * self.out_features

    def connections(self, output):
        return self.macs(output) + (self.out_features if self.bias else 0)

    def details(self):
        return {"activation": self.activation or ""}

    def describe(self):
        text = f"{self.in_features}, {self.out_features}" + ("" if self.bias else ", bias=False")
        return text + (f", activation={self.activation!r}" if self.activation else "")


class RBF(Layer):
    """Euclidean radial basis functions: `(N, in)` -> `(N, classes)`, the squared distances to fixed codes.

    `codes` `(classes, in)` are a buffer, not trained: LeNet-5's output layer (LeCun et al. 1998, equation 7).
    The smallest output is the predicted class.
    """

    buffers = ("codes",)

    def __init__(self, codes):
        self.codes = np.array(codes, np.float32)
        if self.codes.ndim != 2:
            raise ValueError(
                f"RBF: codes of shape {self.codes.shape}: expected (classes, in_features)"
            )

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[1] != self.codes.shape[1] or shape[0] == 0:
            raise ShapeError(
                f"{self!r}: the input has shape {shape}; expected (N, {self.codes.shape[1]})"
            )
        return shape[0], self.codes.shape[0]

    def forward(self, x, out=None):
        self.output_shape(x.shape)
        self.save_for_backward(x)
        return K.rbf(x, self.codes, out=out)

    def backward(self, dy, need_dx=True):
        (x,) = self.saved()
        self.check_gradient(dy, (len(x), len(self.codes)))
        return K.rbf_grad(dy, x, self.codes)

    def macs(self, output):
        return self.codes.size

    def connections(self, output):
        return self.codes.size

    def details(self):
        return {"note": f"{self.codes.size} fixed weights"}

    def describe(self):
        return f"{self.codes.shape[1]}, {self.codes.shape[0]}"
