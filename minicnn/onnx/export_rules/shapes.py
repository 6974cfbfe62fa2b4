"""Layers without arithmetic."""

import numpy as np

from ...layers import Dropout, Flatten, FlipChannels, Identity, Pad2d, PadShortcut, Permute, Reshape
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


@rule(Reshape)
def reshape(layer: Reshape, x: Value, graph: GraphWriter) -> Value:
    """Reshape, between two Transpose for images, whose order in memory is another one here."""
    shape = layer.output_shape(x.shape)
    x = graph.transposed(x, channels_last=True)
    sizes = np.array([0, *shape[1:]])  # 0: as before
    y = graph.add("Reshape", x, sizes, shape=shape, channels_last=True)
    return graph.transposed(y, channels_last=False)


@rule(Permute)
def permute(layer: Permute, x: Value, graph: GraphWriter) -> Value:
    """Transpose; of images, with the axes that the graph has."""
    places = [0, 2, 3, 1] if len(layer.axes) == 4 else range(len(layer.axes))
    perm = dict(zip(places, (places[axis] for axis in layer.axes), strict=True))
    axes = [perm[place] for place in sorted(perm)]
    return graph.add("Transpose", x, shape=layer.output_shape(x.shape), perm=axes)


@rule(FlipChannels)
def flip(layer: FlipChannels, x: Value, graph: GraphWriter) -> Value:
    """Slice of all channels, from the last to the first."""
    axis = 1 if len(x.shape) == 4 else len(x.shape) - 1
    ends = [np.array([n]) for n in (-1, np.iinfo(np.int64).min, axis, -1)]
    return graph.add("Slice", x, *ends, shape=x.shape)


@rule(Pad2d)
def pad(layer: Pad2d, x: Value, graph: GraphWriter) -> Value:
    """Pad with a constant."""
    (top, bottom), (left, right) = layer.padding
    before, after = layer.channels
    widths = np.array([0, before, top, left, 0, after, bottom, right])
    return graph.add("Pad", x, widths, layer.value, shape=layer.output_shape(x.shape))
