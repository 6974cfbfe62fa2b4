"""Containers and joins."""

from itertools import pairwise

import numpy as np

from ...kernels.types import Shape
from ...layers import (
    Add,
    AuxiliaryNetwork,
    Concat,
    Concatenate,
    Graph,
    Maximum,
    Multiply,
    Residual,
    Sequential,
    Slice,
)
from ...layers.fused import ConvNorm
from ...layers.fusion import are_conv_and_norm
from ...layers.graph import INPUT
from ...layers.join import Elementwise
from ..export_graph import GraphWriter, Value, channel_axis, rule
from .activations import activate

Values = tuple[Value, ...]


@rule(Sequential, AuxiliaryNetwork, any_order=True)
def sequential(layer: Sequential, x: Value, graph: GraphWriter) -> Value:
    """The layers in order; with `graph.fold`, batch norms are part of the convolutions."""
    items = list(layer._layers.items())
    while items:
        name, child = items.pop(0)
        if graph.fold and items and are_conv_and_norm(child, items[0][1]):
            _, norm = items.pop(0)
            child = ConvNorm(child, norm)  # type: ignore[arg-type] # which was checked
        x = graph.call(child, x, name)
    return x


@rule(Graph, any_order=True)
def network(layer: Graph, x: Value, graph: GraphWriter) -> Value:
    """The layers in order; with `graph.fold`, batch norms are part of the convolutions."""
    pairs = [pair for chain in layer.chains() for pair in pairwise(chain)] if graph.fold else []
    norms = {a: b for a, b in pairs if are_conv_and_norm(layer[a], layer[b])}
    values = {INPUT: x}
    for name, child in layer._layers.items():
        if name in norms:
            both = ConvNorm(child, layer[norms[name]])  # type: ignore[arg-type]
            values[norms[name]] = graph.call(both, layer._read(name, values), name)
        elif name not in values:
            values[name] = graph.call(child, layer._read(name, values), name)
    return values[name]


@rule(Concat)
def concat(layer: Concat, x: Value, graph: GraphWriter) -> Value:
    """Concat along the channels."""
    parts = [graph.call(branch, x, name) for name, branch in layer._layers.items()]
    return joined(tuple(map(graph.in_order, parts)), graph)


@rule(Concatenate)
def concatenate(layer: Concatenate, x: Values, graph: GraphWriter) -> Value:
    """Concat along the channels."""
    return joined(x, graph)


def joined(parts: Values, graph: GraphWriter) -> Value:
    """Values one behind the other along the channels."""
    shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
    return graph.add("Concat", *parts, shape=shape, axis=channel_axis(shape))


@rule(Slice)
def channels(layer: Slice, x: Value, graph: GraphWriter) -> Value:
    """Slice of the channels."""
    shape = layer.output_shape(x.shape)
    ends = np.array([layer.start]), np.array([layer.stop]), np.array([channel_axis(shape)])
    return graph.add("Slice", x, *ends, shape=shape)


@rule(Add)
def add(layer: Add, x: Values, graph: GraphWriter) -> Value:
    """Add for two, Sum for any other number, and the activation."""
    y = graph.add("Add" if len(x) == 2 else "Sum", *x, shape=_joint(layer, x))
    return activate(layer.activation, y, graph)


@rule(Multiply)
def multiply(layer: Multiply, x: Values, graph: GraphWriter) -> Value:
    """Mul, once for each factor after the first."""
    y = x[0]
    for factor in x[1:]:
        y = graph.add("Mul", y, factor, shape=_joint(layer, (y, factor)))
    return y


@rule(Maximum)
def maximum(layer: Maximum, x: Values, graph: GraphWriter) -> Value:
    """Max."""
    return graph.add("Max", *x, shape=_joint(layer, x))


def _joint(layer: Elementwise, x: Values) -> Shape:
    return layer.output_shape(tuple(value.shape for value in x))


@rule(Residual)
def residual(layer: Residual, x: Value, graph: GraphWriter) -> Value:
    """Add, and the activation."""
    body = graph.in_order(graph.call(layer.body, x, "body"))
    shortcut = graph.in_order(graph.call(layer.shortcut, x, "shortcut")) if layer.shortcut else x
    return activate(layer.activation, graph.add("Add", body, shortcut), graph)
