"""Matrix products, batch normalization, and arithmetic with constants."""

import numpy as np

from ...layers import Affine, BatchNorm2d, Conv2d, ConvTranspose2d, Flatten, Linear, Scale
from ...layers.parameter import make_bias
from ..axes import Value, flat, length, new_axis
from ..importer import Importer
from ..node import Node, put
from . import operator
from .join import join_values
from .maps import per_channel


@operator("Gemm")
def gemm(importer: Importer, node: Node) -> None:
    """y = alpha x w + beta c: the factors become part of the weights."""
    w, c = importer.required(node, 1), importer.weights(node, 2)
    if node.integer("transA"):
        node.refuse("transA", "the input is transposed; expected 0")
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    node.integer("broadcast")  # up to opset 6
    w = w.T if node.integer("transB") else w
    if c is not None and (c.ndim > 2 or (c.ndim == 2 and c.shape[0] != 1)):
        node.fail(f"its third input has the shape {c.shape}; expected one number per output")
    if c is not None:
        c = beta * np.broadcast_to(c.reshape(-1), w.shape[-1:])
    _linear(importer, node, w if alpha == 1 else alpha * w, c)


@operator("MatMul")
def matmul(importer: Importer, node: Node) -> None:
    """y = x w."""
    w = importer.required(node, 1)
    _linear(importer, node, w, None)


def _linear(importer: Importer, node: Node, w: np.ndarray, b: np.ndarray | None) -> None:
    """The rows of the weights are put in the order of our array, which need not be permuted."""
    x = importer.value(node)
    if len(x.axes) != 2 or x.axes[0] != importer.batch or w.ndim != 2:
        node.fail(
            f"it multiplies {x.shape} and {w.shape}; expected vectors (N, in) and a matrix "
            "(in, out)"
        )
    features, outputs = w.shape
    if features != length(x.axes[1]):
        node.fail(f"it multiplies {x.shape} and {w.shape}; expected {length(x.axes[1])} rows")
    atoms = x.axes[1]
    ours = tuple(atom for atom in flat(x.ours) if not atom.is_batch)
    if ours != atoms:
        parts = w.reshape(*(atom.size for atom in atoms), outputs)
        order = [atoms.index(atom) for atom in ours]
        w = parts.transpose(*order, len(atoms)).reshape(features, outputs)
    if len(x.ours) != 2:
        name = importer.add(node, Flatten(), x, name=f"{x.node}_flatten")
        x = Value(name, x.axes, (importer.batch, ours))
    layer = Linear(features, outputs, bias=b is not None)
    put(layer.weight, w, node)
    if b is not None:
        put(layer.bias, b, node)
    axes = (importer.batch, new_axis(outputs))
    importer.give(node, Value(importer.add(node, layer, x), axes, axes))


@operator("BatchNormalization")
def batch_norm(importer: Importer, node: Node) -> None:
    """With fixed statistics; in training ours uses those of the batch."""
    importer.check_outputs(node)
    if node.integer("training_mode"):
        node.refuse("training_mode", "the statistics are those of the batch; expected 0")
    if node.integer("spatial", 1) != 1:
        node.refuse("spatial", "it has one mean per pixel; expected one per channel")
    x = importer.value(node)
    scale, bias, mean, variance = (importer.weights(node, i) for i in range(1, 5))
    if scale is None or bias is None or mean is None or variance is None:
        node.fail("it has no scale, bias, mean and variance")
    if len(x.axes) == 2:
        x = Value(x.node, (*x.axes, (), ()), x.ours)
    elif len(x.axes) != 4:
        node.fail(f"its input has the shape {x.shape}; expected (N, C, H, W) or (N, C)")
    axes = importer.value(node).axes
    x = importer.arranged(node, x)
    eps, momentum = node.number("epsilon", 1e-5), node.number("momentum", 0.9)
    layer = BatchNorm2d(length(x.axes[1]), eps, 1 - momentum)
    put(layer.weight, scale, node)
    put(layer.bias, bias, node)
    if mean.shape != (layer.channels,) or variance.shape != mean.shape:
        node.fail(f"its statistics have the shapes {mean.shape} and {variance.shape}")
    layer.running_mean, layer.running_var = np.array(mean), np.array(variance)
    importer.give(node, Value(importer.add(node, layer, x), axes, x.ours))


@operator("Add", "Sub", "Mul", "Div", "Sum", "Max", "Min")
def arithmetic(importer: Importer, node: Node) -> None:
    """Of two tensors a layer that joins them; with a constant a factor or a shift."""
    node.integer("broadcast"), node.integer("axis")
    constants = [i for i, name in enumerate(node.inputs) if name in importer.constants]
    if not constants:
        join_values(importer, node)
        return
    if len(node.inputs) != 2 or node.op in ("Max", "Min"):
        node.fail("it joins constants and tensors; expected two inputs of which one is constant")
    (place,) = constants
    array = importer.required(node, place)
    value = importer.value(node, 1 - place)
    if node.has("broadcast") and node.has("axis") and node.opset < 7:
        array = array.reshape(
            *array.shape, *[1] * (len(value.axes) - node.integer("axis") - array.ndim)
        )
    if node.op == "Div" and place == 0:
        node.fail("it divides a constant by a tensor, which is not known")
    if node.op == "Div":
        if not array.all():
            node.fail("it divides by 0")
        array = 1 / array
    if node.op == "Sub" and place == 1:
        array = -array
    negate = node.op == "Sub" and place == 0
    is_factor = node.op in ("Mul", "Div")
    if array.size == 1 and (array.ndim <= len(value.axes)):
        number = float(array.reshape(()))
        one = Scale(number) if is_factor else Scale(-1.0 if negate else 1.0, number)
        if not _is_folded(importer, node, 1 - place, array, value):
            importer.give_same(node, one, value)
        return
    found = per_channel(array, value)
    if found is None or negate:
        node.fail(
            f"its constant has the shape {array.shape} for a tensor {value.shape}; expected one "
            "number, or one per channel"
        )
    vector, ours = found
    if ours[-1] == value.ours[-1] and _is_folded(importer, node, 1 - place, vector, value):
        return
    value = importer.arranged(node, value, ours)
    layer = Affine(len(vector), scale=is_factor, bias=not is_factor)
    put(layer.weight if is_factor else layer.bias, vector, node)
    importer.give_same(node, layer, value)


def _is_folded(
    importer: Importer, node: Node, index: int, vector: np.ndarray, value: Value
) -> bool:
    """True if the constant became part of the weights of the layer before."""
    layer = importer.only_reader(node, index)
    if getattr(layer, "activation", None) is not None:
        return False
    channels = getattr(layer, "out_channels", getattr(layer, "out_features", None))
    if node.op in ("Add", "Sub", "Sum") and isinstance(layer, (Conv2d, ConvTranspose2d, Linear)):
        if vector.size != channels or (node.op == "Sub" and index == 1):
            return False
        fans = layer.weight.fan_in, layer.weight.fan_out
        layer.bias = layer.bias or make_bias(vector.size, *fans, 0.0)
        put(layer.bias, layer.bias.value + vector.reshape(-1), node)
    elif isinstance(layer, BatchNorm2d) and vector.size == layer.channels:
        if node.op in ("Mul", "Div"):
            put(layer.weight, layer.gamma * vector, node)
            put(layer.bias, layer.bias.value * vector, node)
        elif node.op == "Add" or index == 0:
            put(layer.bias, layer.bias.value + vector, node)
        else:
            return False
    else:
        return False
    importer.give(node, value)
    return True
