"""An ONNX file: its nodes, its constants, and what it says about its input and output."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from .node import FLOATS, Node
from .package import onnx_package
from .patterns import with_groups

DOMAINS = ("", "ai.onnx")
NEWEST = 28  # the newest version of the operators whose forms were compared
BYTES = 2  # uint8, of TensorProto


@dataclass
class File:
    """What is read of a file.

    nodes: in the order of computation. constants: its initializers by name. input: the name of its
    input. shape: that of its input, without the batch; 0 for an unknown size. batch: the images in
    it, 1 if unknown. output: the name of its output. has_bytes: its input are integers of 8 bits.
    properties: its metadata.
    """

    nodes: list[Node]
    constants: dict[str, np.ndarray]
    input: str
    shape: tuple[int, ...]
    batch: int
    output: str
    has_bytes: bool = False
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def transposes_input(self) -> bool:
        """True if its images are (N, H, W, C): the first thing it does is to put C before H."""
        readers = [node for node in self.nodes if self.input in node.inputs]
        return bool(readers) and all(
            node.op == "Transpose" and node.attributes.get("perm") == [0, 3, 1, 2]
            for node in readers
        )


def read(path: Path, output: str | None = None) -> File:
    """The contents of an ONNX file. output: the name of the output, if it has several.

    Raises CheckpointError if it is missing, damaged, or has a form that is not read.
    """
    onnx = onnx_package()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"it cannot be read: {error.strerror}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # DecodeError of protobuf, which is no dependency of ours
        raise CheckpointError("it is not an ONNX file, or damaged") from None
    graph = model.graph
    if not graph.node:
        raise CheckpointError("it is not an ONNX file, or damaged: it has no nodes")
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = max((opsets[d] for d in DOMAINS if d in opsets), default=1)
    if not 1 <= opset <= NEWEST:
        raise CheckpointError(f"its opset is {opset}; expected 1 to {NEWEST}")
    if model.functions or graph.sparse_initializer:
        raise CheckpointError("it has functions or sparse tensors, which are not read")
    constants = {t.name: _tensor(t, path.parent, len(data)) for t in graph.initializer}
    nodes = [_node(proto, opset, path.parent, len(data)) for proto in graph.node]
    nodes = with_groups(nodes, constants, [value.name for value in graph.output])
    given = _input(graph, constants, nodes)
    name, shape, batch = _shape(given)
    return File(
        nodes=nodes,
        constants=constants,
        input=name,
        shape=shape,
        batch=batch,
        output=_output(graph, output),
        has_bytes=given.type.tensor_type.elem_type == BYTES,
        properties={entry.key: entry.value for entry in model.metadata_props},
    )


def _node(proto: Any, opset: int, folder: Path, size: int) -> Node:
    node = Node(proto.op_type, proto.name, proto.input, proto.output)
    node.opset = opset
    if proto.domain not in DOMAINS:
        node.fail(f"its operators are those of {proto.domain!r}; expected those of ONNX")
    if not proto.op_type.isidentifier():  # the names of our own groups of nodes have spaces
        node.fail("this operator is not known")
    if not proto.output:
        node.fail("it has no output")
    for attribute in proto.attribute:
        node.attributes[attribute.name] = _attribute(attribute, node, folder, size)
    return node


def _attribute(attribute: Any, node: Node, folder: Path, size: int) -> Any:
    """The value of an attribute: a number, a word, a list, or an array."""
    onnx = onnx_package()
    kinds = onnx.AttributeProto
    name = attribute.name
    if attribute.type in (kinds.GRAPH, kinds.GRAPHS) or attribute.ref_attr_name:
        node.fail(f"{name}: it is a graph in the graph, which is not read")
    if attribute.type == kinds.TENSOR:
        return _tensor(attribute.t, folder, size)
    try:
        value = onnx.helper.get_attribute_value(attribute)
    except (ValueError, TypeError):
        node.fail(f"{name}: an attribute of a type that is not read")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (int, float)):
        return value
    found = None if value is None or hasattr(value, "DESCRIPTOR") else list(value)
    if found is None or not all(isinstance(item, (int, float)) for item in found):
        node.fail(f"{name}: an attribute of a type that is not read")
    return found


def _tensor(tensor: Any, folder: Path, size: int) -> np.ndarray:
    """A constant of the file.

    Raises CheckpointError if it has more elements than the file can hold, or is in a file that is
    not in the folder of the model.
    """
    onnx = onnx_package()
    dims = tuple(tensor.dims)
    where = f"the constant {tensor.name!r}"
    if any(n < 0 for n in dims):
        raise CheckpointError(f"{where} has the shape {dims}")
    try:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return _external(tensor, folder, where)
        if math.prod(dims) > 2 * size:  # two 4-bit numbers in a byte
            raise CheckpointError(f"{where} has the shape {dims}; the file has {size:,} bytes")
        return np.asarray(onnx.numpy_helper.to_array(tensor)).reshape(dims)
    except CheckpointError:
        raise
    except Exception as error:  # what NumPy and the package say of numbers that do not fit
        text = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{where} is damaged: {text}") from None


def _external(tensor: Any, folder: Path, where: str) -> np.ndarray:
    """A constant in a file beside the model."""
    onnx = onnx_package()
    about = {entry.key: entry.value for entry in tensor.external_data}
    path = (folder / about.get("location", "")).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise CheckpointError(
            f"{where} is in {about.get('location')!r}; expected a file in the folder of the model"
        )
    kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    count, first = math.prod(tensor.dims), int(about.get("offset", 0))
    end = first + count * kind.itemsize
    if first < 0 or end > path.stat().st_size or kind.kind not in "fiub":
        raise CheckpointError(f"{where} is damaged: {path.name} ends before it")
    with path.open("rb") as file:
        file.seek(first)
        data = file.read(count * kind.itemsize)
    return np.frombuffer(data, kind.newbyteorder("<")).reshape(tuple(tensor.dims)).astype(kind)


def _input(graph: Any, constants: dict[str, np.ndarray], nodes: list[Node]) -> Any:
    """The one input that is no constant."""
    computed = {name for node in nodes for name in node.outputs}
    read = {name for node in nodes for name in node.inputs}
    given = [i for i in graph.input if i.name in read and i.name not in constants.keys() | computed]
    if len(given) != 1:
        names = ", ".join(i.name for i in given) or "none"
        raise CheckpointError(f"its inputs are {names}; expected one that is no constant")
    return given[0]


def _shape(given: Any) -> tuple[str, tuple[int, ...], int]:
    """The name and the shape of an input, and its batch."""
    kind = given.type.tensor_type
    dims = [d.dim_value for d in kind.shape.dim]
    if kind.elem_type not in (*FLOATS, BYTES):
        raise CheckpointError(f"its input {given.name!r} is no array of floats, or of uint8")
    if not dims or any(not 0 <= d < 2**31 for d in dims):
        raise CheckpointError(f"its input {given.name!r} has the shape {tuple(dims)}")
    return given.name, tuple(dims[1:]), dims[0] or 1


def _output(graph: Any, output: str | None) -> str:
    names = [o.name for o in graph.output]
    if output is None and len(names) != 1:
        raise CheckpointError(
            f"it has the outputs {', '.join(names) or 'none'}; choose one: output=NAME"
        )
    if output is not None and output not in names:
        raise CheckpointError(f"it has no output {output!r}; it has {', '.join(names)}")
    return output or names[0]
