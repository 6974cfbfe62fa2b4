"""Fully connected layers."""

from typing import Any

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .activation import check_activation
from .checks import check_count, check_dtype, check_dy_shape, check_flag
from .init import Initializer, initial_weight
from .layer import Layer
from .matrix import matrix
from .parameter import Parameter, are_frozen, make_bias


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
        self.in_features = check_count(self, "in_features", in_features)
        self.out_features = check_count(self, "out_features", out_features)
        self.activation = check_activation(activation)
        weight = initial_weight(init, (in_features, out_features), in_features, out_features)
        self.weight = Parameter(weight, in_features, out_features)
        sizes = out_features, in_features, out_features
        self.bias = make_bias(*sizes, bias_init) if check_flag(self, "bias", bias) else None

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[1] != self.in_features or shape[0] == 0:
            hint = "; put a Flatten before it" if len(shape) == 4 else ""
            raise ShapeError(
                f"{self!r}: the input has shape {shape}; expected (N, {self.in_features}){hint}"
            )
        return shape[0], self.out_features

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        bias = self.bias.value if self.bias else None
        y = F.linear(x, self.weight.value, bias, activation=self.activation, out=out)
        self.save_for_backward(x, y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        x, y = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        dy = F.activation_grad(dy, y, self.activation)
        if not are_frozen(self.weight, self.bias):
            dw, db = F.linear_grad_weight(dy, x)
            self.weight.add_grad(dw, copy=False)
            if self.bias:
                self.bias.add_grad(db, copy=False)
        return F.linear_grad_input(dy, self.weight.value) if need_dx else None


class RBF(Layer):
    """Euclidean radial basis functions, `(N, in)` -> `(N, classes)`: squared distances to codes.

    `codes` `(classes, in)` are a buffer, not trained: LeNet-5's output layer (LeCun et al. 1998,
    equation 7). The smallest output is the predicted class. A shape in place of the codes stands
    for zeros, which a file replaces.
    """

    buffers = ("codes",)

    def __init__(self, codes: Any):
        found = matrix("RBF: codes", codes)
        if found is None:
            raise ValueError("RBF: codes=None: expected an array (classes, in_features)")
        self.codes = found

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[1] != self.codes.shape[1] or shape[0] == 0:
            raise ShapeError(
                f"{self!r}: the input has shape {shape}; expected (N, {self.codes.shape[1]})"
            )
        return shape[0], self.codes.shape[0]

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        self.save_for_backward(x)
        return F.rbf(x, self.codes, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (x,) = self.pop_saved()
        check_dy_shape(self, dy, (len(x), len(self.codes)))
        return F.rbf_grad(dy, x, self.codes)
