"""Fully connected layers: the affine map, and LeNet-5's radial basis functions."""

from ..types import Array
from .activation import activate
from .arrays import write_to


def linear(
    x: Array,
    w: Array,
    b: Array | None = None,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """`y = f(x w + b)`. Shapes: x `(N, in)`, w `(in, out)`, b `(out,)` or None, y `(N, out)`."""
    y = x @ w
    if b is not None:
        y += b
    return write_to(out, activate(y, activation))


def linear_grad_input(dy: Array, w: Array) -> Array:
    """`dx = dy w^T`; dy `(N, out)` is the gradient before the activation."""
    return dy @ w.T


def linear_grad_weight(dy: Array, x: Array) -> tuple[Array, Array]:
    """`dw = x^T dy` and `db = sum_n dy`. Returns dw `(in, out)`, db `(out,)`."""
    return x.T @ dy, dy.sum(axis=0)


def rbf(x: Array, w: Array, out: Array | None = None) -> Array:
    """Euclidean radial basis functions: the squared distance from x to the code of each class.

        y_i = sum_j (x_j - w_ij)^2          (LeCun et al. 1998, equation 7)

    Shapes: x `(N, in)`, w `(classes, in)`, y `(N, classes)`.
    """
    return write_to(out, ((x[:, None, :] - w) ** 2).sum(axis=2))


def rbf_grad(dy: Array, x: Array, w: Array) -> Array:
    """`dx_j = sum_i dy_i * 2 (x_j - w_ij)`. The codes w are fixed and have no gradient."""
    return 2 * (x * dy.sum(axis=1, keepdims=True) - dy @ w)
