"""Layers on single values: activations, Power, Bias, Dropout, Softmax."""

from typing import Any

from ...layers import (
    ELU,
    Affine,
    Dropout,
    Layer,
    LeakyReLU,
    Maximum,
    Multiply,
    PReLU,
    ReLU,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..builder import Blob, Builder, Fill, put
from ..net import CaffeLayer
from .common import check_axis, check_channels, only, permuted, weights_of

HIGHEST_POWER = 8


def relu(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """ReLU, or with a negative_slope a leaky one."""
    slope = layer.parameters("relu_param").get("negative_slope", 0.0)
    return _add(builder, layer, bottoms, LeakyReLU(slope) if slope else ReLU())


def prelu(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """PReLU with a slope per channel, or one that all share."""
    x, p = only(bottoms), layer.parameters("prelu_param")
    count = 1 if p.get("channel_shared", False) else x.channels
    (slopes,) = weights_of(layer, (count,))

    def fill(target: Any) -> None:
        values = slopes.array()
        put(target.weight, permuted(values, x.order) if count > 1 else values)

    return _add(builder, layer, bottoms, PReLU(count), fill)


def elu(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """ELU."""
    return _add(builder, layer, bottoms, ELU(layer.parameters("elu_param").get("alpha", 1.0)))


def sigmoid(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Sigmoid."""
    return _add(builder, layer, bottoms, Sigmoid())


def tanh(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """TanH."""
    return _add(builder, layer, bottoms, Tanh())


def absval(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """AbsVal as max(x, -x)."""
    x = only(bottoms)
    negative = builder.add(layer, Scale(-1), x, suffix="_negative")
    return [builder.add(layer, Maximum(), x, negative)]


def power(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Power: (shift + scale x)^power; a power above 1 is a product of equal factors."""
    x, p = only(bottoms), layer.parameters("power_param")
    exponent, factor, shift = p.get("power", 1.0), p.get("scale", 1.0), p.get("shift", 0.0)
    if exponent not in range(1, HIGHEST_POWER + 1):
        raise ValueError(f"power is {exponent:g}; expected a whole number, 1 to {HIGHEST_POWER}")
    is_linear = exponent == 1
    y = builder.add(layer, Scale(factor, shift), x, suffix="" if is_linear else "_scale")
    return [y if is_linear else builder.add(layer, Multiply(), *[y] * int(exponent))]


def bias(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Bias: one number per channel is added."""
    x, p = only(bottoms), layer.parameters("bias_param")
    check_channels(p, x)
    (values,) = weights_of(layer, (x.channels,))

    def fill(target: Any) -> None:
        put(target.bias, permuted(values.array(), x.order))

    return _add(builder, layer, bottoms, Affine(x.channels, scale=False), fill)


def softmax(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Softmax over the channels, of maps in each pixel."""
    check_axis(layer.parameters("softmax_param"), only(bottoms))
    return _add(builder, layer, bottoms, Softmax())


def dropout(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Dropout; Caffe, too, scales what is kept in training."""
    ratio = layer.parameters("dropout_param").get("dropout_ratio", 0.5)
    return _add(builder, layer, bottoms, Dropout(ratio))


def _add(
    builder: Builder, layer: CaffeLayer, bottoms: list[Blob], made: Layer, fill: Fill | None = None
) -> list[Blob]:
    return [builder.add(layer, made, only(bottoms), fill=fill)]
