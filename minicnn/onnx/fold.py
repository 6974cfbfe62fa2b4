"""Nodes whose inputs are constants, such as the computation of a shape, are computed at once.

The `onnx` package's reference evaluator computes them, with these limits: only operators of this
list, and no result that is much larger than what it was made of.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..kernels.types import Shape
from .node import Node
from .package import onnx_package

MOST = 2**28  # elements of an array that a node fills with one number
ELEMENTWISE = (
    *("Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max"),
    *("Min", "Mod", "Mul", "Or", "Pow", "Sub", "Where"),
)
OTHERS = (
    *("Abs", "Cast", "CastLike", "Ceil", "Concat", "Exp", "Floor", "Gather", "Identity", "Log"),
    *("Neg", "Not", "Reciprocal", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape"),
    *("Round", "Shape", "Sign", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Transpose"),
    "Unsqueeze",
)
FILLING = ("Expand", "Range", "Tile")  # whose results are larger than what they are made of


def fold(
    node: Node, constants: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]
) -> dict[str, np.ndarray]:
    """The constants that a node gives. shapes: of the tensors that are computed.

    Raises CheckpointError for an operator that is not in the list.
    """
    if node.op == "Constant":
        return {node.outputs[0]: _constant(node)}
    if node.op == "ConstantOfShape":
        return {node.outputs[0]: _filled(node, constants[node.inputs[0]])}
    if node.op == "Dropout":
        return {node.outputs[0]: constants[node.inputs[0]]}
    if node.op not in ELEMENTWISE + OTHERS + FILLING:
        node.fail("its inputs are constant; this operator of constants is not known")
    if node.op == "Shape" and node.inputs[0] in shapes:
        found = np.array(shapes[node.inputs[0]], np.int64)
        return {node.outputs[0]: found[slice(node.integer("start"), _end(node))]}
    arrays = {name: constants[name] for name in node.inputs if name}
    if node.op in FILLING:
        _check_filled(node, [constants[name] for name in node.inputs])
    else:
        _check_size(node, list(arrays.values()))
    return _evaluated(node, arrays)


def _end(node: Node) -> int | None:
    return node.integer("end") if node.has("end") else None


def _constant(node: Node) -> np.ndarray:
    kinds = ("value", "value_float", "value_floats", "value_int", "value_ints")
    found = [node.attributes[kind] for kind in kinds if node.has(kind)]
    if len(found) != 1:
        node.fail(f"expected one of {', '.join(kinds)}")
    dtype = np.float32 if "float" in next(iter(node.attributes)) else None
    return np.asarray(found[0], None if hasattr(found[0], "shape") else dtype)


def _filled(node: Node, shape: np.ndarray) -> np.ndarray:
    """One number, repeated without memory."""
    sizes = tuple(int(n) for n in np.atleast_1d(shape)) if shape.size else ()
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
    if value.size != 1:
        node.fail(f"its value has the shape {value.shape}; expected one number")
    if any(n < 0 for n in sizes) or math.prod(sizes) > MOST:
        node.fail(f"it makes an array of shape {sizes}; expected at most {MOST:,} elements")
    return np.broadcast_to(value.reshape(()), sizes)


def _check_size(node: Node, arrays: list[np.ndarray]) -> None:
    """Raise CheckpointError if the result would be much larger than the arrays."""
    largest = max(array.size for array in arrays)
    size = sum(array.size for array in arrays)
    if node.op in ELEMENTWISE:
        size = math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
    elif node.op == "Gather" and len(arrays) == 2:
        axis = node.attributes.get("axis", 0)
        length = arrays[0].shape[axis] if -arrays[0].ndim <= axis < arrays[0].ndim else 1
        size = arrays[1].size * (arrays[0].size // max(length, 1))
    if size > MOST or (size > 1000 and size > 100 * max(largest, 1)):
        node.fail(f"it makes {size:,} numbers of {largest:,}; expected at most {MOST:,}")


def _check_filled(node: Node, arrays: list[np.ndarray]) -> None:
    """Raise CheckpointError if the result would have more elements than are allowed."""
    first, *others = arrays
    numbers = [int(n) for n in others[0].reshape(-1)] if others else []
    size = math.prod(max(n, 1) for n in numbers)
    if node.op == "Tile":
        size *= first.size
    elif node.op == "Expand":
        size *= max(first.size, 1)
    else:
        start, limit, step = (float(a.reshape(())) for a in arrays)
        size = math.ceil(abs((limit - start) / step))
    if size > MOST // 256:
        node.fail(f"it makes {size:,} numbers; expected at most {MOST // 256:,}")


def _evaluated(node: Node, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    onnx = onnx_package()
    from onnx.reference import ReferenceEvaluator

    attributes: dict[str, Any] = dict(node.attributes)
    proto = onnx.helper.make_node(node.op, node.inputs, node.outputs, **attributes)
    types = {name: onnx.helper.np_dtype_to_tensor_dtype(a.dtype) for name, a in arrays.items()}
    graph = onnx.helper.make_graph(
        [proto],
        "constants",
        [onnx.helper.make_tensor_value_info(name, types[name], None) for name in arrays],
        [onnx.helper.make_tensor_value_info(name, 0, None) for name in node.outputs],
    )
    opset = onnx.helper.make_opsetid("", node.opset)
    model = onnx.helper.make_model(graph, opset_imports=[opset])
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, dict(arrays))
    except Exception as error:  # whatever NumPy says of constants that do not fit together
        node.fail(f"its constants do not fit together: {' '.join(str(error).split())[:200]}")
    return {name: np.asarray(a) for name, a in zip(node.outputs, results, strict=False)}
