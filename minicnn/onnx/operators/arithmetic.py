"""Arithmetic, of tensors and of a tensor with a constant."""

import numpy as np

from ...layers import (
    Add,
    Affine,
    BatchNorm2d,
    Clip,
    Conv2d,
    ConvTranspose2d,
    Function,
    GroupNorm,
    LayerNorm,
    Linear,
    Maximum,
    Multiply,
    Parameter,
    ReLU,
    Scale,
)
from ...layers.join import Join
from ...layers.parameter import are_frozen, make_bias
from ..axes import Value, order_of
from ..importer import Importer
from ..node import Node, put
from . import operator
from .maps import per_channel

JOINS: dict[str, type[Join]] = {"Mul": Multiply, "Div": Multiply, "Max": Maximum, "Min": Maximum}


@operator("Add", "Sub", "Mul", "Div", "Sum", "Mean", "Max", "Min")
def arithmetic(importer: Importer, node: Node) -> None:
    """Of tensors a layer that joins them; with a constant a factor, a shift or a bound."""
    node.integer("broadcast"), node.integer("axis")
    constants = [i for i, name in enumerate(node.inputs) if name in importer.constants]
    if not constants:
        join_values(importer, node)
        return
    if len(node.inputs) != 2 or node.op == "Mean":
        node.fail("it joins constants and tensors; expected two inputs of which one is constant")
    (place,) = constants
    array = importer.required(node, place)
    value = importer.value(node, 1 - place)
    if node.has("broadcast") and node.has("axis") and node.opset < 7:
        array = array.reshape(
            *array.shape, *[1] * (len(value.axes) - node.integer("axis") - array.ndim)
        )
    if node.op in ("Max", "Min"):
        _bound(importer, node, array, value)
        return
    if node.op == "Div" and place == 0:
        value = importer.same(node, Function("power", -1.0), value, f"{value.node}_inverse")
    elif node.op == "Div":
        if not array.all():
            node.fail("it divides by 0")
        array = 1 / array
    if node.op == "Sub" and place == 1:
        array = -array
    negate = node.op == "Sub" and place == 0
    if array.size == 1 and array.ndim <= len(value.axes):
        number = float(array.reshape(()))
        is_factor = node.op in ("Mul", "Div")
        one = Scale(number) if is_factor else Scale(-1.0 if negate else 1.0, number)
        if not _is_folded(importer, node, array, value, negate):
            importer.give_same(node, one, value)
        return
    found = per_channel(array, value)
    if found is None:
        node.fail(
            f"its constant has the shape {array.shape} for a tensor {value.shape}; expected one "
            "number, one per channel, or one for each but the batch"
        )
    vector, ours = found
    if negate:
        value = importer.same(node, Scale(-1.0), value, f"{value.node}_minus")
    value = importer.arranged(node, value, ours)
    if not _is_folded(importer, node, vector, value, False):
        # A normalization of the images is no weight.
        layer = _affine(node, vector, trainable=not importer.is_input(value))
        importer.give_same(node, layer, value)


def _bound(importer: Importer, node: Node, array: np.ndarray, value: Value) -> None:
    """The largest, or smallest, of a tensor and a number."""
    if array.size != 1 or array.ndim > len(value.axes):
        node.fail(f"its constant has the shape {array.shape}; expected one number")
    number = float(array.reshape(()))
    bound = Clip(low=number) if node.op == "Max" else Clip(high=number)
    importer.give_same(node, ReLU() if node.op == "Max" and number == 0 else bound, value)


def _affine(node: Node, vector: np.ndarray, trainable: bool) -> Affine:
    is_factor = node.op in ("Mul", "Div")
    layer = Affine(len(vector), scale=is_factor, bias=not is_factor, trainable=trainable)
    put(layer.weight if is_factor else layer.bias, vector, node)
    return layer


def _is_folded(
    importer: Importer, node: Node, vector: np.ndarray, value: Value, negate: bool
) -> bool:
    """True if the constant became part of the weights of the layer before.

    vector: one number, or one per channel of our array.
    """
    layer = importer.only_reader(value)
    if getattr(layer, "activation", None) is not None or negate:
        return False
    if isinstance(layer, (BatchNorm2d, GroupNorm, LayerNorm, Affine)):
        if vector.size != layer.channels:
            return False
        if node.op in ("Mul", "Div"):
            if layer.weight is None:
                layer.weight, layer.scale = Parameter(np.ones(vector.size, np.float32)), True
                layer.weight.frozen = are_frozen(layer.bias)
            put(layer.weight, layer.weight.value * vector.reshape(-1), node)
            if layer.bias is not None:
                put(layer.bias, layer.bias.value * vector.reshape(-1), node)
        else:
            if layer.bias is None:
                layer.bias = Parameter(np.zeros(vector.size, np.float32))
                layer.bias.frozen = are_frozen(layer.weight)
            put(layer.bias, layer.bias.value + vector.reshape(-1), node)
    elif isinstance(layer, (Conv2d, ConvTranspose2d, Linear)) and node.op in ("Add", "Sub", "Sum"):
        channels = getattr(layer, "out_channels", getattr(layer, "out_features", None))
        if vector.size != channels:
            return False
        fans = layer.weight.fan_in, layer.weight.fan_out
        layer.bias = layer.bias or make_bias(vector.size, *fans, 0.0)
        put(layer.bias, layer.bias.value + vector.reshape(-1), node)
    else:
        return False
    importer.give(node, value)
    return True


def join_values(importer: Importer, node: Node) -> None:
    """Two or more tensors of one shape, or such that NumPy makes their shapes equal."""
    count = len(node.inputs)
    values = [importer.value(node, i) for i in range(count)]
    if count == 1:
        importer.give(node, values[0])
        return
    shapes = ", ".join(str(v.shape) for v in values)
    rank = max(len(v.axes) for v in values)
    values = [Value(v.node, ((),) * (rank - len(v.axes)) + v.axes, v.ours) for v in values]
    if any(v.axes[0] != importer.batch for v in values):
        node.fail(f"its inputs have the shapes {shapes}; expected the batch as the first axis")
    shape = np.broadcast_shapes(*(v.shape for v in values))
    order = order_of(next((v for v in values if v.shape == shape), values[0]))
    values = [importer.arranged(node, v, tuple(v.axes[i] for i in order)) for v in values]
    if node.op in ("Sub", "Div"):
        name = f"{values[1].node}_{'minus' if node.op == 'Sub' else 'inverse'}"
        one = Scale(-1.0) if node.op == "Sub" else Function("power", -1.0)
        values[1] = importer.same(node, one, values[1], name)
    if node.op == "Min":
        values = [importer.same(node, Scale(-1.0), v, f"{v.node}_minus") for v in values]
    largest = (next(v for v in values if v.shape[i] == n).axes[i] for i, n in enumerate(shape))
    axes = tuple(largest)
    name = importer.add(node, JOINS.get(node.op, Add)(), *values)
    result = Value(name, axes, tuple(axes[i] for i in order))
    if node.op == "Min":
        result = importer.same(node, Scale(-1.0), result)
    importer.give(
        node, importer.same(node, Scale(1 / count), result) if node.op == "Mean" else result
    )
