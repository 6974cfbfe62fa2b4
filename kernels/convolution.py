"""The convolutions among the operations of `functional`, and their gradients."""

from . import reference
from .dispatch import select
from .types import Array, IntOrPair, Padding, Shape


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """A convolution (cross-correlation) with its bias and activation, `y = f(x conv w + b)`.

    Args:
        x: images `(N, H, W, C)`.
        w: weights `(kH, kW, C/groups, K)`.
        b: biases `(K,)`, or None.
        stride, dilation: an int or a pair, in pixels.
        padding: zeros around the images, in pixels.
        groups: filters of group g see input group g only (Krizhevsky et al. 2012, section 3.2).
        activation: None, "relu", "relu6", "sigmoid", "tanh" or "scaled_tanh".
        out: where to write y, or None.

    Returns y `(N, H_out, W_out, K)`, with H_out = floor((H + p - d (kH - 1) - 1) / s) + 1.
    Raises ValueError if the kernel does not fit the padded image.
    """
    return select(reference.conv2d, x)(x, w, b, stride, padding, dilation, groups, activation, out)


def conv2d_grad_input(
    dy: Array,
    w: Array,
    x_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """The gradient of `conv2d` with respect to its images.

    dy `(N, H_out, W_out, K)` is the gradient before the activation; x_shape is `(N, H, W, C)`.
    Returns dx `(N, H, W, C)`.
    """
    return select(reference.conv2d_grad_input, dy)(
        dy, w, x_shape, stride, padding, dilation, groups
    )


def conv2d_grad_weight(
    dy: Array,
    x: Array,
    w_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = True,
) -> tuple[Array, Array | None]:
    """The gradients of `conv2d` with respect to its weights and biases.

    dy `(N, H_out, W_out, K)` is the gradient before the activation; w_shape is that of w.
    Returns dw `(kH, kW, C/groups, K)` and db `(K,)`, or None instead of db without `bias`.
    """
    return select(reference.conv2d_grad_weight, dy)(
        dy, x, w_shape, stride, padding, dilation, groups, bias
    )


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
