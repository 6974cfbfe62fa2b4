"""Layers without arithmetic."""

import numpy as np

from ...layers import Dropout, Flatten, Identity, PadShortcut
from ..export_graph import GraphWriter, Value, rule


@rule(Dropout, Identity, any_order=True)
def nothing(layer: Dropout | Identity, x: Value, graph: GraphWriter) -> Value:
    """What reads y reads x."""
    return x


@rule(Flatten)
def flatten(layer: Flatten, x: Value, graph: GraphWriter) -> Value:
    """Flatten, in ONNX's order channel, row, column; the linear layer after it is permuted."""
    shape = layer.output_shape(x.shape)
    if len(x.shape) == 2:
        return x
    y = graph.add("Flatten", x, shape=shape, axis=1)
    if len(x.shape) == 4 and x.shape[3] > 1 and x.shape[1:3] != (1, 1):
        y = Value(y.name, shape, x.shape[1:])
    return y


@rule(PadShortcut)
def pad_shortcut(layer: PadShortcut, x: Value, graph: GraphWriter) -> Value:
    """Slice with steps, and Pad of the channels."""
    shape = layer.output_shape(x.shape)
    if layer.stride > 1:
        ends = np.array([0, 0]), np.array(x.shape[1:3]), np.array([2, 3])
        strides = np.array([layer.stride] * 2)
        x = graph.add("Slice", x, *ends, strides, shape=(*shape[:3], layer.in_channels))
    first = layer._old.start
    rest = layer.out_channels - layer.in_channels - first
    if not first + rest:
        return x
    return graph.add("Pad", x, np.array([0, first, 0, 0, 0, rest, 0, 0]), shape=shape)
