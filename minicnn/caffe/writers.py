"""One function per type of our layers: what Caffe's layers compute the same."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..layers import (
    Activation,
    AdaptiveAvgPool2d,
    AuxiliaryNetwork,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Identity,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Residual,
    Scale,
    Sequential,
    Subsample2d,
)
from ..layers.tree import join
from .describer import Array, Describer
from .net import Weights
from .windows import windows

ACTIVATIONS = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "TanH"}


def output_of(layer: Any, x: Array, top: str) -> Array:
    """The array that a layer makes of x."""
    return replace(x, top=top, shape=layer.output_shape((1, *x.shape))[1:])


def activated(d: Describer, activation: str | None, name: str, top: str, x: str) -> str:
    """Append an activation that writes into its input, unless `top` is another name."""
    if activation is None:
        return x
    if activation == "scaled_tanh":
        x = d.add("Power", f"{name}_scale", [x], top=top, power_param={"scale": 2 / 3})
        d.add("TanH", f"{name}_tanh", [x], top=top)
        return d.add("Power", f"{name}_gain", [x], top=top, power_param={"scale": 1.7159})
    if activation not in ACTIVATIONS:
        raise ValueError(f"Caffe has no {activation}")
    return d.add(ACTIVATIONS[activation], name, [x], top=top)


def sequential(d: Describer, layer: Sequential, name: str, x: Array) -> Array:
    """Layers in order."""
    for child_name, child in layer._layers.items():
        x = d.walk(child, join(name, child_name), x)
    return x


def auxiliary(d: Describer, layer: AuxiliaryNetwork, name: str, x: Array) -> Array:
    """Layers in order, and the heads that read them, if these are wanted."""
    numbers = {head: number for number, head in enumerate(layer.heads, 1)}
    for child_name, child in layer._layers.items():
        x = d.walk(child, join(name, child_name), x)
        if d.with_heads and child_name in numbers:
            own = f"aux{numbers[child_name]}"
            d.heads[own] = d.walk(layer.heads[child_name], own, x).top
    return x


def joined_tops(d: Describer, own: str, *x: Array) -> list[str]:
    """The arrays that the layer `own` joins. Raises ValueError for one in another order."""
    if not all(a.is_ours for a in x):
        raise ValueError("it joins arrays that are in another order in Caffe")
    return [d.flat(a, f"{own}_flatten{i}", with_pixels=True).top for i, a in enumerate(x)]


def concat(d: Describer, layer: Concat, name: str, x: Array) -> Array:
    """Branches, and Concat."""
    parts = [d.walk(branch, join(name, n), x) for n, branch in layer._layers.items()]
    own = d.names(name)
    return Array(d.add("Concat", own, joined_tops(d, own, *parts)), output_of(layer, x, own).shape)


def residual(d: Describer, layer: Residual, name: str, x: Array) -> Array:
    """Both ways, Eltwise, and the activation."""
    body = d.walk(layer.body, join(name, "body"), x)
    shortcut = d.walk(layer.shortcut, join(name, "shortcut"), x) if layer.shortcut else x
    own = d.names(name)
    read = joined_tops(d, own, shortcut, body)
    top = d.add("Eltwise", own, read, eltwise_param={"operation": "SUM"})
    return Array(activated(d, layer.activation, f"{own}_relu", top, top), body.shape)


def conv(d: Describer, layer: Conv2d, name: str, x: Array) -> Array:
    """Convolution: (kH, kW, C_in / groups, C_out) becomes (C_out, C_in / groups, kH, kW)."""
    own = d.names(name)
    (top, bottom), (left, right) = layer.padding
    if not x.is_ours and layer.groups > 1:
        raise ValueError('it reads the input in groups: write with channels="rgb" and one std')
    _, _, channels, outputs = layer.weight.value.shape

    def weight() -> np.ndarray:
        w = layer.connected_weight()
        w = w * np.array(x.factors, np.float32)[:, None] if x.factors else w
        w = w.transpose(3, 2, 0, 1)
        return w[:, ::-1] if x.flipped else w

    blobs = [Weights((outputs, channels, *layer.kernel_size), weight)]
    blobs += bias_of(layer)
    parameters = {
        "num_output": outputs,
        "bias_term": layer.bias is not None,
        "pad": (top, left),
        "kernel_size": layer.kernel_size,
        "group": layer.groups,
        "stride": layer.stride,
        "dilation": layer.dilation,
    }
    if (top, left) != (bottom, right):
        raise ValueError(f"Caffe pads opposite sides alike; padding is {layer.padding}")
    y = output_of(layer, x, own)
    d.add("Convolution", own, [x.top], *blobs, convolution_param=told(parameters))
    return Array(activated(d, layer.activation, f"{own}_relu", own, own), y.shape)


DEFAULTS = {"pad": 0, "stride": 1, "dilation": 1, "group": 1, "bias_term": True, "pool": "MAX"}


def told(parameters: dict[str, Any]) -> dict[str, Any]:
    """Without what Caffe supposes anyway; a pair becomes two fields, or one number."""
    found: dict[str, Any] = {}
    for key, value in parameters.items():
        if isinstance(value, tuple) and value[0] != value[1] and key != "dilation":
            stem = key.removesuffix("_size")
            found |= {f"{stem}_h": value[0], f"{stem}_w": value[1]}
            continue
        value = value[0] if isinstance(value, tuple) and value[0] == value[1] else value
        if DEFAULTS.get(key) != value:
            found[key] = value
    return found


def bias_of(layer: Any) -> list[Weights]:
    """The bias of a layer, if it has one."""
    bias = layer.bias
    return [] if bias is None else [Weights(bias.value.shape, lambda: bias.value)]


def linear(d: Describer, layer: Linear, name: str, x: Array) -> Array:
    """InnerProduct: (inputs, outputs) becomes (outputs, inputs), with inputs in Caffe's order."""
    own = d.names(name)
    inputs, outputs = layer.weight.value.shape

    def weight() -> np.ndarray:
        w = layer.weight.value
        if x.maps:
            w = w.reshape(*x.maps, outputs)
            w = w * np.array(x.factors, np.float32)[:, None] if x.factors else w
            w = w.transpose(2, 0, 1, 3)
            w = w[::-1] if x.flipped else w
        return w.reshape(inputs, outputs).T

    blobs = [Weights((outputs, inputs), weight), *bias_of(layer)]
    parameters = told({"num_output": outputs, "bias_term": layer.bias is not None})
    d.add("InnerProduct", own, [x.top], *blobs, inner_product_param=parameters)
    top = activated(d, layer.activation, f"{own}_relu", own, own)
    return Array(top, (outputs,))


