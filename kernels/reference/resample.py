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
    xp = array_module(x)
    resampled_shape(x.shape, rows, columns)
    y = x.copy() if rows is None and columns is None else x
    for matrix, axis in ((rows, 1), (columns, 2)):
        if matrix is not None:
            y = _weighted_sums(xp.asarray(matrix, x.dtype), y, axis)
    return write_to(out, y)


def _weighted_sums(matrix: Array, x: Array, axis: int) -> Array:
    """Along an axis of x, the sums with the weights of each row of the matrix.

    Pixels without a weight are left out: 0 times infinity, or times NaN, is NaN.
    """
    xp = array_module(x)
    sums = [xp.tensordot(w[w != 0], x.compress(w != 0, axis), (0, axis)) for w in matrix]
    return xp.stack(sums, axis)


def resample2d_grad(dy: Array, rows: Array | None, columns: Array | None) -> Array:
    """`dx = R^T dy S`: each dy is divided among the pixels that it was made of."""
    return resample2d(dy, *transposed(rows, columns))
