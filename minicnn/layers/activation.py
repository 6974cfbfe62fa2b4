"""Activations as layers. Convolutions, linear layers and batch norm also take one by name."""

from ..kernels import functional as F
from ..kernels.reference.activation import ACTIVATIONS, FROM_INPUT
from ..kernels.types import Array, Shape
from .checks import check_dy_shape
from .layer import Layer


def check_activation(activation: str | None, from_output: bool = True) -> str | None:
    """The name itself. Raises ValueError unless it is None or a known activation.

    from_output: True for a layer that keeps the output of the activation, not its input.
    """
    known = [name for name in ACTIVATIONS if not (from_output and name in FROM_INPUT)]
    if activation is None or activation in known:
        return activation
    hint = "; put a layer Activation(...) behind this one" if activation in FROM_INPUT else ""
    raise ValueError(f"activation={activation!r}: expected None or one of {', '.join(known)}{hint}")


class Activation(Layer):
    """`y = f(x)` for any shape; f is one of relu, sigmoid, tanh, scaled_tanh, gelu.

    The formulas are in `minicnn.kernels.reference.activation`.
    """

    def __init__(self, activation: str):
        self.activation = check_activation(activation, from_output=False)

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        y = F.activate(x, self.activation, out=out)
        self.save_for_backward(x if self.activation in FROM_INPUT else y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (saved,) = self.pop_saved()
        check_dy_shape(self, dy, saved.shape)
        return F.activation_grad(dy, saved, self.activation) if need_dx else None


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


class GELU(Activation):
    """x P(x), P being the normal distribution function (Hendrycks & Gimpel 2016)."""

    def __init__(self) -> None:
        super().__init__("gelu")


class ScaledTanh(Activation):
    """1.7159 tanh(2x / 3) (LeCun et al. 1998, appendix A)."""

    def __init__(self) -> None:
        super().__init__("scaled_tanh")
