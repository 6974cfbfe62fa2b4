"""all cores: every core computes its own pixels, and none waits for another.

Forward and input gradient share out the pixels. The weight gradient sums over them: each core adds up its own share, and the parts are
added in a fixed order, so that the result is the same every time.
"""

from .finish import bias_and_relu, bias_gradient
from .rung05_tile import convolve, input_gradient, weight_gradient


def forward(x, w, b, pad):
    """See `ladder`."""
    return bias_and_relu(convolve(x, w, pad), b)


def grad_input(dy, w, pad):
    """See `ladder`."""
    return input_gradient(dy, w, pad)


def grad_weight(dy, x, size, pad):
    """See `ladder`."""
    return weight_gradient(dy, x, size, pad)[0], bias_gradient(dy)
