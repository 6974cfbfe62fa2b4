"""The pooling operations of `functional`, `(N, H, W, C)` -> `(N, H_out, W_out, C)`."""

from . import reference
from .dispatch import select
from .types import Array, IntOrPair, Padding, Pair, Shape


def max_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """The largest value of every window; the padding counts as -inf.

    Args:
        x: images `(N, H, W, C)`.
        kernel_size, stride: an int or a pair, in pixels; the stride defaults to the kernel.
        padding: less than the kernel on each side.
        ceil_mode: True if the last windows may reach beyond the edge, as in Caffe.
        out: where to write y, or None.

    Returns y `(N, H_out, W_out, C)`, and argmax of the same shape: the row-major position of the
    maximum in its window, of the first one if several are equal.
    Raises ValueError if no window fits, or if a window could consist of padding only.
    """
    return select(reference.max_pool2d, x)(x, kernel_size, stride, padding, ceil_mode, out)


def max_pool2d_grad(
    dy: Array,
    argmax: Array,
    x_shape: Shape,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Array:
    """The gradient of `max_pool2d`, `(N, H, W, C)`: each dy goes to the maximum."""
    return select(reference.max_pool2d_grad, dy)(
        dy, argmax, x_shape, kernel_size, stride, padding, ceil_mode
    )


def avg_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    out: Array | None = None,
) -> Array:
    """The mean of every window; the arguments are those of `max_pool2d`.

    With `count_include_pad` (torch, Caffe) the divisor counts the zeros of the padding, without it
    only real pixels. Cells that ceil mode adds beyond the padding never count.
    """
    return select(reference.avg_pool2d, x)(
        x, kernel_size, stride, padding, ceil_mode, count_include_pad, out
    )


def avg_pool2d_grad(
    dy: Array,
    x_shape: Shape,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The gradient of `avg_pool2d`, `(N, H, W, C)`."""
    return select(reference.avg_pool2d_grad, dy)(
        dy, x_shape, kernel_size, stride, padding, ceil_mode, count_include_pad
    )


def adaptive_max_pool2d(
    x: Array, output_size: Pair, out: Array | None = None
) -> tuple[Array, Array]:
    """The largest values of `output_size` (H_out, W_out) windows of nearly equal size.

    Returns y `(N, H_out, W_out, C)`, and argmax of the same shape: the row-major position of the
    maximum in its window, whose width differs from window to window.
    """
    return select(reference.adaptive_max_pool2d, x)(x, output_size, out)


def adaptive_max_pool2d_grad(dy: Array, argmax: Array, x_shape: Shape) -> Array:
    """The gradient of `adaptive_max_pool2d`, `(N, H, W, C)`: each dy goes to the maximum."""
    return select(reference.adaptive_max_pool2d_grad, dy)(dy, argmax, x_shape)


def global_avg_pool2d(x: Array, out: Array | None = None) -> Array:
    """The mean of every map: `(N, H, W, C)` -> `(N, C)` (Lin et al. 2013, section 3.2)."""
    return select(reference.global_avg_pool2d, x)(x, out)


def global_avg_pool2d_grad(dy: Array, x_shape: Shape) -> Array:
    """The gradient of `global_avg_pool2d`, `(N, H, W, C)`; dy is `(N, C)`."""
    return select(reference.global_avg_pool2d_grad, dy)(dy, x_shape)


def subsample2d(
    x: Array,
    w: Array,
    b: Array,
    size: int = 2,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """LeNet-5's trainable pooling, `y = f(w[c] * (sum of the window) + b[c])`; w, b are `(C,)`.

    Source: LeCun et al. 1998, section II.B (layers S2 and S4).
    """
    return select(reference.subsample2d, x)(x, w, b, size, activation, out)


def subsample2d_grad(dy: Array, x: Array, w: Array, size: int = 2) -> tuple[Array, Array, Array]:
    """The gradients dx `(N, H, W, C)`, dw `(C,)` and db `(C,)` of `subsample2d`; dy is before f."""
    return select(reference.subsample2d_grad, dy)(dy, x, w, size)
