"""Activations, softmax and dropout."""

import math
from collections.abc import Callable

import numpy as np

from ...layers import (
    ELU,
    GELU,
    Add,
    BatchNorm2d,
    Clip,
    Conv2d,
    Dropout,
    Function,
    HardSigmoid,
    HardSwish,
    Layer,
    LeakyReLU,
    Linear,
    Multiply,
    PReLU,
    ReLU,
    ReLU6,
    Scale,
    ScaledTanh,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from ..axes import Value, with_joined
from ..importer import Importer
from ..node import FLOATS, Node, put
from . import operator
from .maps import per_channel

PLAIN: dict[str, tuple[str, Callable[[], Layer]]] = {
    "Relu": ("relu", ReLU),
    "Sigmoid": ("sigmoid", Sigmoid),
    "Tanh": ("tanh", Tanh),
    "scaled tanh": ("scaled_tanh", ScaledTanh),
}


@operator(*PLAIN)
def plain(importer: Importer, node: Node) -> None:
    """Part of the layer before if that has activations, else a layer of its own."""
    name, make = PLAIN[node.op]
    value = importer.value(node)
    layer = importer.only_reader(value)
    if isinstance(layer, (Add, BatchNorm2d, Conv2d, Linear)) and layer.activation is None:
        layer.activation = name
        importer.give(node, value)
    else:
        importer.give_same(node, make(), value)


FUNCTIONS: dict[str, tuple[str, float | None]] = {
    **{"Abs": ("abs", None), "Exp": ("exp", None), "Log": ("log", None), "Erf": ("erf", None)},
    **{"Softplus": ("softplus", None), "Sqrt": ("power", 0.5), "Reciprocal": ("power", -1.0)},
}


@operator("Pow", *FUNCTIONS)
def function(importer: Importer, node: Node) -> None:
    """A function of single numbers; the exponent of Pow is one constant."""
    value = importer.value(node)
    if node.op != "Pow":
        importer.give_same(node, Function(*FUNCTIONS[node.op]), value)
        return
    exponent = importer.constant(node, 1)
    if exponent is None or exponent.size != 1:
        node.fail("its exponent is no single number; expected one that is constant")
    importer.give_same(node, Function("power", float(exponent.reshape(()))), value)


@operator("Neg")
def neg(importer: Importer, node: Node) -> None:
    """-x."""
    importer.give_same(node, Scale(-1.0), importer.value(node))


@operator("LeakyRelu")
def leaky_relu(importer: Importer, node: Node) -> None:
    """alpha is the slope of negative numbers."""
    importer.give_same(node, LeakyReLU(node.number("alpha", 0.01)), importer.value(node))


@operator("Elu")
def elu(importer: Importer, node: Node) -> None:
    """alpha (exp(x) - 1) of negative numbers."""
    importer.give_same(node, ELU(node.number("alpha", 1.0)), importer.value(node))


@operator("Selu")
def selu(importer: Importer, node: Node) -> None:
    """gamma times ELU."""
    alpha, gamma = node.number("alpha", 1.6732632), node.number("gamma", 1.0507010)
    line = importer.same(node, ELU(alpha), importer.value(node), f"{node.outputs[0]}_elu")
    importer.give_same(node, Scale(gamma), line)


@operator("Celu")
def celu(importer: Importer, node: Node) -> None:
    """alpha ELU(x / alpha)."""
    alpha, value = node.number("alpha", 1.0), importer.value(node)
    line = importer.same(node, Scale(1 / alpha), value, f"{node.outputs[0]}_scale")
    line = importer.same(node, ELU(), line, f"{node.outputs[0]}_elu")
    importer.give_same(node, Scale(alpha), line)


@operator("Mish")
def mish(importer: Importer, node: Node) -> None:
    """x tanh(log(1 + e^x))."""
    value = importer.value(node)
    gate = importer.same(node, Function("softplus"), value, f"{node.outputs[0]}_softplus")
    gate = importer.same(node, Tanh(), gate, f"{node.outputs[0]}_tanh")
    name = importer.add(node, Multiply(), value, gate)
    importer.give(node, Value(name, value.axes, value.ours))


@operator("Gelu")
def gelu(importer: Importer, node: Node) -> None:
    """With the error function, or tanh."""
    importer.give_same(node, GELU(node.text("approximate", "none")), importer.value(node))


@operator("HardSwish", "Swish")
def swish(importer: Importer, node: Node) -> None:
    """x relu6(x + 3) / 6, or x sigmoid(x)."""
    if node.op == "Swish" and node.number("alpha", 1.0) != 1:
        node.refuse("alpha", "expected 1")
    layer = HardSwish() if node.op == "HardSwish" else SiLU()
    importer.give_same(node, layer, importer.value(node))


@operator("HardSigmoid")
def hard_sigmoid(importer: Importer, node: Node) -> None:
    """max(0, min(1, alpha x + beta))."""
    alpha, beta = node.number("alpha", 0.2), node.number("beta", 0.5)
    value = importer.value(node)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:
        importer.give_same(node, HardSigmoid(), value)
        return
    line = importer.same(node, Scale(alpha, beta), value, f"{value.node}_line")
    importer.give_same(node, Clip(0.0, 1.0), line)


@operator("Clip")
def clip(importer: Importer, node: Node) -> None:
    """Bounds are attributes up to opset 10, and inputs from 11 on."""
    bounds = []
    for index, (name, default) in enumerate((("min", -math.inf), ("max", math.inf)), 1):
        found = importer.constant(node, index) if node.opset >= 11 else None
        if node.opset < 11:
            bounds.append(node.number(name, default))
        else:
            bounds.append(default if found is None else float(np.asarray(found).reshape(())))
    low, high = (
        default if abs(bound) >= np.finfo(np.float32).max else bound
        for bound, default in zip(bounds, (-math.inf, math.inf), strict=True)
    )
    layer: Layer = ReLU6() if (low, high) == (0, 6) else Clip(low, high)
    if (low, high) == (0, math.inf):
        layer = ReLU()
    importer.give_same(node, layer, importer.value(node))


@operator("PRelu")
def prelu(importer: Importer, node: Node) -> None:
    """One slope, or one per channel."""
    slopes, value = importer.required(node, 1), importer.value(node)
    if node.opset < 7 and slopes.ndim == 1 and len(value.axes) > 1:
        slopes = slopes.reshape(-1, *[1] * (len(value.axes) - 2))
    found = (slopes.reshape(-1), value.ours) if slopes.size == 1 else per_channel(slopes, value)
    if found is None:
        node.fail(
            f"its slopes have the shape {slopes.shape} for a tensor {value.shape}; expected one "
            "number, or one per channel"
        )
    vector, ours = found
    value = importer.arranged(node, value, ours)
    layer = PReLU(len(vector))
    put(layer.weight, vector, node)
    importer.give_same(node, layer, value)


@operator("Softmax", "LogSoftmax")
def softmax(importer: Importer, node: Node) -> None:
    """Over one axis; up to opset 12 over all axes from `axis` on. At the end it is left out."""
    value = importer.value(node)
    rank = len(value.axes)
    axis = node.integer("axis", -1 if node.opset >= 13 else 1)
    if not -rank <= axis < rank:
        node.refuse("axis", f"expected an axis of a tensor with {rank} axes")
    axis %= rank
    over = [axis] if node.opset >= 13 else list(range(axis, rank))
    if over[0] == 0:
        node.refuse("axis", f"it is over the batch of a tensor {value.shape}")
    wanted = with_joined(value, over)
    is_last = node.outputs[0] == importer.file.output and (axis in (1, rank - 1))
    if is_last and not importer.keep_softmax:
        importer.give(node, value)
        return
    if node.op == "LogSoftmax":
        node.fail("it is no layer of minicnn; at the end of a network it can be left out")
    importer.give_same(node, Softmax(), importer.arranged(node, value, wanted))


@operator("Dropout")
def dropout(importer: Importer, node: Node) -> None:
    """The identity in evaluation. The ratio is an attribute up to opset 11."""
    importer.check_outputs(node)
    node.integer("seed")
    ratio = importer.constant(node, 1) if node.opset >= 12 else None
    p = node.number("ratio", 0.5) if node.opset < 12 else 0.5 if ratio is None else float(ratio)
    training = importer.constant(node, 2)
    if training is not None and bool(training):
        node.fail("training_mode is true; expected a network in evaluation")
    importer.give_same(node, Dropout(p), importer.value(node))


@operator("Identity", "Cast")
def identity(importer: Importer, node: Node) -> None:
    """The same tensor; of types only those of floats, which here are all float32."""
    node.integer("saturate"), node.text("round_mode")  # of types with 8 bits
    if node.op == "Cast" and node.integer("to") not in FLOATS:
        node.refuse("to", "expected a type of floats")
    importer.give(node, importer.value(node))
