"""Transposed convolution on a fast backend: its three convolutions with their roles exchanged.

The formulas are those of `reference/transposed.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

from .geometry import transposed_size
from .reference.arrays import write_to
from .types import Array, IntOrPair, Padding, Shape


class Convolutions(NamedTuple):
    """The convolutions of a backend, and as methods the transposed ones that follow from them."""

    conv2d: Callable[..., Array]
    conv2d_grad_input: Callable[..., Array]
    conv2d_grad_weight: Callable[..., tuple[Array, Array | None]]

    def conv_transpose2d(
        self,
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
        """See `functional.conv_transpose2d`."""
        if x.ndim != 4:
            raise ValueError(f"conv_transpose2d: x has shape {x.shape}: expected (N, H, W, C)")
        size = transposed_size(x.shape[1:3], w.shape[:2], stride, padding, output_padding, dilation)
        shape = (len(x), *size, w.shape[2] * groups)
        y = self.conv2d_grad_input(x, w, shape, stride, padding, dilation, groups)
        if b is not None:
            if b.shape != shape[3:]:
                raise ValueError(
                    f"conv_transpose2d: bias has shape {b.shape}: expected {shape[3:]}"
                )
            y += b.astype(y.dtype, copy=False)
        return write_to(out, y)

    def conv_transpose2d_grad_input(
        self,
        dy: Array,
        w: Array,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
    ) -> Array:
        """See `functional.conv_transpose2d_grad_input`."""
        return self.conv2d(dy, w, None, stride, padding, dilation, groups)

    def conv_transpose2d_grad_weight(
        self,
        dy: Array,
        x: Array,
        w_shape: Shape,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> tuple[Array, Array | None]:
        """See `functional.conv_transpose2d_grad_weight`."""
        geometry = stride, padding, dilation, groups
        dw, _ = self.conv2d_grad_weight(x, dy, w_shape, *geometry, bias=False)
        return dw, dy.sum(axis=(0, 1, 2), dtype=dw.dtype) if bias else None
