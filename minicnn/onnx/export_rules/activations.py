"""Activations and other functions of single numbers."""

import math
from collections.abc import Callable

from ...kernels.reference.activation import AMPLITUDE, SLOPE
from ...layers import Activation, Affine, Function, PReLU, Scale, Softmax
from ..export_graph import GraphWriter, Value, channel_axis, per_channel, rule


def clip(x: Value, graph: GraphWriter, low: float, high: float) -> Value:
    """min(max(x, low), high); an infinite bound is left out."""
    bounds = [None if math.isinf(bound) else float(bound) for bound in (low, high)]
    return graph.add("Clip", x, *bounds)


def hard_sigmoid(x: Value, graph: GraphWriter) -> Value:
    """min(max(x / 6 + 1/2, 0), 1)."""
    return graph.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def hard_swish(x: Value, graph: GraphWriter) -> Value:
    """HardSwish since opset 14; x hard_sigmoid(x) before."""
    if graph.opset >= 14:
        return graph.add("HardSwish", x)
    return graph.add("Mul", x, hard_sigmoid(x, graph))


def scaled_tanh(x: Value, graph: GraphWriter) -> Value:
    """1.7159 tanh(2x / 3)."""
    return graph.add("Mul", graph.add("Tanh", graph.add("Mul", x, SLOPE)), AMPLITUDE)


def gelu(x: Value, graph: GraphWriter) -> Value:
    """Gelu since opset 20; x / 2 (1 + erf(x / sqrt 2)) before."""
    if graph.opset >= 20:
        return graph.add("Gelu", x)
    return _half(x, graph.add("Erf", graph.add("Mul", x, math.sqrt(0.5))), graph)


def gelu_tanh(x: Value, graph: GraphWriter) -> Value:
    """Gelu since opset 20; x / 2 (1 + tanh(sqrt(2 / pi) x (1 + 0.044715 x^2))) before."""
    if graph.opset >= 20:
        return graph.add("Gelu", x, approximate="tanh")
    square = graph.add("Mul", graph.add("Mul", x, x), 0.044715)
    cubic = graph.add("Mul", x, graph.add("Add", square, 1.0))
    return _half(x, graph.add("Tanh", graph.add("Mul", cubic, math.sqrt(2 / math.pi))), graph)


def _half(x: Value, odd: Value, graph: GraphWriter) -> Value:
    """x / 2 (1 + odd)."""
    return graph.add("Mul", graph.add("Mul", x, 0.5), graph.add("Add", odd, 1.0))


ACTIVATIONS: dict[str | None, Callable[..., Value]] = {
    None: lambda x, graph: x,
    "relu": lambda x, graph: graph.add("Relu", x),
    "relu6": lambda x, graph: clip(x, graph, 0, 6),
    "sigmoid": lambda x, graph: graph.add("Sigmoid", x),
    "tanh": lambda x, graph: graph.add("Tanh", x),
    "scaled_tanh": scaled_tanh,
    "leaky_relu": lambda x, graph, slope: graph.add("LeakyRelu", x, alpha=slope),
    "elu": lambda x, graph, alpha: graph.add("Elu", x, alpha=alpha),
    "clip": clip,
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": hard_swish,
    "silu": lambda x, graph: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
}


def activate(name: str | None, x: Value, graph: GraphWriter, *constants: float) -> Value:
    """The activation of that name, with the constants that it has."""
    return ACTIVATIONS[name](x, graph, *constants)


@rule(Activation, any_order=True)
def activation(layer: Activation, x: Value, graph: GraphWriter) -> Value:
    """The operators of that name."""
    return activate(layer.activation, x, graph, *layer.constants)


FUNCTIONS = {"abs": "Abs", "erf": "Erf", "exp": "Exp", "log": "Log", "softplus": "Softplus"}


@rule(Function, any_order=True)
def function(layer: Function, x: Value, graph: GraphWriter) -> Value:
    """The operator of that name; Pow of a constant."""
    if layer.exponent is not None:
        return graph.add("Pow", x, layer.exponent)
    return graph.add(FUNCTIONS[layer.name], x)


@rule(PReLU)
def prelu(layer: PReLU, x: Value, graph: GraphWriter) -> Value:
    """PRelu."""
    return graph.add("PRelu", x, graph.constant("weight", per_channel(layer.weight.value, x)))


@rule(Softmax)
def softmax(layer: Softmax, x: Value, graph: GraphWriter) -> Value:
    """Softmax over the channels."""
    return graph.add("Softmax", x, axis=channel_axis(x.shape))


@rule(Scale, any_order=True)
def scale(layer: Scale, x: Value, graph: GraphWriter) -> Value:
    """Mul, and Add of the shift."""
    y = graph.add("Mul", x, layer.factor)
    return graph.add("Add", y, layer.shift) if layer.shift else y


@rule(Affine)
def affine(layer: Affine, x: Value, graph: GraphWriter) -> Value:
    """Mul and Add with one number per channel."""
    for operator, name in (("Mul", "weight"), ("Add", "bias")):
        parameter = getattr(layer, name)
        if parameter is not None:
            x = graph.add(operator, x, graph.constant(name, per_channel(parameter.value, x)))
    return x
