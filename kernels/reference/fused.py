"""Several operations in one. Here each is written as the composition that defines it.

The layers in `minicnn.layers.fused` call them; the fast backends compute each in one pass.
"""

from ..types import Array, IntOrPair, Padding
from .activation import activate, relu_grad
from .arrays import array_module, write_to
from .conv import conv2d, conv2d_grad_input
from .norm import batch_norm


def fold_batch_norm(
    b: Array | None, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
) -> tuple[Array, Array]:
    """Batch norm with fixed statistics after a convolution with bias b, as one affine map:

    gamma * (x conv w + b - mean) / sqrt(var + eps) + beta  =  scale * (x conv w) + shift
    """
    scale = gamma / array_module(var).sqrt(var + var.dtype.type(eps))
    return scale, beta + ((0 if b is None else b) - mean) * scale


def conv2d_affine(
    x: Array,
    w: Array,
    scale: Array,
    shift: Array,
    residual: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """`y = f(scale * (x conv w) + shift + residual)`."""
    y = conv2d(x, w, None, stride, padding, dilation, groups) * scale + shift
    return write_to(out, activate(y if residual is None else y + residual, activation))


def conv2d_grad_input_relu(
    dy: Array,
    w: Array,
    x: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """`conv2d_grad_input`, then the gradient of the ReLU whose output is x."""
    return relu_grad(conv2d_grad_input(dy, w, x.shape, stride, padding, dilation, groups), x)


def conv2d_grad_input_add(
    dy: Array,
    w: Array,
    other: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """`conv2d_grad_input(dy, w, other.shape) + other`: two paths that begin at the same x."""
    return conv2d_grad_input(dy, w, other.shape, stride, padding, dilation, groups) + other


def batch_norm_add(
    x: Array,
    other: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: str | None = None,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """`y = f(batch_norm(x) + other)`; returns y, and mean and inv_std of `batch_norm`.

    The gradient before f is that of `other`; `batch_norm_grad` computes that of x from it.
    """
    y, mean, inv_std = batch_norm(
        x, gamma, beta, running_mean, running_var, training, momentum, eps
    )
    return write_to(out, activate(y + other, activation)), mean, inv_std
