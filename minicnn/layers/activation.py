"""Activations as layers. Convolutions, linear layers and batch norm also take one by name."""

import math

import numpy as np

from ..checks import is_one_of
from ..errors import ShapeError, brief
from ..kernels import functional as F
from ..kernels.reference.activation import ACTIVATIONS, CONSTANTS, FROM_INPUT
from ..kernels.types import Array, Shape
from .checks import check_count, check_dtype, check_dy_shape, check_last_axis, check_number
from .init import Initializer
from .layer import Layer
from .parameter import Parameter


def check_activation(activation: str | None, from_output: bool = True) -> str | None:
    """The name itself. Raises ValueError unless a layer with other arithmetic can apply it.

    from_output: True for a layer that keeps the output of the activation, not its input.
    """
    alone = CONSTANTS.keys() | (FROM_INPUT if from_output else set())
    known = [name for name in ACTIVATIONS if name not in alone]
    is_name = isinstance(activation, str)
    if activation is None or (is_name and activation in known):
        return activation
    is_other = is_name and activation in alone
    hint = "; put a layer Activation(...) behind this one" if is_other else ""
    raise ValueError(
        f"activation={brief(activation)}: expected None or one of {', '.join(known)}{hint}"
    )


class Activation(Layer):
    """`y = f(x)` for any shape.

    activation: relu, relu6, sigmoid, tanh, scaled_tanh, leaky_relu, elu, clip, hard_sigmoid,
        hard_swish, silu, gelu or gelu_tanh; None for the identity.
    constants: the slope of leaky_relu, the alpha of elu, or low and high of clip; () for the
        defaults.
    The formulas are in `minicnn.kernels.reference.activation`.
    """

    def __init__(self, activation: str | None, constants: tuple[float, ...] = ()):
        if activation is not None and activation not in list(ACTIVATIONS):
            raise ValueError(
                f"activation={brief(activation)}: expected one of {', '.join(ACTIVATIONS)}"
            )
        self.activation, defaults = activation, CONSTANTS.get(activation or "", ())
        given = constants if isinstance(constants, (tuple, list)) else (constants,)
        if len(given) not in {0, len(defaults)}:
            raise ValueError(
                f"{activation}: constants={brief(constants)}: expected {len(defaults)} numbers"
            )
        self.constants = tuple(check_number(self, "constants", c) for c in given) or defaults

    @property
    def text(self) -> str:
        """The name, with the constants if there are some, such as "clip(0, 6)"."""
        constants = ", ".join(f"{constant:g}" for constant in self.constants)
        return f"{self.activation}({constants})" if constants else self.activation or ""

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        y = F.activate(x, self.activation, out, self.constants)
        self.save_for_backward(x if self.activation in FROM_INPUT else y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (saved,) = self.pop_saved()
        check_dy_shape(self, dy, saved.shape)
        return F.activation_grad(dy, saved, self.activation, self.constants) if need_dx else None


class ReLU(Activation):
    """max(x, 0)."""

    def __init__(self) -> None:
        super().__init__("relu")


class ReLU6(Activation):
    """min(max(x, 0), 6) (Sandler et al. 2018, section 4). The gradient at 0 and at 6 is 0."""

    def __init__(self) -> None:
        super().__init__("relu6")


class LeakyReLU(Activation):
    """x where x > 0, else slope * x (Maas et al. 2013). The gradient at 0 is slope * dy."""

    def __init__(self, slope: float = 0.01):
        super().__init__("leaky_relu", (check_number(self, "slope", slope),))

    @property
    def slope(self) -> float:
        """The factor of negative numbers."""
        return self.constants[0]


class ELU(Activation):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2015).

    The gradient at 0 is alpha * dy.
    """

    def __init__(self, alpha: float = 1.0):
        super().__init__("elu", (check_number(self, "alpha", alpha),))

    @property
    def alpha(self) -> float:
        """-alpha is the limit for x -> -inf."""
        return self.constants[0]


class Clip(Activation):
    """min(max(x, low), high). The gradient passes where low <= x <= high, as that of torch.clamp.

    Raises ValueError if low > high.
    """

    def __init__(self, low: float = -math.inf, high: float = math.inf):
        super().__init__("clip", (check_number(self, "low", low), check_number(self, "high", high)))
        if low > high:
            raise ValueError(f"Clip: low={low:g} is above high={high:g}")

    @property
    def low(self) -> float:
        """The smallest result."""
        return self.constants[0]

    @property
    def high(self) -> float:
        """The largest result."""
        return self.constants[1]


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    def __init__(self) -> None:
        super().__init__("sigmoid")


class Tanh(Activation):
    """tanh(x)."""

    def __init__(self) -> None:
        super().__init__("tanh")


class HardSigmoid(Activation):
    """relu6(x + 3) / 6 (Howard et al. 2019, section 5.2). The gradient at -3 and at 3 is 0."""

    def __init__(self) -> None:
        super().__init__("hard_sigmoid")


class HardSwish(Activation):
    """x relu6(x + 3) / 6 (Howard et al. 2019, section 5.2).

    The gradient at -3 is 0, and that at 3 is dy.
    """

    def __init__(self) -> None:
        super().__init__("hard_swish")


class SiLU(Activation):
    """x sigmoid(x), also called swish (Elfwing et al. 2018)."""

    def __init__(self) -> None:
        super().__init__("silu")


class GELU(Activation):
    """x P(x), P being the normal distribution function (Hendrycks & Gimpel 2016).

    approximate: "none", or "tanh" for `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    """

    def __init__(self, approximate: str = "none"):
        if not is_one_of(approximate, ("none", "tanh")):
            raise ValueError(f"GELU: approximate={brief(approximate)}: expected 'none' or 'tanh'")
        super().__init__("gelu_tanh" if approximate == "tanh" else "gelu")

    @property
    def approximate(self) -> str:
        """ "none" or "tanh"."""
        return "tanh" if self.activation == "gelu_tanh" else "none"


class ScaledTanh(Activation):
    """1.7159 tanh(2x / 3) (LeCun et al. 1998, appendix A)."""

    def __init__(self) -> None:
        super().__init__("scaled_tanh")


class PReLU(Layer):
    """x where x > 0, else weight[c] * x: a leaky ReLU with trained slopes (He et al. 2015a).

    `(..., channels)` -> the same shape. Parameter: `weight`, `(channels,)`, one slope per channel.
    channels: 1 for one slope for an input of any shape.
    initial: the slopes at first. The paper trains them without weight decay:
        `layer.weight.weight_decay_multiplier = 0`.
    The gradient at 0 is weight[c] * dy.
    """

    def __init__(self, channels: int = 1, initial: float = 0.25):
        self.channels, self.initial = check_count(self, "channels", channels), initial
        self.weight = Parameter(
            np.full(channels, check_number(self, "initial", initial), np.float32)
        )

    def output_shape(self, shape: Shape) -> Shape:
        if self.channels > 1:
            check_last_axis(self, shape, self.channels)
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        self.save_for_backward(x)
        return F.prelu(x, self.weight.value, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (x,) = self.pop_saved()
        check_dy_shape(self, dy, x.shape)
        dx, dw = F.prelu_grad(dy, x, self.weight.value)
        self.weight.add_grad(dw, copy=False)
        return dx

    def initialize(self, weight: Initializer | None = None, bias: float | None = None) -> "PReLU":
        """The slopes stay: initializers are for convolutions and linear layers."""
        return self


class Softmax(Layer):
    """`exp(x_i) / sum_j exp(x_j)` over the last axis, for any shape.

    The losses of `minicnn.training` take logits: a network that is trained with one of them ends
    without this layer. `minicnn.training.SoftmaxCrossEntropy` contains it.
    """

    def output_shape(self, shape: Shape) -> Shape:
        if not shape or shape[-1] == 0:
            raise ShapeError(f"{self!r}: the input has shape {shape}; expected (..., classes)")
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        y = F.softmax(x)
        self.save_for_backward(y)
        return F.activate(y, None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        (y,) = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        return F.softmax_grad(dy, y)
