"""The transposed convolution, which enlarges maps with trained weights."""

from typing import Any

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.geometry import output_padding_pair, padding_pairs, pair, transposed_size
from ..kernels.types import Array, IntOrPair, Padding, Shape
from .checks import check_dtype, check_dy_shape, check_flag, check_images
from .conv import check_groups
from .init import Initializer, initial_weight
from .layer import Layer
from .parameter import Parameter, are_frozen, make_bias


class ConvTranspose2d(Layer):
    """A transposed convolution, `(N, H, W, C_in)` -> `(N, H_out, W_out, C_out)`.

    It is the input gradient of the convolution with the same arguments that reads its output:
    `ConvTranspose2d(8, 4, 3, 2, 1)` gives the size of maps from which `Conv2d(4, 8, 3, 2, 1)` makes
    maps of H x W. Several sizes do if the stride is above 1; `output_padding` selects one.

    Args:
        in_channels, out_channels: maps in and out.
        kernel_size, stride, dilation: an int or a pair, in pixels.
        padding: an int, a pair, or `((top, bottom), (left, right))`: pixels of the result that are
            cut off.
        output_padding: an int or a pair, less than the stride: rows and columns that are added at
            the bottom and right of the result.
        groups: output group g reads only input group g.
        bias: True for a layer with a bias.
        init: draws the initial weights; torch's default if None, whose fan_in is that of the
            convolution, kH * kW * C_out / groups.
        bias_init: the initial bias, or None for torch's default.

    Parameters: `weight` `(kH, kW, C_out / groups, C_in)`, the axes (2, 3, 1, 0) of torch's
    `(C_in, C_out / groups, kH, kW)`, as for `Conv2d`; `bias` `(C_out,)`. The formulas are in
    `minicnn.kernels.reference.transposed`.
    Raises ValueError for arguments that do not fit together, ShapeError for other inputs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        output_padding: IntOrPair = 0,
        groups: int = 1,
        dilation: IntOrPair = 1,
        bias: bool = True,
        init: Initializer | None = None,
        bias_init: float | None = None,
    ):
        check_groups(self, in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        self.padding, self.dilation = padding_pairs(padding), pair(dilation, "dilation")
        self.output_padding = output_padding_pair(output_padding, self.stride)
        area, filters = self.kernel_size[0] * self.kernel_size[1], out_channels // groups
        fan_in, fan_out = area * filters, area * in_channels // groups
        shape = (*self.kernel_size, filters, in_channels)
        weight = initial_weight(init, shape, fan_in, fan_out)
        self.weight = Parameter(weight, fan_in, fan_out)
        has_bias = check_flag(self, "bias", bias)
        self.bias = make_bias(out_channels, fan_in, fan_out, bias_init) if has_bias else None

    @property
    def geometry(self) -> dict[str, Any]:
        """The stride, padding, dilation and groups, as the operations take them."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.in_channels)
        window = self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation
        try:
            size = transposed_size(shape[1:3], *window)
        except ValueError as error:
            raise ShapeError(f"{self!r}: input {shape}: {error}") from None
        return (shape[0], *size, self.out_channels)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shape = self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        self.save_for_backward(x, shape)
        b = self.bias.value if self.bias else None
        options = {**self.geometry, "output_padding": self.output_padding}
        return F.conv_transpose2d(x, self.weight.value, b, out=out, **options)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        x, shape = self.pop_saved()
        check_dy_shape(self, dy, shape)
        if not are_frozen(self.weight, self.bias):
            self._add_weight_grad(dy, x)
        if not need_dx:
            return None
        return F.conv_transpose2d_grad_input(dy, self.weight.value, **self.geometry)

    def _add_weight_grad(self, dy: Array, x: Array) -> None:
        options = {**self.geometry, "bias": self.bias is not None}
        dw, db = F.conv_transpose2d_grad_weight(dy, x, self.weight.value.shape, **options)
        self.weight.add_grad(dw, copy=False)
        if self.bias and db is not None:
            self.bias.add_grad(db, copy=False)
