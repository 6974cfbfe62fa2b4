"""Convolution and linear layers."""

import numpy as np

from ...device import to_host
from ...kernels.geometry import PaddingPairs
from ...kernels.reference.fused import fold_batch_norm
from ...kernels.types import Array
from ...layers import RBF, Conv2d, ConvTranspose2d, Linear, Subsample2d
from ...layers.fused import ConvNorm
from ...weights.torch_state import array_to_torch
from ..export_graph import GraphWriter, Value, rule
from .activations import activate


@rule(Conv2d)
def conv2d(layer: Conv2d, x: Value, graph: GraphWriter) -> Value:
    """Conv with weights (C_out, C_in / groups, kH, kW), and the activation."""
    b = layer.bias.value if layer.bias else None
    y = _conv(layer, layer.connected_weight(), b, x, graph)
    return activate(layer.activation, y, graph)


@rule(ConvNorm)
def conv_norm(layer: ConvNorm, x: Value, graph: GraphWriter) -> Value:
    """Conv with the batch norm's factors in its weights; computed in float64."""
    conv, norm = layer.conv, layer.norm
    arrays = norm.gamma, norm.bias.value, norm.running_mean, norm.running_var
    gamma, beta, mean, var = (to_host(a).astype(np.float64) for a in arrays)
    b = to_host(conv.bias.value).astype(np.float64) if conv.bias else None
    factor, shift = fold_batch_norm(b, gamma, beta, mean, var, norm.eps)
    y = _conv(conv, to_host(conv.connected_weight()) * factor, shift, x, graph)
    return activate(norm.activation, y, graph)


def _conv(layer: Conv2d, w: Array, b: Array | None, x: Value, graph: GraphWriter) -> Value:
    return graph.add(
        "Conv",
        x,
        graph.constant("weight", array_to_torch(to_host(w))),
        None if b is None else graph.constant("bias", b),
        shape=layer.output_shape(x.shape),
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=pads(layer.padding),
        dilations=layer.dilation,
        group=layer.groups,
    )


@rule(ConvTranspose2d)
def conv_transpose2d(layer: ConvTranspose2d, x: Value, graph: GraphWriter) -> Value:
    """ConvTranspose with weights (C_in, C_out / groups, kH, kW)."""
    return graph.add(
        "ConvTranspose",
        x,
        graph.constant("weight", array_to_torch(to_host(layer.weight.value))),
        graph.constant("bias", layer.bias.value) if layer.bias else None,
        shape=layer.output_shape(x.shape),
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=pads(layer.padding),
        output_padding=layer.output_padding,
        dilations=layer.dilation,
        group=layer.groups,
    )


def pads(padding: PaddingPairs) -> list[int]:
    """`((top, bottom), (left, right))` in ONNX's order: top, left, bottom, right."""
    (top, bottom), (left, right) = padding
    return [top, left, bottom, right]


@rule(Linear, any_order=True)
def linear(layer: Linear, x: Value, graph: GraphWriter) -> Value:
    """Gemm with weights (out, in); the inputs are permuted to C, H, W after a Flatten."""
    y = graph.add(
        "Gemm",
        x,
        graph.constant("weight", array_to_torch(to_host(layer.weight.value), x.maps)),
        graph.constant("bias", layer.bias.value) if layer.bias else None,
        shape=layer.output_shape(x.shape),
        transB=1,
    )
    return activate(layer.activation, y, graph)


@rule(RBF)
def rbf(layer: RBF, x: Value, graph: GraphWriter) -> Value:
    """The difference to every code, squared and summed."""
    n, features = x.shape
    codes = graph.constant("codes", layer.codes)
    difference = graph.add(
        "Sub",
        graph.add("Unsqueeze", x, np.array([1]), shape=(n, 1, features)),
        codes,
        shape=(n, *layer.codes.shape),
    )
    square = graph.add("Mul", difference, difference)
    shape = layer.output_shape(x.shape)
    return graph.add("ReduceSum", square, np.array([2]), shape=shape, keepdims=0)


@rule(Subsample2d)
def subsample(layer: Subsample2d, x: Value, graph: GraphWriter) -> Value:
    """Conv in groups of one channel: all weights of a kernel are the layer's for that channel."""
    w = to_host(layer.weight.value)[:, None, None, None]
    y = graph.add(
        "Conv",
        x,
        graph.constant("weight", np.broadcast_to(w, (layer.channels, 1, layer.size, layer.size))),
        graph.constant("bias", layer.bias.value),
        shape=layer.output_shape(x.shape),
        kernel_shape=(layer.size, layer.size),
        strides=(layer.size, layer.size),
        group=layer.channels,
    )
    return activate(layer.activation, y, graph)
