"""Transposed convolution on the GPU: a convolution's gradients with their roles exchanged."""

from ..geometry import transposed_size
from ..reference.arrays import write_to
from ..types import Array, IntOrPair, Padding, Shape
from .conv import conv2d, conv2d_grad_input, conv2d_grad_weight


def conv_transpose2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    out: Array | None = None,
) -> Array:
    """See `functional.conv_transpose2d`."""
    size = transposed_size(x.shape[1:3], w.shape[:2], stride, padding, output_padding, dilation)
    shape = (len(x), *size, w.shape[2] * groups)
    y = conv2d_grad_input(x, w, shape, stride, padding, dilation, groups)
    if b is not None:
        y += b
    return write_to(out, y)


def conv_transpose2d_grad_input(
    dy: Array,
    w: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """See `functional.conv_transpose2d_grad_input`."""
    return conv2d(dy, w, None, stride, padding, dilation, groups)


def conv_transpose2d_grad_weight(
    dy: Array,
    x: Array,
    w_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = True,
) -> tuple[Array, Array | None]:
    """See `functional.conv_transpose2d_grad_weight`."""
    dw, _ = conv2d_grad_weight(x, dy, w_shape, stride, padding, dilation, groups, bias=False)
    return dw, dy.sum(axis=(0, 1, 2)) if bias else None
