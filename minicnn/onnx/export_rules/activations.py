"""Activations and other functions of single numbers."""

import math
from collections.abc import Callable

from ...kernels.reference.activation import AMPLITUDE, SLOPE
from ...layers import Activation, Dropout, Scale
from ..export_graph import GraphWriter, Value, rule


def scaled_tanh(x: Value, graph: GraphWriter) -> Value:
    """1.7159 tanh(2x / 3)."""
    return graph.add("Mul", graph.add("Tanh", graph.add("Mul", x, SLOPE)), AMPLITUDE)


def gelu(x: Value, graph: GraphWriter) -> Value:
    """Gelu since opset 20; x / 2 (1 + erf(x / sqrt 2)) before."""
    if graph.opset >= 20:
        return graph.add("Gelu", x)
    erf = graph.add("Erf", graph.add("Mul", x, math.sqrt(0.5)))
    return graph.add("Mul", graph.add("Mul", x, 0.5), graph.add("Add", erf, 1.0))


ACTIVATIONS: dict[str | None, Callable[[Value, GraphWriter], Value]] = {
    None: lambda x, graph: x,
    "relu": lambda x, graph: graph.add("Relu", x),
    "sigmoid": lambda x, graph: graph.add("Sigmoid", x),
    "tanh": lambda x, graph: graph.add("Tanh", x),
    "scaled_tanh": scaled_tanh,
    "gelu": gelu,
}


def activate(name: str | None, x: Value, graph: GraphWriter) -> Value:
    """The activation that a layer has by name."""
    return ACTIVATIONS[name](x, graph)


@rule(Activation, any_order=True)
def activation(layer: Activation, x: Value, graph: GraphWriter) -> Value:
    """The operator of that name."""
    return activate(layer.activation, x, graph)


@rule(Scale, any_order=True)
def scale(layer: Scale, x: Value, graph: GraphWriter) -> Value:
    """Mul."""
    return graph.add("Mul", x, layer.factor)


@rule(Dropout, any_order=True)
def dropout(layer: Dropout, x: Value, graph: GraphWriter) -> Value:
    """Left out."""
    return x
