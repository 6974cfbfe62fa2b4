"""Maps of another size, whose pixels are weighted sums along rows and columns."""

import math
from collections.abc import Sequence
from typing import Any

from ..checks import is_one_of
from ..errors import ShapeError, brief
from ..kernels import functional as F
from ..kernels.geometry import pair
from ..kernels.resampling import MODES, upsampling
from ..kernels.types import Array, IntOrPair, Pair, Shape
from .checks import check_dy_shape, check_images
from .layer import Layer
from .matrix import matrix

Matrices = tuple[Array | None, Array | None]
Factor = float | Sequence[float]


class Resampling(Layer):
    """`y = R x S^T` for every map: `(N, H, W, C)` -> `(N, H_out, W_out, C)`.

        dx = R^T dy S

    The base of the layers whose outputs are weighted sums of pixels along rows and columns.
    """

    def matrices(self, shape: Shape) -> Matrices:
        """R `(H_out, H)` and S `(W_out, W)` for inputs of `shape`; None for an axis that stays."""
        raise TypeError(f"{type(self).__name__} does not define matrices")

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        self.save_for_backward(x.shape)
        return F.resample2d(x, *self.matrices(x.shape), out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (shape,) = self.pop_saved()
        check_dy_shape(self, dy, self.output_shape(shape))
        return F.resample2d_grad(dy, *self.matrices(shape)) if need_dx else None


class Resample2d(Resampling):
    """Resizing by any two matrices, with any positions and weights. They are not trained.

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

    def matrices(self, shape: Shape) -> Matrices:
        return self.rows, self.columns


class Upsample(Resampling):
    """Maps of another size: `(N, H, W, C)` -> `(N, floor(scale H), floor(scale W), C)`.

    scale: a number above 0, or (vertical, horizontal). mode: "nearest" repeats pixels, "bilinear"
    interpolates between their centers (torch's `align_corners=False`).
    size: (H_out, W_out), or one number for both, instead of a scale.
    The weights are in `minicnn.kernels.resampling.upsampling`.
    """

    def __init__(
        self, scale: Factor | None = None, mode: str = "nearest", size: IntOrPair | None = None
    ):
        if (scale is None) == (size is None):
            given = "neither" if scale is None else f"scale={brief(scale)} and size={brief(size)}"
            raise ValueError(f"Upsample: {given} given; expected a scale or a size")
        if not is_one_of(mode, MODES):
            raise ValueError(f"Upsample: mode={brief(mode)}: expected one of {', '.join(MODES)}")
        self.scale = None if scale is None else _scales(scale)
        self.size = None if size is None else pair(size, "size")
        self.mode = mode

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        height, width = self._output_size(shape)
        if not height or not width:
            raise ShapeError(f"{self!r}: input {shape}: no pixel is left")
        return shape[0], height, width, shape[3]

    def _output_size(self, shape: Shape) -> Pair:
        if self.scale is None:
            assert self.size
            return self.size
        return math.floor(shape[1] * self.scale[0]), math.floor(shape[2] * self.scale[1])

    def matrices(self, shape: Shape) -> Matrices:
        height, width = self._output_size(shape)
        down, across = self.scale or (None, None)
        return (
            upsampling(shape[1], height, self.mode, down),
            upsampling(shape[2], width, self.mode, across),
        )


def _scales(scale: Factor) -> tuple[float, float]:
    """The scale as (vertical, horizontal). Raises ValueError unless both are numbers above 0."""
    values = tuple(scale) if isinstance(scale, (tuple, list)) else (scale, scale)
    if len(values) != 2 or any(
        isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 < v < math.inf
        for v in values
    ):
        raise ValueError(
            f"Upsample: scale={brief(scale)}: expected a number above 0 or a pair of them"
        )
    return values
