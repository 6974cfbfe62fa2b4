"""Several operations in one pass over memory; `reference.fused` defines them."""

from ..geometry import window
from ..types import Array, IntOrPair, Padding
from .activation import add, relu_grad
from .conv import conv2d_grad_input, scaled_conv2d
from .norm import batch_norm_add

__all__ = ["batch_norm_add", "conv2d_affine", "conv2d_grad_input_add", "conv2d_grad_input_relu"]


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
    """See `functional.conv2d_affine`.

    Scale and shift are part of the convolution; adding the residual is a second pass over y.
    """
    geometry = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    if residual is None:
        return scaled_conv2d(x, w, scale, shift, geometry, groups, activation, out)
    y = scaled_conv2d(x, w, scale, shift, geometry, groups, None, None)
    return add(y, residual, activation, out=y if out is None else out)


def conv2d_grad_input_relu(
    dy: Array,
    w: Array,
    x: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """See `functional.conv2d_grad_input_relu`."""
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
    """See `functional.conv2d_grad_input_add`: a second pass over dx."""
    dx = conv2d_grad_input(dy, w, other.shape, stride, padding, dilation, groups)
    return add(dx, other, out=dx)
