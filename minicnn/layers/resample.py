"""Resizing of maps by any two matrices."""

from typing import Any

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import check_dy_shape, check_images
from .layer import Layer
from .matrix import matrix


class Resample2d(Layer):
    """`y = R x S^T` for every map: `(N, H, W, C)` -> `(N, H_out, W_out, C)`.

        dx = R^T dy S

    Every output is a weighted sum of pixels along rows and columns, as in resizing with any
    positions and weights; `Upsample` has the usual ones. The matrices are not trained.
    rows: R `(H_out, H)`; columns: S `(W_out, W)`; None for an axis that stays. A shape in place of
    a matrix stands for zeros, which a file replaces.
    """

    buffers: tuple[str, ...] = ("rows", "columns")

    def __init__(self, rows: Any = None, columns: Any = None):
        if rows is None and columns is None:
            raise ValueError("Resample2d: neither rows nor columns given; expected a matrix")
        self.rows = matrix("Resample2d: rows", rows)
        self.columns = matrix("Resample2d: columns", columns)
        self.buffers = tuple(n for n in ("rows", "columns") if getattr(self, n) is not None)

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        sizes = list(shape)
        for axis, name in ((1, "rows"), (2, "columns")):
            m = getattr(self, name)
            if m is not None and m.shape[1] != shape[axis]:
                raise ShapeError(
                    f"{self!r}: the input {shape} has {shape[axis]} {name}; expected {m.shape[1]}"
                )
            sizes[axis] = shape[axis] if m is None else m.shape[0]
        return tuple(sizes)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        self.save_for_backward(x.shape)
        return F.activate(_product(self.rows, self.columns, x), None, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, self.output_shape(shape))
        rows, columns = (None if m is None else m.T for m in (self.rows, self.columns))
        return _product(rows, columns, dy) if need_dx else None


def _product(rows: Array | None, columns: Array | None, x: Array) -> Array:
    """`rows x columns^T` for every map of x."""
    if rows is not None:
        n, h, w, c = x.shape
        x = (rows @ x.reshape(n, h, w * c)).reshape(n, len(rows), w, c)
    return x if columns is None else columns @ x
