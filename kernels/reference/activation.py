"""Activations, and their gradients written in terms of the output y, so that the input need not be kept.

| name        | y = f(x)              | f'(x) from y                 | source                                  |
|-------------|-----------------------|------------------------------|-----------------------------------------|
| relu        | max(x, 0)             | 1 where y > 0                | Krizhevsky et al. 2012, section 3.1     |
| sigmoid     | 1 / (1 + exp(-x))     | y (1 - y)                    |                                         |
| tanh        | tanh(x)               | 1 - y^2                      |                                         |
| scaled_tanh | 1.7159 tanh(2x / 3)   | 2/3 (1.7159 - y^2 / 1.7159)  | LeCun et al. 1998, appendix A           |

x and y have any shape.
"""

from .arrays import array_module, deliver

AMPLITUDE, SLOPE = 1.7159, 2 / 3  # so that f(1) = 1 and f(-1) = -1


def relu(x, out=None):
    """`max(x, 0)`; the gradient at 0 is 0."""
    return deliver(array_module(x).maximum(x, 0), out)


def relu_grad(dy, y):
    """`dy` where the unit fired."""
    return dy * (y > 0)


def sigmoid(x, out=None):
    """`1 / (1 + exp(-x))`, written with exp(-|x|), which cannot overflow."""
    xp = array_module(x)
    decay = xp.exp(-abs(x))
    return deliver(xp.where(x >= 0, 1, decay) / (1 + decay), out)


def sigmoid_grad(dy, y):
    """`dy * y * (1 - y)`."""
    return dy * y * (1 - y)


def tanh(x, out=None):
    """The hyperbolic tangent."""
    return deliver(array_module(x).tanh(x), out)


def tanh_grad(dy, y):
    """`dy * (1 - y^2)`."""
    return dy * (1 - y * y)


def scaled_tanh(x, out=None):
    """LeCun's `1.7159 tanh(2x / 3)`: maps +-1 to +-1, where its curvature is greatest."""
    return deliver(AMPLITUDE * array_module(x).tanh(SLOPE * x), out)


def scaled_tanh_grad(dy, y):
    """`dy * 2/3 / 1.7159 * (1.7159 - y) (1.7159 + y)`.

    The difference is exact where y is near 1.7159; `1.7159^2 - y^2` would lose its digits.
    """
    return dy * (SLOPE / AMPLITUDE * (AMPLITUDE - y) * (AMPLITUDE + y))


ACTIVATIONS = {
    "relu": (relu, relu_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
    "scaled_tanh": (scaled_tanh, scaled_tanh_grad),
}


def activate(x, activation=None, out=None):
    """Apply the activation of that name; None is the identity."""
    return deliver(x, out) if activation is None else ACTIVATIONS[activation][0](x, out)


def add(a, b, activation=None, out=None):
    """`f(a + b)`: where two ways meet, a residual block's or a gradient's."""
    return activate(a + b, activation, out)


def activation_grad(dy, y, activation=None):
    """The gradient before the activation, from the gradient after it and the output y."""
    return dy if activation is None else ACTIVATIONS[activation][1](dy, y)
