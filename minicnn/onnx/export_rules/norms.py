"""Normalization."""

import math
from typing import Any

import numpy as np

from ...layers import BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm
from ..export_graph import GraphWriter, Value, per_channel, rule
from ..structures import neighbors
from .activations import activate


@rule(BatchNorm2d)
def batch_norm(layer: BatchNorm2d, x: Value, graph: GraphWriter) -> Value:
    """BatchNormalization with the running statistics, and the activation."""
    arrays = {
        "weight": layer.gamma,
        "bias": layer.bias.value,
        "running_mean": layer.running_mean,
        "running_var": layer.running_var,
    }
    constants = [graph.constant(name, array) for name, array in arrays.items()]
    y = graph.add("BatchNormalization", x, *constants, epsilon=layer.eps)
    return activate(layer.activation, y, graph)


@rule(GroupNorm)
def group_norm(layer: GroupNorm, x: Value, graph: GraphWriter) -> Value:
    """GroupNormalization since opset 21; before, InstanceNormalization of each group as one map."""
    if len(x.shape) not in (2, 4):
        raise ValueError(
            f"{graph.place}: GroupNorm of an array of {len(x.shape)} axes has no rule; "
            "expected (N, H, W, C) or (N, C)"
        )
    gamma, beta = layer.weight.value, layer.bias.value
    if graph.opset >= 21:
        constants = graph.constant("weight", gamma), graph.constant("bias", beta)
        return graph.add(
            "GroupNormalization", x, *constants, num_groups=layer.groups, epsilon=layer.eps
        )
    n, *rest, c = x.shape
    groups = (n, layer.groups, math.prod(rest) * c // layer.groups)
    parts = graph.add("Reshape", x, np.array([0, layer.groups, -1]), shape=groups)
    ones, zeros = np.ones(layer.groups), np.zeros(layer.groups)
    parts = graph.add("InstanceNormalization", parts, ones, zeros, epsilon=layer.eps)
    y = graph.add("Reshape", parts, np.array([0, c, *rest]), shape=x.shape)
    y = graph.add("Mul", y, graph.constant("weight", per_channel(gamma, x)))
    return graph.add("Add", y, graph.constant("bias", per_channel(beta, x)))


@rule(LayerNorm)
def layer_norm(layer: LayerNorm, x: Value, graph: GraphWriter) -> Value:
    """LayerNormalization over the last axis; images are transposed before and after it."""
    if graph.opset < 17:
        raise ValueError(
            f"{graph.place}: opset={graph.opset}: LayerNorm needs at least opset 17, which has it"
        )
    weight, bias = (graph.constant(n, getattr(layer, n).value) for n in ("weight", "bias"))
    x = graph.transposed(x, channels_last=True)
    y = graph.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=layer.eps)
    return graph.transposed(y, channels_last=False)


@rule(LocalResponseNorm)
def local_response_norm(layer: LocalResponseNorm, x: Value, graph: GraphWriter) -> Value:
    """LRN with alpha times the size, which ONNX divides by; per group, as its windows end there.

    The window of an even size reaches further to the first channel here, to the last one in ONNX,
    and not every runtime has it: then the sums over neighbors are a 1x1 convolution.
    """
    if layer.within_channel:
        return _lrn_within_maps(layer, x, graph)
    alpha = layer.alpha if layer.alpha_div_n else layer.alpha * layer.size
    if layer.size % 2 == 0:
        return _lrn_by_sums(layer, alpha / layer.size, x, graph)
    constants: dict[str, Any] = {
        "size": layer.size,
        "alpha": alpha,
        "beta": layer.beta,
        "bias": layer.k,
    }
    if layer.groups == 1:
        return graph.add("LRN", x, **constants)
    n, h, w, c = x.shape
    width = c // layer.groups
    parts = []
    for start in range(0, c, width):
        ends = np.array([start]), np.array([start + width]), np.array([1])
        part = graph.add("Slice", x, *ends, shape=(n, h, w, width))
        parts.append(graph.add("LRN", part, **constants))
    return graph.add("Concat", *parts, shape=x.shape, axis=1)


def _lrn_by_sums(layer: LocalResponseNorm, c: float, x: Value, graph: GraphWriter) -> Value:
    """x (k + c * sums of squares)^-beta."""
    weights = neighbors(x.shape[3], layer.size, layer.groups)[:, :, None, None]
    sums = graph.add("Conv", graph.add("Mul", x, x), weights)
    return _divided(layer, x, graph.add("Mul", sums, c), graph)


def _lrn_within_maps(layer: LocalResponseNorm, x: Value, graph: GraphWriter) -> Value:
    """The formula, with the means of the windows as AveragePool, which counts the padding."""
    size, before, after = layer.size, layer.size // 2, (layer.size - 1) // 2
    means = graph.add(
        "AveragePool",
        graph.add("Mul", x, x),
        kernel_shape=(size, size),
        pads=[before, before, after, after],
        count_include_pad=1,
    )
    alpha = layer.alpha if layer.alpha_div_n else layer.alpha * size**2
    return _divided(layer, x, graph.add("Mul", means, alpha), graph)


def _divided(layer: LocalResponseNorm, x: Value, added: Value, graph: GraphWriter) -> Value:
    """x (k + added)^-beta."""
    power = graph.add("Pow", graph.add("Add", added, layer.k), -layer.beta)
    return graph.add("Mul", x, power)
