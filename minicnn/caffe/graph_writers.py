"""The writers of `Graph`, of its joining layers, and of layers that files from elsewhere have."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..layers import (
    ELU,
    Add,
    Affine,
    Concatenate,
    ConvTranspose2d,
    Graph,
    LeakyReLU,
    Maximum,
    Multiply,
    PReLU,
    Slice,
    Softmax,
)
from ..layers.graph import INPUT
from ..layers.tree import join
from .describer import Array, Describer
from .net import Weights
from .writers import WRITERS, activated, bias_of, joined_tops, output_of, told

OPERATIONS = {Add: "SUM", Multiply: "PROD", Maximum: "MAX"}


def graph(d: Describer, layer: Graph, name: str, x: Array) -> Array:
    """Layers in the order of computation."""
    values = {INPUT: x}
    for child_name, child in layer._layers.items():
        reads = [values[source] for source in layer.inputs[child_name]]
        values[child_name] = x = d.walk(child, join(name, child_name), *reads)
    return x


def concatenate(d: Describer, layer: Concatenate, name: str, *x: Array) -> Array:
    """Concat."""
    own = d.names(name)
    shape = layer.output_shape(tuple((1, *a.shape) for a in x))[1:]
    return Array(d.add("Concat", own, joined_tops(d, own, *x)), shape)


def eltwise(d: Describer, layer: Add | Multiply | Maximum, name: str, *x: Array) -> Array:
    """Eltwise, which joins at least two arrays."""
    if len({a.shape for a in x}) > 1:
        raise ValueError("Caffe has no such join of these shapes")
    own, operation = d.names(name), {"operation": OPERATIONS[type(layer)]}
    top, *others = joined_tops(d, own, *x)
    if others:
        top = d.add("Eltwise", own, [top, *others], eltwise_param=operation)
    activation = getattr(layer, "activation", None)
    return Array(activated(d, activation, f"{own}_relu", own, top), x[0].shape)


def slice_(d: Describer, layer: Slice, name: str, x: Array) -> Array:
    """Slice, whose other parts go into a Silence."""
    own, points = d.names(name), [p for p in (layer.start, layer.stop) if 0 < p < x.shape[-1]]
    x = d.flat(x, f"{own}_flatten", with_pixels=True)
    if not points:
        return replace(x, shape=x.shape)
    place = int(layer.start > 0)
    tops = [f"{own}_rest{i}" for i in range(len(points) + 1)]
    tops[place] = own
    d.add("Slice", own, [x.top], tops=tops, slice_param={"axis": 1, "slice_point": points})
    rest = [top for top in tops if top != own]
    d.add("Silence", f"{own}_silence", rest, tops=[])
    return output_of(layer, x, own)


def affine(d: Describer, layer: Affine, name: str, x: Array) -> Array:
    """Scale, or Bias without a factor."""
    own, weight = d.names(name), layer.weight
    x = d.flat(x, f"{own}_flatten")
    if weight is None:
        return replace(x, top=d.add("Bias", own, [x.top], *bias_of(layer)))
    blobs = [Weights(weight.value.shape, lambda: weight.value), *bias_of(layer)]
    parameters = {"bias_term": layer.bias is not None}
    return replace(x, top=d.add("Scale", own, [x.top], *blobs, scale_param=parameters))


def prelu(d: Describer, layer: PReLU, name: str, x: Array) -> Array:
    """PReLU."""
    own = d.names(name)
    x = d.flat(x, f"{own}_flatten") if layer.channels > 1 else x
    slopes = Weights((layer.channels,), lambda: layer.weight.value)
    shared = {"channel_shared": layer.channels == 1}
    return replace(x, top=d.add("PReLU", own, [x.top], slopes, prelu_param=shared))


def leaky_relu(d: Describer, layer: LeakyReLU, name: str, x: Array) -> Array:
    """ReLU with a negative_slope."""
    parameters = {"negative_slope": layer.slope}
    return replace(x, top=d.add("ReLU", d.names(name), [x.top], relu_param=parameters))


def elu(d: Describer, layer: ELU, name: str, x: Array) -> Array:
    """ELU."""
    return replace(x, top=d.add("ELU", d.names(name), [x.top], elu_param={"alpha": layer.alpha}))


def softmax(d: Describer, layer: Softmax, name: str, x: Array) -> Array:
    """Softmax over the channels."""
    own = d.names(name)
    x = d.flat(x, f"{own}_flatten")
    return replace(x, top=d.add("Softmax", own, [x.top]))


def conv_transpose(d: Describer, layer: ConvTranspose2d, name: str, x: Array) -> Array:
    """Deconvolution: (kH, kW, C_out / groups, C_in) becomes (C_in, C_out / groups, kH, kW)."""
    own = d.names(name)
    (top, bottom), (left, right) = layer.padding
    if (top, left) != (bottom, right) or max(layer.output_padding) > 0:
        raise ValueError("Caffe pads opposite sides alike, and has no output_padding")
    height, width, outputs, inputs = layer.weight.value.shape

    def weight() -> np.ndarray:
        return layer.weight.value.transpose(3, 2, 0, 1)

    blobs = [Weights((inputs, outputs, height, width), weight), *bias_of(layer)]
    parameters = {
        "num_output": layer.out_channels,
        "bias_term": layer.bias is not None,
        "pad": (top, left),
        "kernel_size": layer.kernel_size,
        "group": layer.groups,
        "stride": layer.stride,
        "dilation": layer.dilation,
    }
    d.add("Deconvolution", own, [x.top], *blobs, convolution_param=told(parameters))
    return output_of(layer, x, own)


ALL_WRITERS: dict[type, Callable[..., Array]] = {
    **WRITERS,
    Affine: affine,
    Add: eltwise,
    Concatenate: concatenate,
    ConvTranspose2d: conv_transpose,
    ELU: elu,
    Graph: graph,
    LeakyReLU: leaky_relu,
    Maximum: eltwise,
    Multiply: eltwise,
    PReLU: prelu,
    Slice: slice_,
    Softmax: softmax,
}
