"""The convolutional layer."""

import numpy as np

from ..errors import ShapeError
from ..kernels import dispatch as K
from ..kernels.geometry import padding_pairs, pair, window
from ..random import generator
from .activation import check_activation
from .base import Layer, Parameter, Shape, check_dtype, check_images, keeps_for_backward, make_bias
from .init import Initializer, torch_default


class Conv2d(Layer):
    """A convolution with its bias and activation: `(N, H, W, C_in)` -> `(N, H_out, W_out, C_out)`.

    Args:
        in_channels, out_channels: maps in and out.
        kernel_size, stride, dilation: an int or a pair, in pixels.
        padding: an int, a pair, or `((top, bottom), (left, right))`, in pixels of zeros.
        groups: output group g sees input group g alone.
        bias: whether there is one.
        activation: None, "relu", "sigmoid", "tanh" or "scaled_tanh".
        connections: None, or `(C_in / groups, C_out)` of 0 and 1: which input map feeds which output map.
        init: how the weights start; torch's default if None. `bias_init`: a constant, or None for torch's default.

    Parameters: `weight` `(kH, kW, C_in / groups, C_out)`, `bias` `(C_out,)`. For the formula see `kernels/reference/conv.py`.
    Raises ValueError for arguments that do not fit together, ShapeError for an input that does not fit.
    """

    _kept: dict | None = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups: int = 1,
        bias: bool = True,
        activation: str | None = None,
        connections=None,
        init: Initializer | None = None,
        bias_init: float | None = None,
    ):
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        for name, value in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("groups", groups),
        ):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"Conv2d: {name}={value!r}: expected an integer >= 1")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups={groups} must divide in_channels={in_channels} and {out_channels=}"
            )
        self.kernel_size, self.stride = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        self.padding, self.dilation = padding_pairs(padding), pair(dilation, "dilation")
        self.activation = check_activation(activation)

        area = self.kernel_size[0] * self.kernel_size[1]
        fan_in, fan_out = area * in_channels // groups, area * out_channels // groups
        self.connected = None
        if connections is not None:
            self.connected = np.asarray(connections, np.float32)
            if (
                self.connected.shape != (in_channels // groups, out_channels)
                or not np.isin(self.connected, (0, 1)).all()
            ):
                raise ValueError(
                    f"Conv2d: connections of shape {self.connected.shape}: "
                    f"expected zeros and ones of shape {(in_channels // groups, out_channels)}"
                )
            fan_in = np.maximum(area * self.connected.sum(axis=0), 1)

        shape = (*self.kernel_size, in_channels // groups, out_channels)
        weight = (init or torch_default())(shape, fan_in, fan_out, generator())
        links = int(self.connected.sum()) if self.connected is not None else shape[2] * shape[3]
        if self.connected is not None:
            weight[:, :, self.connected == 0] = 0
        self.weight = Parameter(weight, fan_in, fan_out, trainable=area * links)
        self.bias = make_bias(out_channels, fan_in, fan_out, bias_init) if bias else None

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape, self.in_channels)
        try:
            size = window(
                shape[1:3], self.kernel_size, self.stride, self.padding, self.dilation
            ).output
        except ValueError as error:
            raise ShapeError(f"{self!r}: input {shape}: {error}") from None
        return (shape[0], *size, self.out_channels)

    def _geometry(self):
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "connections": None
            if self.connected is None
            else self.connected.astype(self.weight.value.dtype),
        }

    def _keep(self):
        """Where the backend may keep what it makes of the weights: while nobody trains them."""
        if self.training or keeps_for_backward():
            self._kept = None
        elif self._kept is None:
            self._kept = {}
        return self._kept

    def forward(self, x, out=None):
        return self._forward(x, activation=self.activation, out=out)

    def forward_added(self, x, other, activation=None, out=None):
        if self.activation is not None:  # which comes before the addition
            return super().forward_added(x, other, activation, out)
        return self._forward(x, activation=activation, residual=other, out=out)

    def forward_watched(self, x, moments: dict):
        """`forward`, leaving in `moments` what the batch norm that follows wants to know."""
        return self._forward(x, activation=self.activation, moments=moments)

    def _forward(self, x, **options):
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        bias = self.bias.value if self.bias else None
        y = K.conv2d(x, self.weight.value, bias, keep=self._keep(), **options, **self._geometry())
        self.save_for_backward(x, y)
        return y

    def forward_folded(self, x, norm, other=None, activation=None, out=None):
        """`norm.forward_added(self.forward(x), other, activation)` in one pass, for a batch norm in eval mode.

        It is `(conv - mean) * factor + beta` of each channel.
        """
        if other is not None and norm.activation is not None:  # which comes before the addition
            return K.add(self.forward_folded(x, norm), other, activation, out=out)
        self.output_shape(x.shape)
        check_dtype(self, x, self.weight)
        scale = norm.weight.value / np.sqrt(
            norm.running_var + norm.running_var.dtype.type(norm.eps)
        )
        shift = (self.bias.value if self.bias else 0) - norm.running_mean
        bias = norm.bias.value + shift * scale
        options = {
            "activation": norm.activation or activation,
            "scale": scale,
            "residual": other,
            "out": out,
        }
        return K.conv2d(
            x, self.weight.value, bias, keep=self._keep(), **options, **self._geometry()
        )

    def backward(self, dy, need_dx=True, dy_rectified=False, x_rectified=False):
        """See `Layer`. Two neighbors can spare a pass: the second takes dx through the first one's ReLU while it writes it.

        x_rectified: x came out of a ReLU; dx is the gradient before it. dy_rectified: dy is the gradient before this layer's ReLU.
        """
        x, y = self.saved()
        self.check_gradient(dy, y.shape)
        if not dy_rectified:
            dy = K.activation_grad(dy, y, self.activation)
        dw, db = K.conv2d_grad_weight(
            dy, x, self.weight.value.shape, bias=self.bias is not None, **self._geometry()
        )
        self.weight.add_grad(dw)
        if self.bias:
            self.bias.add_grad(db)
        if not need_dx:
            return None
        return K.conv2d_grad_input(
            dy, self.weight.value, x.shape, rectified=x if x_rectified else None, **self._geometry()
        )

    def macs(self, output):
        return output[1] * output[2] * self.weight.trainable

    def connections(self, output):
        return (
            output[1]
            * output[2]
            * (self.weight.trainable + (self.out_channels if self.bias else 0))
        )

    def details(self):
        note = [f"groups {self.groups}"] if self.groups > 1 else []
        note += [f"dilation {short(self.dilation)}"] if self.dilation != (1, 1) else []
        note += ["partial connections"] if self.connected is not None else []
        return {
            "kernel": "x".join(map(str, self.kernel_size)),
            "stride": short(self.stride),
            "padding": short(self.padding),
            "activation": self.activation or "",
            "note": ", ".join(note),
        }

    def describe(self):
        text = f"{self.in_channels}, {self.out_channels}, {short(self.kernel_size)}"
        for name, default in (
            ("stride", (1, 1)),
            ("padding", ((0, 0), (0, 0))),
            ("dilation", (1, 1)),
        ):
            value = getattr(self, name)
            text += f", {name}={short(value)}" if value != default else ""
        text += f", groups={self.groups}" if self.groups > 1 else ""
        text += "" if self.bias else ", bias=False"
        text += f", activation={self.activation!r}" if self.activation else ""
        return text + (", connections=..." if self.connected is not None else "")


def short(value) -> str:
    """A pair as short as it can be written: `(3, 3)` -> `3`, `((1, 1), (2, 2))` -> `(1, 2)`."""
    if isinstance(value[0], tuple):
        if any(before != after for before, after in value):
            return str(value)
        value = (value[0][0], value[1][0])
    return str(value[0] if value[0] == value[1] else value)
