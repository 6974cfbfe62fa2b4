"""Pooling."""

from typing import Any

import numpy as np

from ...kernels.geometry import PaddingPairs, adaptive_windows, pool_window
from ...kernels.types import Shape
from ...layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
)
from ...layers.pool import Pool2d
from ..export_graph import GraphWriter, Value, rule
from .resampling import two_products
from .weighted import pads


@rule(MaxPool2d)
def max_pool(layer: MaxPool2d, x: Value, graph: GraphWriter) -> Value:
    """MaxPool; ceil mode as padding at the bottom and right."""
    _, reach = _paddings(layer, x)
    return _pool("MaxPool", layer, reach, x, graph)


@rule(AvgPool2d)
def avg_pool(layer: AvgPool2d, x: Value, graph: GraphWriter) -> Value:
    """AveragePool; cells that ceil mode adds are not counted, padding is if the layer says so."""
    padding, reach = _paddings(layer, x)
    count = layer.count_include_pad and any(map(sum, padding))
    if count and reach != padding:  # zeros that count, and around them cells that do not
        shape = layer.output_shape(x.shape)
        (top, bottom), (left, right) = padding
        n, h, w, c = x.shape
        widths = np.array([0, 0, top, left, 0, 0, bottom, right])
        x = graph.add("Pad", x, widths, shape=(n, h + top + bottom, w + left + right, c))
        ((_, below), (_, beyond)) = reach
        return _pool(
            "AveragePool",
            layer,
            ((0, below - bottom), (0, beyond - right)),
            x,
            graph,
            shape,
        )
    return _pool("AveragePool", layer, reach, x, graph, count_include_pad=int(count))


def _paddings(layer: Pool2d, x: Value) -> tuple[PaddingPairs, PaddingPairs]:
    """The padding of a pooling, and what its windows reach, which ceil mode may extend."""
    found = pool_window(x.shape[1:3], **layer.geometry)
    return found.padding, found.reach


def _pool(
    operator: str,
    layer: Pool2d,
    padding: PaddingPairs,
    x: Value,
    graph: GraphWriter,
    shape: tuple[int, ...] | None = None,
    **more: Any,
) -> Value:
    return graph.add(
        operator,
        x,
        shape=shape or layer.output_shape(x.shape),
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=pads(padding),
        **more,
    )


@rule(AdaptiveAvgPool2d)
def adaptive_avg_pool(layer: AdaptiveAvgPool2d, x: Value, graph: GraphWriter) -> Value:
    """AveragePool if its windows are equal; otherwise a matrix of means for rows and columns."""
    size, output = x.shape[1:3], layer.output_size
    if all(have % wanted == 0 for have, wanted in zip(size, output, strict=True)):
        window = size[0] // output[0], size[1] // output[1]
        if window == (1, 1):
            return x
        shape = layer.output_shape(x.shape)
        return graph.add("AveragePool", x, shape=shape, kernel_shape=window, strides=window)
    return two_products(layer, x, graph)


@rule(AdaptiveMaxPool2d)
def adaptive_max_pool(layer: AdaptiveMaxPool2d, x: Value, graph: GraphWriter) -> Value:
    """MaxPool if the windows are equal; otherwise one per window of rows, then of columns."""
    size, output = x.shape[1:3], layer.output_size
    if all(have % wanted == 0 for have, wanted in zip(size, output, strict=True)):
        window = size[0] // output[0], size[1] // output[1]
        shape = layer.output_shape(x.shape)
        return graph.add("MaxPool", x, shape=shape, kernel_shape=window, strides=window)
    for axis in (1, 2):
        parts = []
        for start, stop in adaptive_windows(size[axis - 1], output[axis - 1]):
            ends = np.array([start]), np.array([stop]), np.array([axis + 1])
            part = graph.add("Slice", x, *ends, shape=_with_side(x.shape, axis, stop - start))
            window = (stop - start, 1) if axis == 1 else (1, stop - start)
            shape = _with_side(x.shape, axis, 1)
            parts.append(graph.add("MaxPool", part, shape=shape, kernel_shape=window))
        shape = _with_side(x.shape, axis, len(parts))
        x = graph.add("Concat", *parts, shape=shape, axis=axis + 1)
    return x


def _with_side(shape: Shape, axis: int, length: int) -> Shape:
    return (*shape[:axis], length, *shape[axis + 1 :])


@rule(GlobalMaxPool2d)
def global_max_pool(layer: GlobalMaxPool2d, x: Value, graph: GraphWriter) -> Value:
    """GlobalMaxPool and Flatten."""
    n, _, _, c = x.shape
    pooled = graph.add("GlobalMaxPool", x, shape=(n, 1, 1, c))
    return graph.add("Flatten", pooled, shape=(n, c), axis=1)


@rule(GlobalAvgPool2d)
def global_avg_pool(layer: GlobalAvgPool2d, x: Value, graph: GraphWriter) -> Value:
    """GlobalAveragePool and Flatten."""
    n, _, _, c = x.shape
    pooled = graph.add("GlobalAveragePool", x, shape=(n, 1, 1, c))
    return graph.add("Flatten", pooled, shape=(n, c), axis=1)
