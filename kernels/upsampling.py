"""The operations of `functional` that make larger maps: transposed convolution and upsampling."""

from . import reference
from .dispatch import select
from .types import Array, IntOrPair, Padding, Pair, Shape


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
    """A transposed convolution with its bias: the input gradient of a convolution, of which x is
    the dy (`reference.transposed` has the formula).

    Args:
        x: images `(N, H, W, C)`.
        w: weights `(kH, kW, K/groups, C)`: those of the convolution from y to x.
        b: biases `(K,)`, or None.
        stride, padding, dilation, groups: as in `conv2d`, from y to x: padding is cut off.
        output_padding: rows and columns of y behind the last window, fewer than the stride.
        out: where to write y, or None.

    Returns y `(N, H_out, W_out, K)`, H_out = (H - 1) s - p + d (kH - 1) + 1 + output_padding.
    Raises ValueError if no pixel is left, or for another output_padding.
    """
    return select(reference.conv_transpose2d, x)(
        x, w, b, stride, padding, output_padding, dilation, groups, out
    )


def conv_transpose2d_grad_input(
    dy: Array,
    w: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """The gradient of `conv_transpose2d` with respect to x, `(N, H, W, C)`: a convolution of dy."""
    return select(reference.conv_transpose2d_grad_input, dy)(
        dy, w, stride, padding, dilation, groups
    )


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
    """The gradients of `conv_transpose2d` with respect to its weights and biases.

    dy is `(N, H_out, W_out, K)`, w_shape that of w.
    Returns dw `(kH, kW, K/groups, C)` and db `(K,)`, or None instead of db without `bias`.
    """
    return select(reference.conv_transpose2d_grad_weight, dy)(
        dy, x, w_shape, stride, padding, dilation, groups, bias
    )


def upsample2d(
    x: Array,
    output_size: Pair,
    mode: str = "nearest",
    scale: tuple[float, float] | None = None,
    out: Array | None = None,
) -> Array:
    """Maps of `output_size` (H_out, W_out) from x `(N, H, W, C)`: torch's `align_corners=False`.

    mode: "nearest" or "bilinear". scale: the factors by which positions are divided, if they are
    not output / input, as with a fractional scale.
    Returns y `(N, H_out, W_out, C)`. Raises ValueError for an unknown mode.
    """
    return select(reference.upsample2d, x)(x, output_size, mode, scale, out)


def upsample2d_grad(
    dy: Array, x_shape: Shape, mode: str = "nearest", scale: tuple[float, float] | None = None
) -> Array:
    """The gradient of `upsample2d`, `(N, H, W, C)`."""
    return select(reference.upsample2d_grad, dy)(dy, x_shape, mode, scale)