def flatten(d: Describer, layer: Flatten, name: str, x: Array) -> Array:
    """Nothing: InnerProduct flattens its input."""
    return x if len(x.shape) == 1 else replace(output_of(layer, x, x.top), maps=x.shape)


def batch_norm(d: Describer, layer: BatchNorm2d, name: str, x: Array) -> Array:
    """BatchNorm, which keeps mean and variance, and Scale, which keeps gamma and beta."""
    own = d.names(name)
    blobs = [
        Weights((layer.channels,), lambda: layer.running_mean),
        Weights((layer.channels,), lambda: layer.running_var),
        Weights((1,), lambda: np.ones(1, np.float32)),
    ]
    parameters = {"eps": layer.eps, "moving_average_fraction": 1 - layer.momentum}
    d.add("BatchNorm", own, [x.top], *blobs, batch_norm_param=parameters)
    scales = [
        Weights((layer.channels,), lambda: layer.gamma),
        Weights((layer.channels,), lambda: layer.bias.value),
    ]
    is_he = own.startswith("bn")
    scale = f"scale{own[2:]}" if is_he else f"{own}_scale"
    d.add("Scale", scale, [own], *scales, top=own, scale_param={"bias_term": True})
    top = activated(d, layer.activation, f"{own}_relu", own, own)
    return output_of(layer, x, top)


def pool(d: Describer, layer: MaxPool2d | AvgPool2d, name: str, x: Array) -> Array:
    """Pooling; Caffe rounds the number of windows up."""
    own, y = d.names(name), output_of(layer, x, d.names(name))
    (top, bottom), (left, right) = layer.padding
    if (top, left) != (bottom, right):
        raise ValueError(f"Caffe pads opposite sides alike; padding is {layer.padding}")
    is_mean = isinstance(layer, AvgPool2d)
    if isinstance(layer, AvgPool2d) and (top or left) and not layer.count_include_pad:
        raise ValueError("Caffe's means count the padding; count_include_pad is False")
    parameters = {
        "pool": "AVE" if is_mean else "MAX",
        "kernel_size": layer.kernel_size,
        "stride": layer.stride,
        "pad": (top, left),
    }
    window = (x.shape[0], x.shape[1]), layer.kernel_size, layer.stride, (top, left)
    if windows(*window) != y.shape[:2]:
        if windows(*window, down=True) != y.shape[:2]:
            raise ValueError("Caffe rounds the numbers of windows of both axes up, or both down")
        parameters["round_mode"] = "FLOOR"
    d.add("Pooling", own, [x.top], pooling_param=told(parameters))
    return y


