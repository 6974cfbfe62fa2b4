"""Transposed convolution: the gradients of a convolution with their roles exchanged.

    y[n, p*s + i*d, q*s + j*d, k] += x[n, p, q, c] * w[i, j, k, c]        for all p, q, i, j, c

then y += b, with `padding` pixels cut off around y. A convolution reads y at these places and gives
x its shape; its weights, `(kH, kW, K/groups, C)`, are those of the transposed convolution. So the
forward pass here is its input gradient, the input gradient is its forward pass, and in the weight
gradient x and dy change places (Dumoulin & Visin 2016, section 4; Zeiler et al. 2010). It is not
the inverse of the convolution, although it is called deconvolution, too.

Shapes: x `(N, H, W, C)`, w `(kH, kW, K/groups, C)`, b `(K,)`, y `(N, H_out, W_out, K)`, with
H_out = (H - 1) s - p + d (kH - 1) + 1 + output_padding.
"""

from ..geometry import transposed_size
from ..types import Array, IntOrPair, Padding
from .arrays import write_to
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
    """`y[n, p*s + i*d, q*s + j*d, k] += x[n, p, q, c] * w[i, j, k, c]`, then b, as above.

    The input gradient of the convolution from y to x, x being its dy.
    """
    size = transposed_size(x.shape[1:3], w.shape[:2], stride, padding, output_padding, dilation)
    shape = (len(x), *size, w.shape[2] * groups)
    y = conv2d_grad_input(x, w, shape, stride, padding, dilation, groups)
    return write_to(out, y if b is None else y + b)


def conv_transpose2d_grad_input(
    dy: Array,
    w: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """`dx = dy conv w`, the convolution itself."""
    return conv2d(dy, w, None, stride, padding, dilation, groups)


def conv_transpose2d_grad_weight(
    dy: Array,
    x: Array,
    w_shape: tuple[int, ...],
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = True,
) -> tuple[Array, Array | None]:
    """The weight gradient of the convolution from dy to x, and db, the sums of dy.

    dw[i, j, k, c] = sum_{n, p, q} dy[n, p*s + i*d, q*s + j*d, k] * x[n, p, q, c]
    db[k] = sum_{n, p, q} dy[n, p, q, k]
    """
    dw, _ = conv2d_grad_weight(x, dy, w_shape, stride, padding, dilation, groups, bias=False)
    return dw, dy.sum(axis=(0, 1, 2)) if bias else None
