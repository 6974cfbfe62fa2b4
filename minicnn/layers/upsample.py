"""Upsampling without weights."""

import math
from collections.abc import Sequence

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.geometry import pair
from ..kernels.reference.upsample import MODES
from ..kernels.types import Array, IntOrPair, Pair, Shape
from .checks import check_dy_shape, check_images
from .layer import Layer

Factor = float | Sequence[float]


class Upsample(Layer):
    """Maps of another size: `(N, H, W, C)` -> `(N, floor(scale H), floor(scale W), C)`.

    scale: a number above 0, or (vertical, horizontal). mode: "nearest" repeats pixels, "bilinear"
    interpolates between their centers (torch's `align_corners=False`).
    size: (H_out, W_out), or one number for both, instead of a scale.
    The formulas are in `minicnn.kernels.reference.upsample`.
    """

    def __init__(
        self, scale: Factor | None = None, mode: str = "nearest", size: IntOrPair | None = None
    ):
        if (scale is None) == (size is None):
            given = "neither" if scale is None else f"scale={scale!r} and size={size!r}"
            raise ValueError(f"Upsample: {given} given; expected a scale or a size")
        if mode not in MODES:
            raise ValueError(f"Upsample: mode={mode!r}: expected one of {', '.join(MODES)}")
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

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        self.save_for_backward(x.shape, shape)
        return F.upsample2d(x, (shape[1], shape[2]), self.mode, self.scale, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        x_shape, y_shape = self.pop_saved()
        check_dy_shape(self, dy, y_shape)
        return F.upsample2d_grad(dy, x_shape, self.mode, self.scale) if need_dx else None


def _scales(scale: Factor) -> tuple[float, float]:
    """The scale as (vertical, horizontal). Raises ValueError unless both are numbers above 0."""
    values = tuple(scale) if isinstance(scale, (tuple, list)) else (scale, scale)
    if len(values) != 2 or any(
        isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 < v < math.inf
        for v in values
    ):
        raise ValueError(f"Upsample: scale={scale!r}: expected a number above 0 or a pair of them")
    return values
