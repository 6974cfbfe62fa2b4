"""The convolutional layer."""

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..kernels import functional as F
from ..kernels.geometry import padding_pairs, pair, window
from ..kernels.types import Array, IntOrPair, Padding, Shape
from .activation import check_activation
from .checks import check_count, check_dtype, check_dy_shape, check_flag, check_images
from .init import Initializer, initial_weight
from .layer import Layer
from .parameter import Parameter, are_frozen, make_bias


class Conv2d(Layer):
    """A convolution with its bias and activation, `(N, H, W, C_in)` -> `(N, H_out, W_out, C_out)`.

    Args:
        in_channels, out_channels: maps in and out.
        kernel_size, stride, dilation: an int or a pair, in pixels.
        padding: an int, a pair, or `((top, bottom), (left, right))`, in pixels of zeros.
        groups: output group g reads only input group g.
        bias: True for a layer with a bias.
        activation: None, "relu", "relu6", "sigmoid", "tanh" or "scaled_tanh".
        connections: None, or `(C_in / groups, C_out)` of 0 and 1: 1 if the output map reads the
            input map (LeCun et al. 1998, table I).
        init: draws the initial weights; torch's default if None.
        bias_init: the initial bias, or None for torch's default.

    Parameters: `weight` `(kH, kW, C_in / groups, C_out)`, `bias` `(C_out,)`. The formulas are in
    `minicnn.kernels.reference.conv`.
    Raises ValueError for arguments that do not fit together, ShapeError for other inputs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        activation: str | None = None,
        connections: Any = None,
        init: Initializer | None = None,
        bias_init: float | None = None,
    ):
        check_groups(self, in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        self.padding, self.dilation = padding_pairs(padding), pair(dilation, "dilation")
        self.activation = check_activation(activation)

        area, channels = self.kernel_size[0] * self.kernel_size[1], in_channels // groups
        shape = (*self.kernel_size, channels, out_channels)
        fan_in, fan_out = area * channels, area * out_channels // groups
        self.connections = _check_connections(connections, (channels, out_channels))
        trained = channels * out_channels
        if self.connections is not None:
            fan_in = np.maximum(area * self.connections.sum(axis=0), 1)
            trained = int(self.connections.sum())
        weight = initial_weight(init, shape, fan_in, fan_out)
        if self.connections is not None:
            weight[:, :, self.connections == 0] = 0
        self.weight = Parameter(weight, fan_in, fan_out, trainable=area * trained)
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

    def connected_weight(self) -> Array:
        """The weights, with 0 for maps that are not connected."""
        return self._connected(self.weight.value)

    def _connected(self, w: Array) -> Array:
        return w if self.connections is None else w * self.connections.astype(w.dtype)

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.in_channels)
        try:
            size = window(
                shape[1:3], self.kernel_size, self.stride, self.padding, self.dilation
            ).output
        except ValueError as error:
            raise ShapeError(f"{self!r}: input {shape}: {error}") from None
        return (shape[0], *size, self.out_channels)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        b = self.bias.value if self.bias else None
        w = self.connected_weight()
        y = F.conv2d(x, w, b, activation=self.activation, out=out, **self.geometry)
        self.save_for_backward(x, y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        x, y = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        dy = F.activation_grad(dy, y, self.activation)
        self.add_weight_grad(dy, x)
        if not need_dx:
            return None
        return F.conv2d_grad_input(dy, self.connected_weight(), x.shape, **self.geometry)

    def add_weight_grad(self, dy: Array, x: Array) -> None:
        """Add the gradients of weights and biases; dy is the gradient before the activation."""
        if are_frozen(self.weight, self.bias):
            return
        bias = self.bias is not None
        dw, db = F.conv2d_grad_weight(dy, x, self.weight.value.shape, bias=bias, **self.geometry)
        self.weight.add_grad(self._connected(dw), copy=False)
        if self.bias and db is not None:
            self.bias.add_grad(db, copy=False)


def check_groups(layer: Layer, in_channels: int, out_channels: int, groups: int) -> None:
    """Raise ValueError unless the groups divide the channels."""
    counts = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
    for name, value in counts.items():
        check_count(layer, name, value)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{type(layer).__name__}: groups={groups} must divide in_channels={in_channels} and "
            f"{out_channels=}"
        )


def _check_connections(connections: Any, shape: Shape) -> Array | None:
    """The connections as an array, or None. Raises ValueError unless they are 0 and 1."""
    if connections is None:
        return None
    array = np.asarray(connections, np.float32)
    if array.shape != shape or not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"Conv2d: connections of shape {array.shape}: expected zeros and ones of shape {shape}"
        )
    return array
