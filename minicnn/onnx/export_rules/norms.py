"""Normalization."""

from typing import Any

import numpy as np

from ...layers import BatchNorm2d, LocalResponseNorm
from ..export_graph import GraphWriter, Value, rule
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


@rule(LocalResponseNorm)
def local_response_norm(layer: LocalResponseNorm, x: Value, graph: GraphWriter) -> Value:
    """LRN with alpha times the size, which ONNX divides by; per group, as its windows end there.

    The window of an even size reaches further to the first channel here, to the last one in ONNX,
    and not every runtime has it: then the sums over neighbors are a 1x1 convolution.
    """
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
    channel = np.arange(x.shape[3])
    offset = channel - channel[:, None]  # from the channel of the result to its neighbor
    inside = (-(layer.size // 2) <= offset) & (offset <= (layer.size - 1) // 2)
    group = channel // (len(channel) // layer.groups)
    neighbors = (inside & (group == group[:, None]))[:, :, None, None]
    sums = graph.add("Conv", graph.add("Mul", x, x), neighbors.astype(np.float32))
    power = graph.add("Pow", graph.add("Add", graph.add("Mul", sums, c), layer.k), -layer.beta)
    return graph.add("Mul", x, power)
