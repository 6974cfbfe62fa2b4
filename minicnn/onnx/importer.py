"""The network of an ONNX file, made node by node."""

import re
from collections import Counter
from typing import Any

import numpy as np

from ..errors import CheckpointError, ShapeError
from ..kernels.types import Shape
from ..layers import (
    Affine,
    Flatten,
    FlipChannels,
    Graph,
    Identity,
    Layer,
    Pad2d,
    Permute,
    Reshape,
    Scale,
    Slice,
)
from ..layers.graph import INPUT
from ..layers.init import skip_init
from ..weights.checks import check_weights
from . import operators
from .axes import Atom, Axes, Axis, Value, flat, length, new_axis, standard
from .fold import fold
from .node import Node
from .read import File

# What Python and NumPy say of attributes and constants that do not fit, as in a damaged file.
DAMAGE = (
    *(ShapeError, ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError),
    *(KeyError, AttributeError, MemoryError),
)
# Operators that move numbers, whatever their type is.
MOVES = (
    *("Concat", "Flatten", "Gather", "Identity", "Reshape", "Shape", "Slice", "Split", "Squeeze"),
    *("Transpose", "Unsqueeze"),
)
# Those that read a tensor whose batch is joined with other axes, or not the first axis.
MIXES = ("Flatten", "Gather", "Identity", "Reshape", "Split", "Squeeze", "Transpose", "Unsqueeze")
IMAGE_LAYERS = (Affine, Flatten, FlipChannels, Pad2d, Permute, Reshape, Scale, Slice)
PROTOTYPE = Graph(Flatten())  # the attributes of a network are no names of layers