def global_pool(
    d: Describer, layer: GlobalAvgPool2d | GlobalMaxPool2d, name: str, x: Array
) -> Array:
    """Pooling over the whole maps; Caffe keeps the pixel."""
    own, method = d.names(name), "AVE" if isinstance(layer, GlobalAvgPool2d) else "MAX"
    d.add("Pooling", own, [x.top], pooling_param={"pool": method, "global_pooling": True})
    return replace(output_of(layer, x, own), maps=(1, 1, x.shape[-1]))


def adaptive_pool(d: Describer, layer: AdaptiveAvgPool2d, name: str, x: Array) -> Array:
    """Pooling, if all windows are of one size; nothing, if each is one pixel."""
    size, output = x.shape[:2], layer.output_size
    if size == output:
        return x
    if any(n % o for n, o in zip(size, output, strict=True)):
        raise ValueError(f"{size} pixels are not {output} windows of one size")
    kernel = (size[0] // output[0], size[1] // output[1])
    return pool(d, AvgPool2d(kernel), name, x)


def dropout(d: Describer, layer: Dropout, name: str, x: Array) -> Array:
    """Dropout, which does not write into its input: another branch may read that."""
    parameters = {"dropout_ratio": layer.p}
    return replace(x, top=d.add("Dropout", d.names(name), [x.top], dropout_param=parameters))


def identity(d: Describer, layer: Identity, name: str, x: Array) -> Array:
    """Nothing."""
    return x


def activation(d: Describer, layer: Activation, name: str, x: Array) -> Array:
    """An activation as a layer of its own."""
    own = d.names(name)
    return replace(x, top=activated(d, layer.activation, own, own, x.top))


def lrn(d: Describer, layer: LocalResponseNorm, name: str, x: Array) -> Array:
    """LRN, whose alpha Caffe divides by the size."""
    if layer.groups > 1 or layer.size % 2 == 0:
        raise ValueError("Caffe has LRN over an odd number of channels, without groups")
    within = layer.within_channel
    count = layer.size**2 if within else layer.size
    alpha = layer.alpha if layer.alpha_div_n else layer.alpha * count
    parameters: dict[str, Any] = {
        "local_size": layer.size,
        "alpha": alpha,
        "beta": layer.beta,
        "k": layer.k,
    }
    if within and layer.k != 1:
        raise ValueError(f"Caffe's LRN within a channel has k=1; k is {layer.k:g}")
    if within:
        parameters["norm_region"] = "WITHIN_CHANNEL"
    return replace(x, top=d.add("LRN", d.names(name), [x.top], lrn_param=parameters))


def scale(d: Describer, layer: Scale, name: str, x: Array) -> Array:
    """Power, with which Caffe multiplies by a constant and adds one."""
    own, parameters = d.names(name), {"scale": layer.factor, "shift": layer.shift}
    return replace(x, top=d.add("Power", own, [x.top], power_param=parameters))


def subsample(d: Describer, layer: Subsample2d, name: str, x: Array) -> Array:
    """A mean, and a Scale by size^2 times the weight: LeNet-5 has a sum."""
    own = d.names(name)
    y = pool(d, AvgPool2d(layer.size), f"{name}_mean", x)
    blobs = [
        Weights((layer.channels,), lambda: layer.weight.value * layer.size**2),
        Weights((layer.channels,), lambda: layer.bias.value),
    ]
    d.add("Scale", own, [y.top], *blobs, scale_param={"bias_term": True})
    top = activated(d, layer.activation, f"{own}_f", own, own)
    return replace(y, top=top)


Write = Callable[[Describer, Any, str, Array], Array]

WRITERS: dict[type, Write] = {
    Activation: activation,
    AdaptiveAvgPool2d: adaptive_pool,
    AuxiliaryNetwork: auxiliary,
    AvgPool2d: pool,
    BatchNorm2d: batch_norm,
    Concat: concat,
    Conv2d: conv,
    Dropout: dropout,
    Flatten: flatten,
    GlobalAvgPool2d: global_pool,
    GlobalMaxPool2d: global_pool,
    Identity: identity,
    Linear: linear,
    LocalResponseNorm: lrn,
    MaxPool2d: pool,
    Residual: residual,
    Scale: scale,
    Sequential: sequential,
    Subsample2d: subsample,
}
