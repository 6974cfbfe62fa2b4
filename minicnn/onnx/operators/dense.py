"""Matrix products."""

import numpy as np

from ...layers import RBF, Conv2d, Flatten, Linear, Resample2d
from ..axes import Value, flat, in_order, length, new_axis, replaced, standard, with_joined
from ..importer import Importer
from ..node import Node, put
from . import operator


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
    """y = x w along the last axis of x: a linear layer, or a convolution with 1x1 kernels.

    A matrix along rows or columns of maps is a resizing, whose weights are not trained.
    """
    is_left = bool(node.inputs) and node.inputs[0] in importer.constants
    w, x = importer.required(node, 1 - is_left), importer.value(node, int(is_left))
    while w.ndim > 2 and w.shape[0] == 1 and w.ndim <= len(x.axes):
        w = w[0]
    if w.ndim == 2 and len(x.axes) == 4 and x.ours == standard(x.axes):
        _resample(importer, node, w if is_left else w.T, x, 2 if is_left else 3)
        return
    if is_left:
        node.fail(f"it multiplies {w.shape} and {x.shape}; expected maps, or the constant second")
    if len(x.axes) < 3 or w.ndim != 2 or w.shape[0] != length(x.axes[-1]):
        _linear(importer, node, w, None)
        return
    last = len(x.axes) - 1
    ours = with_joined(x, [last])
    if len(ours) != 4:
        ours = (importer.batch, flat(ours[1:-1]), (), ours[-1])
    x = importer.arranged(node, x, ours)
    layer = Conv2d(w.shape[0], w.shape[1], 1, bias=False)
    put(layer.weight, in_order(w, x.axes[-1:], ours[-1])[None, None], node)
    new = new_axis(w.shape[1])
    name = importer.add(node, layer, x)
    importer.give(node, Value(name, replaced(x.axes, last, new), replaced(ours, 3, new)))


def _resample(importer: Importer, node: Node, w: np.ndarray, x: Value, axis: int) -> None:
    """w along rows (axis 2) or columns of maps; the other one of the two joins the layer before."""
    if w.shape[1] != length(x.axes[axis]):
        node.fail(f"it multiplies maps {x.shape} and a matrix with {w.shape[1]} rows")
    new, name = new_axis(w.shape[0]), "rows" if axis == 2 else "columns"
    axes = replaced(x.axes, axis, new)
    before = importer.only_reader(x)
    if isinstance(before, Resample2d) and getattr(before, name) is None:
        importer.layers[x.node] = Resample2d(
            **{"rows": before.rows, "columns": before.columns, name: w}
        )
        importer.give(node, Value(x.node, axes, standard(axes)))
        return
    importer.give(node, Value(importer.add(node, Resample2d(**{name: w}), x), axes, standard(axes)))


@operator("radial basis")
def radial_basis(importer: Importer, node: Node) -> None:
    """The squared distances to codes; see `minicnn.onnx.structures`."""
    x, codes = importer.value(node), importer.required(node, 1)
    if len(x.axes) != 2 or codes.shape[1] != length(x.axes[1]):
        node.fail(f"it compares {x.shape} with codes {codes.shape}; expected as many features")
    x = importer.arranged(node, x, x.axes)
    axes = (importer.batch, new_axis(len(codes)))
    importer.give(node, Value(importer.add(node, RBF(codes), x), axes, axes))


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
    ours = tuple(atom for atom in flat(x.ours) if not atom.is_batch)
    w = in_order(w, x.axes[1:], ours)
    if len(x.ours) != 2:
        name = importer.add(node, Flatten(), x, name=f"{x.node}_flatten")
        x = Value(name, x.axes, (importer.batch, ours))
    layer = Linear(features, outputs, bias=b is not None)
    put(layer.weight, w, node)
    if b is not None:
        put(layer.bias, b, node)
    axes = (importer.batch, new_axis(outputs))
    importer.give(node, Value(importer.add(node, layer, x), axes, axes))
