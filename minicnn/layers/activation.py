"""Activations as layers. Convolutions, linear layers and batch norm also take one by name."""

from ..kernels import functional as F
from ..kernels.reference.activation import ACTIVATIONS
from ..kernels.types import Array, Shape
from .checks import check_dy_shape
from .layer import Layer


def check_activation(activation: str | None) -> str | None:
    """The name itself. Raises ValueError unless it is None or a known activation."""
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(
            f"activation={activation!r}: expected None or one of {', '.join(ACTIVATIONS)}"
        )
    return activation


class Activation(Layer):
    """`y = f(x)` for any shape; f is one of relu, sigmoid, tanh, scaled_tanh.

    The formulas are in `minicnn.kernels.reference.activation`.
    """

    def __init__(self, activation: str):
        self.activation = check_activation(activation)

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        y = F.activate(x, self.activation, out=out)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (y,) = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        return F.activation_grad(dy, y, self.activation)


class ReLU(Activation):
    """max(x, 0)."""

    def __init__(self) -> None:
        super().__init__("relu")


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    def __init__(self) -> None:
        super().__init__("sigmoid")


class Tanh(Activation):
    """tanh(x)."""

    def __init__(self) -> None:
        super().__init__("tanh")


class ScaledTanh(Activation):
    """1.7159 tanh(2x / 3) (LeCun et al. 1998, appendix A)."""

    def __init__(self) -> None:
        super().__init__("scaled_tanh")
