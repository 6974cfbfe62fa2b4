"""Layers that take the place of several neighbors, and run in fewer passes over memory.

`fusion.fuse` puts them in. Each contains the layers that it replaces.
"""

from typing import Any

from ..kernels import functional as F
from ..kernels.thread_state import grad_enabled, no_grad
from ..kernels.types import Array, Shape
from .branches import Concat
from .checks import check_dtype, check_dy_shape, inside
from .conv import Conv2d
from .layer import Layer
from .norm import BatchNorm2d
from .pool import MaxPool2d
from .sequential import Sequential


def runs_as(layer: Any, kind: type[Layer]) -> bool:
    """True if a layer has the forward and backward of this class."""
    own = type(layer)
    return own.forward is kind.forward and own.backward is kind.backward


class FrozenStart(Layer):
    """Frozen layers, and the trained ones after them: the former save nothing for backward."""

    def __init__(self, start: Layer, rest: Layer):
        self.start, self.rest = start, rest

    def output_shape(self, shape: Shape) -> Shape:
        return self.rest.output_shape(self.start.output_shape(shape))

    def forward(self, x: Array, out: Array | None = None) -> Any:
        with no_grad():
            x = self.start(x)
        return self.rest(x, out=out)

    def backward(self, dy: Any, need_dx: bool = True) -> None:
        if need_dx:
            raise RuntimeError(
                "the first layers are frozen and have saved nothing to compute dx from: "
                "run the model that was not fused, or pass need_dx=False"
            )
        self.rest.backpropagate(dy, need_dx=False)


class ConvNorm(Layer):
    """A convolution and its batch norm: one convolution if the statistics are fixed.

    In evaluation without gradients the batch norm scales and shifts each channel by a constant.
    """

    def __init__(self, conv: Conv2d, norm: BatchNorm2d):
        self.conv, self.norm = conv, norm

    def output_shape(self, shape: Shape) -> Shape:
        return self.norm.output_shape(self.conv.output_shape(shape))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        if self.norm.training or grad_enabled():
            return self.norm.forward(self.conv.forward(x), out)
        return self._folded(x, None, self.norm.activation, out)

    def forward_added(
        self, x: Array, other: Array, activation: str | None, out: Array | None
    ) -> Array:
        """`f(norm(conv(x)) + other)`, for a batch norm without activation.

        `backward` takes the gradient before f.
        """
        if not (self.norm.training or grad_enabled()):
            return self._folded(x, other, activation, out)
        x = self.conv.forward(x)
        self.norm.check_input(x)
        y, mean, inv_std = F.batch_norm_add(
            x, other, *self.norm.arguments(), activation=activation, out=out
        )
        self.norm.save_for_backward(x, mean, inv_std, self.norm.training)
        return y

    def _folded(
        self, x: Array, other: Array | None, activation: str | None, out: Array | None
    ) -> Array:
        conv, norm = self.conv, self.norm
        conv.output_shape(x.shape)
        check_dtype(conv, x, conv.weight)
        b = conv.bias.value if conv.bias else None
        statistics = norm.running_mean, norm.running_var, norm.eps
        scale, shift = F.fold_batch_norm(b, norm.gamma, norm.bias.value, *statistics)
        w = conv.connected_weight()
        options = conv.geometry | {"activation": activation, "out": out}
        return F.conv2d_affine(x, w, scale, shift, other, **options)

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        return self.conv.backward(self.norm.backward(dy), need_dx)


class ResidualNorm(Layer):
    """A residual block whose body ends with a convolution and batch norm.

    The addition and the activation are part of the pass that writes the batch norm's result.
    """

    def __init__(self, head: Layer, tail: ConvNorm, shortcut: Layer | None, activation: str | None):
        self.head, self.tail, self.shortcut = head, tail, shortcut
        self.activation = activation

    def output_shape(self, shape: Shape) -> Shape:
        return self.tail.output_shape(self.head.output_shape(shape))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        shortcut = self.shortcut(x) if self.shortcut else x
        y = self.tail.forward_added(self.head(x), shortcut, self.activation, out)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        (y,) = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        dy = F.activation_grad(dy, y, self.activation)
        shortcut = self.shortcut.backpropagate(dy, need_dx=need_dx) if self.shortcut else dy
        before_tail = self.tail.backward(dy)
        if shortcut is None or not need_dx:
            return self.head.backpropagate(before_tail, need_dx=False)
        return backward_added(self.head, before_tail, shortcut)


