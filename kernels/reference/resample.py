"""Resampling, forward and backward: every output is a weighted sum of pixels along both axes.

    y[n, p, q, c] = sum of R[p, h] S[q, w] x[n, h, w, c]    over h, w

For each map this is `y = R x S^T`, whose gradient is `dx = R^T dy S`, the same operation with both
matrices transposed. Upsampling (each output reads one or few pixels) and adaptive average pooling
(each output is the mean of a window) differ only in R and S, which
`minicnn.kernels.resampling` makes.

Shapes: x `(N, H, W, C)`, R `(H_out, H)`, S `(W_out, W)`, y `(N, H_out, W_out, C)`.
"""

from ..geometry import resampled_shape, transposed
from ..types import Array
from .arrays import array_module, write_to


def resample2d(
    x: Array, rows: Array | None, columns: Array | None, out: Array | None = None
) -> Array:
    """`y = R x S^T`: first along the columns of pixels, then along the rows; None is the identity.

    Raises ValueError if a matrix does not fit x.
    """
    xp, shape = array_module(x), resampled_shape(x.shape, rows, columns)
    y = x.copy() if rows is None and columns is None else x
    if rows is not None:  # rows of pixels as vectors of W * C numbers
        n, h, w, c = x.shape
        y = (xp.asarray(rows, x.dtype) @ y.reshape(n, h, w * c)).reshape(n, shape[1], w, c)
    if columns is not None:
        y = xp.asarray(columns, x.dtype) @ y
    return write_to(out, y)


def resample2d_grad(dy: Array, rows: Array | None, columns: Array | None) -> Array:
    """`dx = R^T dy S`: each dy is divided among the pixels that it was made of."""
    return resample2d(dy, *transposed(rows, columns))