class Importer:
    """The layers that were made up to now, and the tensors of the file.

    values: the tensors that are computed, by their names. constants: those that are not.
    layers, inputs: as `Graph` takes them.
    """

    def __init__(self, file: File, input_shape: Shape, keep_softmax: bool = False):
        self.file, self.keep_softmax = file, keep_softmax
        self.constants: dict[str, np.ndarray] = dict(file.constants)
        self.values: dict[str, Value] = {}
        self.layers: dict[str, Any] = {}
        self.inputs: dict[str, tuple[str, ...]] = {}
        read = [name for node in file.nodes for name in node.inputs]
        self.readers = Counter([*read, file.output])
        self.waiting = Counter(self.readers)  # those that were not made yet
        self.bytes = {file.input} if file.has_bytes else set[str]()  # tensors of integers
        batch = (Atom(file.batch, True),)
        self.batch: Axis = batch
        axes = (batch, *map(new_axis, input_shape))
        is_nhwc = len(axes) == 4 and file.transposes_input
        self.values[file.input] = Value(INPUT, axes, axes if is_nhwc else standard(axes))

    def run(self) -> Graph:
        """The network of all nodes. Raises CheckpointError for one that is not known."""
        for node in self.file.nodes:
            computed = [name for name in node.inputs if name in self.values]
            unknown = [n for n in node.inputs if n and n not in self.values | self.constants]
            if unknown:
                node.fail(f"it reads {unknown[0]!r}, which is computed by no node before it")
            self._check_type(node, computed)
            try:
                if not computed or node.op == "Shape":
                    shapes = {name: self.values[name].shape for name in computed}
                    self.constants |= fold(node, self.constants, shapes)
                else:
                    with skip_init():
                        operators.find(node)(self, node)
                    node.finish()
            except CheckpointError:
                raise
            except DAMAGE as error:
                node.fail(" ".join(str(error).split()) or type(error).__name__)
            self.waiting.subtract(node.inputs)
        return self._graph()

    def _check_type(self, node: Node, computed: list[str]) -> None:
        """Raise CheckpointError for a node that computes with integers."""
        if self.bytes.isdisjoint(computed) or node.op == "Cast":
            return
        if node.op not in MOVES:
            node.fail("it computes with integers, uint8; expected a Cast to floats before it")
        self.bytes |= set(node.outputs)

    def _graph(self) -> Graph:
        if self.file.output not in self.values:
            raise CheckpointError(f"its output {self.file.output!r} does not depend on its input")
        last = self._output().node
        needed = self._needed(last)
        layers = {name: layer for name, layer in self.layers.items() if name in needed}
        layers[last] = layers.pop(last)  # the output comes last
        graph = Graph(inputs={n: self.inputs[n] for n in layers}, **layers)
        own = graph.state_dict()
        check_weights(own, own)
        return graph

    def _output(self) -> Value:
        """The output in ONNX's order of numbers, maps as (N, H, W, C), without axes of length 1.

        Maps with channels last stay as they are if the images of the file have channels last, too.
        """
        value = self.values[self.file.output]
        node = Node("output", self.file.output, [], [self.file.output])
        longer = tuple(axis for axis in value.axes if axis)
        is_nhwc = self.file.transposes_input and value.ours == value.axes
        is_map = len(value.axes) == 4 and len(longer) > 2 and not is_nhwc
        wanted = standard(value.axes) if is_map else (*longer, *[()] * (2 - len(longer)))
        if flat(wanted) != flat(value.ours) or len(value.ours) != len(wanted):
            value = self.arranged(node, value, wanted)
        if value.node == INPUT:
            value = Value(self.add(node, Identity(), value), value.axes, value.ours)
        return value

    def _needed(self, last: str) -> set[str]:
        """The layers that the output is computed from."""
        needed, waiting = {INPUT}, [last]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += self.inputs[name]
        return needed

    # --- what a node reads ---

    def value(self, node: Node, index: int = 0) -> Value:
        """The computed tensor that the node reads there. Raises CheckpointError for a constant."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.values:
            node.fail(f"its input {index + 1} is constant; expected one that is computed")
        value = self.values[name]
        if value.axes[:1] != (self.batch,) and node.op not in MIXES:
            node.fail(f"its input {value.shape} does not begin with the batch; expected that first")
        return value

    def constant(self, node: Node, index: int) -> np.ndarray | None:
        """The constant that the node reads there; None if it reads nothing there."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if not name:
            return None
        if name not in self.constants:
            node.fail(f"its input {index + 1}, {name!r}, is computed; expected a constant")
        return self.constants[name]

    def weights(self, node: Node, index: int) -> np.ndarray | None:
        """The same, in float32. Raises CheckpointError unless all of its numbers are finite."""
        found = self.constant(node, index)
        if found is not None and found.dtype.kind != "f" and found.dtype.name != "bfloat16":
            node.fail(f"its input {index + 1} is {found.dtype}; expected floating-point weights")
        if found is None:
            return None
        with np.errstate(over="ignore"):
            array = found.astype(np.float32, copy=False)
        if array.size and not np.isfinite(array.min() + array.max()):
            node.fail(f"its input {index + 1} holds numbers that are not finite in float32")
        return array

    def required(self, node: Node, index: int) -> np.ndarray:
        """The same. Raises CheckpointError if the node reads nothing there."""
        found = self.weights(node, index)
        if found is None:
            node.fail(f"its input {index + 1} is missing")
        return found

    def integers(self, node: Node, attribute: str, index: int, since: int) -> list[int] | None:
        """Integers that are an attribute up to an opset, and an input from opset `since` on."""
        if node.opset < since or index >= len(node.inputs):
            return node.integers(attribute)
        found = self.constant(node, index)
        if found is not None and (found.ndim > 1 or found.dtype.kind not in "iu"):
            node.fail(f"its input {index + 1} is {found.dtype} {found.shape}; expected integers")
        return None if found is None else [int(i) for i in np.atleast_1d(found)]

    def check_outputs(self, node: Node) -> None:
        """Raise CheckpointError if a second output of the node is read."""
        for number, name in enumerate(node.outputs[1:], 2):
            if name and self.readers[name]:
                node.fail(f"its output {number}, {name!r}, is read; only the first is computed")

    # --- our arrays ---

    def maps(self, node: Node, index: int = 0) -> Value:
        """A tensor (N, C, H, W), its array in the order (N, H, W, C); (N, C, L) as (N, C, L, 1)."""
        value = self.value(node, index)
        node.spatial = len(value.axes) - 2
        if node.spatial not in (1, 2):
            node.fail(
                f"its input has the shape {value.shape}; expected maps (N, C, H, W), or (N, C, L)"
            )
        axes = (*value.axes, ())[:4]
        return self.arranged(node, Value(value.node, axes, value.ours))

    def arranged(self, node: Node, value: Value, ours: Axes | None = None) -> Value:
        """The value with its array in the order `ours`, by layers that move numbers."""
        ours = standard(value.axes) if ours is None else ours
        if ours[:1] != (self.batch,) or flat(value.ours)[:1] != self.batch:
            node.fail("it moves the axis of the batch; expected it to be the first")
        atoms, wanted = flat(value.ours), flat(ours)
        name, now = value.node, tuple(map(length, value.ours))
        if atoms != wanted:
            if list(map(len, value.ours)) != [1] * len(atoms):
                one = Reshape(*(atom.size for atom in atoms[1:]))
                name = self._move(node, value.node, name, one)
            order = Permute(*(atoms.index(atom) for atom in wanted))
            name = self._move(node, value.node, name, order)
            now = tuple(atom.size for atom in wanted)
        after = tuple(map(length, ours))
        if now != after:
            layer = Flatten() if len(after) == 2 else Reshape(*after[1:])
            name = self._move(node, value.node, name, layer)
        return Value(name, value.axes, ours)

    def _move(self, node: Node, title: str, source: str, layer: Layer) -> str:
        name = self._name(node, f"{title}_{type(layer).__name__.lower()}")
        self.layers[name], self.inputs[name] = layer, (source,)
        return name

    # --- what a node makes ---

    def add(self, node: Node, layer: Layer, *values: Value, name: str = "") -> str:
        """A layer that reads these values; returns its name."""
        own = self._name(node, name or self._title(node))
        self.layers[own], self.inputs[own] = layer, tuple(value.node for value in values)
        return own

    def give(self, node: Node, value: Value, index: int = 0) -> None:
        """The value is an output of the node."""
        self.values[node.outputs[index]] = value

    def give_maps(self, node: Node, layer: Layer, value: Value) -> None:
        """The output is what `layer` makes of maps: (N, C, H, W), or (N, C, L)."""
        _, h, w, c = layer.output_shape(tuple(map(length, value.ours)))
        axes = (self.batch, new_axis(c), new_axis(h), new_axis(w))
        name = self.add(node, layer, value)
        self.give(node, Value(name, axes[: 2 + node.spatial], standard(axes)))

    def same(self, node: Node, layer: Layer, value: Value, name: str = "") -> Value:
        """What `layer` makes of each number of a value: the axes stay."""
        return Value(self.add(node, layer, value, name=name), value.axes, value.ours)

    def give_same(self, node: Node, layer: Layer, value: Value) -> None:
        """The output is what `layer` makes of each number."""
        self.give(node, self.same(node, layer, value))

    def only_reader(self, value: Value) -> Any:
        """The layer that gives a value, if one node reads it, which is the present one; or None."""
        layer = self.layers.get(value.node)
        waiting = sum(self.waiting[name] for name, v in self.values.items() if v.node == value.node)
        return layer if waiting == 1 else None

    def is_input(self, value: Value) -> bool:
        """True for the images themselves, cropped, padded, moved and scaled by numbers at most."""
        name = value.node
        while isinstance(self.layers.get(name), IMAGE_LAYERS):
            (name,) = self.inputs[name]
        return name == INPUT

    def _title(self, node: Node) -> str:
        """The name of the layer: that of its weights, of the node, or of its output."""
        for name in node.inputs[1:]:
            if name in self.file.constants and name.endswith((".weight", "/weight")):
                return name[:-7]
        is_number = re.fullmatch(r"[A-Za-z]?\d*", node.name)
        return node.outputs[0] if is_number else node.name

    def _name(self, node: Node, text: str) -> str:
        """A name for a layer: letters, digits and underscores, and none twice."""
        name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or node.op.lower()
        if name == INPUT or (hasattr(PROTOTYPE, name) and not name.isdigit()):
            name += "_"
        found, number = name, 2
        while found in self.layers:
            found, number = f"{name}_{number}", number + 1
        return found
