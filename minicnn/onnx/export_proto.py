"""The protobuf message of an exported graph, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._version import __version__
from ..kernels.types import Shape
from .export_graph import GraphWriter, Node, Value

BATCH = "N"  # the name of a batch size that is left open
LIMIT = 2**31 - 1  # bytes in a protobuf message


@dataclass(frozen=True)
class Ends:
    """The input and the output of a graph.

    batch: the number of images; None leaves it open.
    """

    input: Value
    output: Value
    batch: int | None


def model_proto(onnx: Any, graph: GraphWriter, ends: Ends, properties: Mapping[str, str]) -> Any:
    """The ModelProto of the graph, checked with the shapes of all values.

    Raises ValueError for a graph that is larger than protobuf allows, or that is not valid.
    """
    size = sum(array.nbytes for array in graph.constants.values())
    if size > LIMIT - (1 << 20):
        raise ValueError(
            f"the weights have {size / 1e9:.1f} GB, and a single ONNX file at most 2 GB; "
            "there is no export in several files"
        )
    helper = onnx.helper

    def about(value: Value) -> Any:
        dims = (ends.batch or BATCH, *_sizes(value))
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(value.kind))
        return helper.make_tensor_value_info(value.name, kind, dims)

    proto = helper.make_graph(
        [_node(helper, node) for node in graph.nodes],
        properties["network"],
        [about(ends.input)],
        [about(ends.output)],
        [onnx.numpy_helper.from_array(a, name) for name, a in graph.constants.items()],
        value_info=[about(value) for value in graph.values.values()],
    )
    opsets = [helper.make_opsetid("", graph.opset)]
    model = helper.make_model(
        proto,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="minicnn",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(properties))
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        text = str(error).strip().partition("\n")[0]
        raise ValueError(f"the exported graph is not valid: {text}") from None
    return model


def _sizes(value: Value) -> Shape:
    """The sizes of the axes in the graph, without the batch."""
    if len(value.shape) != 4 or value.channels_last:
        return value.shape[1:]
    _, height, width, channels = value.shape
    return channels, height, width


def _node(helper: Any, node: Node) -> Any:
    return helper.make_node(
        node.operator, list(node.inputs), [node.output], node.name, **node.attributes
    )