class ReLUChain(Layer):
    """Convolutions with ReLU, and the max pools after them.

    A maximum is positive after pooling exactly if it was positive before, so the mask of ReLU may
    be applied to the smaller, pooled gradient. Inside, dy is the gradient before the ReLU.
    """

    def __init__(self, parts: dict[str, Conv2d | MaxPool2d]):
        self.parts = parts

    def output_shape(self, shape: Shape) -> Shape:
        for layer in self.parts.values():
            shape = layer.output_shape(shape)
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        *_, last = self.parts
        for name, layer in self.parts.items():
            with inside(name):
                x = layer.forward(x, out if name is last else None)
        self.save_for_backward(x)
        return x

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        first, dy, x = self._backward_to_first(dy)
        if not need_dx:
            return None
        return F.conv2d_grad_input(dy, first.connected_weight(), x.shape, **first.geometry)

    def backward_added(self, dy: Any, other: Array) -> Array:
        """dx + other."""
        first, dy, _ = self._backward_to_first(dy)
        return F.conv2d_grad_input_add(dy, first.connected_weight(), other, **first.geometry)

    def _backward_to_first(self, dy: Array) -> tuple[Conv2d, Array, Array]:
        """The first convolution, the gradient before its ReLU, and its x."""
        (y,) = self.pop_saved()
        check_dy_shape(self, dy, y.shape)
        dy = F.relu_grad(dy, y)
        first, *others = self.parts.values()
        assert isinstance(first, Conv2d)
        for layer in reversed(others):
            if isinstance(layer, MaxPool2d):
                dy = layer.backward(dy)
                continue
            x, _ = layer.pop_saved()
            layer.add_weight_grad(dy, x)
            dy = F.conv2d_grad_input_relu(dy, layer.connected_weight(), x, **layer.geometry)
        x, _ = first.pop_saved()
        first.add_weight_grad(dy, x)
        return first, dy, x


class SummingConcat(Concat):
    """A Concat in whose backward pass a branch that begins with a convolution adds dx of others.

    Branches that do not are run first.
    """

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return super().backward(dy, need_dx)
        slices, shape = self.pop_saved()
        check_dy_shape(self, dy, shape)
        dx = None
        branches = zip(self._layers.items(), slices, strict=True)
        for (name, branch), channels in sorted(branches, key=lambda b: _begins_with_conv(b[0][1])):
            with inside(name):
                part = dy[..., channels]
                dx = branch.backpropagate(part) if dx is None else backward_added(branch, part, dx)
        return dx


def _begins_with_conv(layer: Any) -> bool:
    if runs_as(layer, Sequential):
        return _begins_with_conv(layer[0])
    return isinstance(layer, (ConvNorm, ReLUChain)) or runs_as(layer, Conv2d)


def backward_added(layer: Any, dy: Any, other: Array) -> Array:
    """dx + other, where dx = layer.backward(dy), without a pass of its own for the addition.

    That takes a layer that begins with a convolution, which adds `other` while it writes dx.
    """
    if runs_as(layer, Sequential):
        (name, first), *rest = layer._layers.items()
        for later, part in reversed(rest):
            with inside(later):
                dy = part.backpropagate(dy)
        with inside(name):
            return backward_added(first, dy, other)
    if isinstance(layer, ConvNorm):
        return backward_added(layer.conv, layer.norm.backward(dy), other)
    if isinstance(layer, ReLUChain):
        return layer.backward_added(dy, other)
    if runs_as(layer, Conv2d):
        x, y = layer.pop_saved()
        check_dy_shape(layer, dy, y.shape)
        dy = F.activation_grad(dy, y, layer.activation)
        layer.add_weight_grad(dy, x)
        return F.conv2d_grad_input_add(dy, layer.connected_weight(), other, **layer.geometry)
    return F.add(layer.backpropagate(dy), other)
