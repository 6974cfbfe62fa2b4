"""The graph that export builds, and the table of rules: one rule per class of layers.

A rule is a function `rule(layer, x, graph)` that adds nodes for one layer to the graph and returns
the value of its output. In the graph images are `(N, C, H, W)`, as in every ONNX file; a `Value`
has the shape that minicnn has for it, `(N, H, W, C)`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..device import to_host
from ..kernels.types import Array, Shape
from ..layers import Layer
from ..layers.checks import inside
from ..layers.tree import join

OPSET = 17  # of 2022: every runtime has it, and no layer needs a later one
INPUT, OUTPUT = "input", "output"  # the names of the graph's own input and output


@dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    name: its name in the graph.
    shape: that of the array in minicnn, `(N, H, W, C)` or `(N, features)`.
    maps: the (H, W, C) of flattened maps. Their features are in the order channel, row, column in
        the graph, and in the order row, column, channel in minicnn. Empty where the two agree.
    kind: the type of its elements.
    channels_last: images are `(N, H, W, C)` in the graph, too.
    """

    name: str
    shape: Shape
    maps: Shape = ()
    kind: str = "float32"
    channels_last: bool = False


@dataclass(frozen=True)
class Node:
    """One operator of the graph, before it becomes a NodeProto."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


Rule = Callable[[Any, Any, "GraphWriter"], Value]


@dataclass(frozen=True)
class _Entry:
    write: Rule
    any_order: bool


_rules: dict[type[Layer], _Entry] = {}


def rule(*kinds: type[Layer], any_order: bool = False) -> Callable[[Rule], Rule]:
    """Decorate the rule of a class of layers, or of several.

        @rule(Scale)
        def scale(layer, x, graph):
            return graph.add("Mul", x, layer.factor)

    Subclasses have the same rule unless they override forward or what it calls.
    any_order: True for a rule that reads `x.maps`. Others get the features in minicnn's order.
    """

    def decorate(function: Rule) -> Rule:
        for kind in kinds:
            _rules[kind] = _Entry(function, any_order)
        return function

    return decorate


def has_rule(layer: Layer) -> bool:
    """True if a rule exists for the forward of this layer."""
    return _find(layer) is not None


def _find(layer: Layer) -> _Entry | None:
    own = type(layer)
    kind = next((kind for kind in own.__mro__ if kind in _rules), None)
    return _rules[kind] if kind and _has_arithmetic_of(own, kind) else None


def _has_arithmetic_of(own: type[Layer], kind: type[Layer]) -> bool:
    """True if a subclass overrides neither forward nor a method that its forward may call."""
    names = {n for n in set(dir(kind)) - set(dir(Layer)) if callable(getattr(kind, n))}
    return all(getattr(own, n) is getattr(kind, n) for n in names | {"forward"})


@dataclass
class GraphWriter:
    """The graph so far, with which rules add nodes.

    opset: the version of ONNX's operators.
    fold: batch norms are folded into the convolutions before them.
    layer: the dotted name of the layer whose rule is running; nodes and constants are named after
        it: the first node of C1 is C1, another one C1/Relu, and its weights are C1.weight.
    """

    opset: int = OPSET
    fold: bool = False
    layer: str = ""
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    _node_names: set[str] = field(default_factory=set)
    _tensor_names: set[str] = field(default_factory=lambda: {INPUT, OUTPUT})

    @property
    def place(self) -> str:
        """The layer whose rule is running, for an error."""
        return self.layer or "the network"

    def call(self, layer: Layer, x: Any, name: str) -> Value:
        """The output of a layer called `name` in the one whose rule is running, for the input x.

        x: a value; a tuple of them for a layer that joins.
        Raises ValueError for a layer without a rule, or a rule whose result has another shape than
        the layer's.
        """
        with self._within(name):
            entry = _find(layer)
            if entry is None:
                kind = type(layer).__name__
                raise ValueError(
                    f"{self.place}: {kind} has no rule for ONNX; write one with "
                    f"@minicnn.onnx.rule({kind}), see `minicnn docs onnx`"
                )
            if not entry.any_order:
                x = tuple(map(self.in_order, x)) if layer.joins else self.in_order(x)
            y = entry.write(layer, x, self)
            self._check(layer, x, y)
        return y

    def _check(self, layer: Layer, x: Any, y: Any) -> None:
        name = type(layer).__name__
        if not isinstance(y, Value):
            raise ValueError(
                f"{self.place}: the ONNX rule of {name} returned {type(y).__name__}; expected the "
                "value that graph.add returns"
            )
        shape = layer.output_shape(tuple(v.shape for v in x) if layer.joins else x.shape)
        if y.shape != shape:
            raise ValueError(
                f"{self.place}: the ONNX rule of {name} gives {y.shape}, and the layer {shape}: "
                "pass shape=... to graph.add where the shape changes"
            )

    @contextmanager
    def _within(self, name: str) -> Iterator[None]:
        outer, self.layer = self.layer, join(self.layer, name) if name else self.layer
        try:
            with inside(name) if name else nullcontext():
                yield
        finally:
            self.layer = outer

    def add(
        self,
        operator: str,
        *inputs: Any,
        shape: Shape | None = None,
        kind: str | None = None,
        channels_last: bool | None = None,
        **attributes: Any,
    ) -> Value:
        """Add a node, and return its output.

        inputs: values, names of constants, arrays and numbers; None for an optional one that is
            absent. Arrays with one number per channel must be given as `per_channel(array, x)`.
        shape, kind, channels_last: those of the output; by default those of the first input.
        attributes: those of the operator.
        """
        first = next((value for value in inputs if isinstance(value, Value)), None)
        if first is None:
            raise ValueError(f"{self.place}: {operator} has no value among its inputs")
        name = _unused(self._node_names, self.layer or operator, operator)
        names = tuple(self._input(name, i, value) for i, value in enumerate(inputs))
        output = _unused(self._tensor_names, name, operator)
        self.nodes.append(Node(operator, name, names, output, attributes))
        last = first.channels_last if channels_last is None else channels_last
        y = replace(first, name=output, kind=kind or first.kind, channels_last=last)
        if shape is not None:
            y = replace(y, shape=tuple(shape), maps=(), channels_last=last and len(shape) == 4)
        self.values[output] = y
        return y

    def constant(self, name: str, array: Array) -> str:
        """Add an array, such as a weight in the layout of ONNX; returns its name in the graph.

        Floating-point numbers become float32, integers int64.
        """
        array = to_host(array)
        kind = np.int64 if array.dtype.kind in "iu" else np.float32
        name = _unused(self._tensor_names, join(self.layer, name), "constant")
        self.constants[name] = np.ascontiguousarray(array, kind)
        return name

    def in_order(self, x: Value) -> Value:
        """The same features in minicnn's order."""
        if not x.maps:
            return x
        height, width, channels = x.maps
        sizes = np.array([0, channels, height, width])  # 0: as before
        y = self.add("Reshape", x, sizes, shape=(x.shape[0], *x.maps), channels_last=False)
        y = self.transposed(y, channels_last=True)
        return self.add("Flatten", y, shape=x.shape, axis=1)

    def transposed(self, x: Value, channels_last: bool) -> Value:
        """Images as `(N, H, W, C)`, or as (N, C, H, W), in the graph. Other arrays stay."""
        if len(x.shape) != 4 or x.channels_last == channels_last:
            return x
        axes = [0, 2, 3, 1] if channels_last else [0, 3, 1, 2]
        return self.add("Transpose", x, channels_last=channels_last, perm=axes)

    def finish(self, y: Value) -> Value:
        """Give the graph's output its name."""
        if not self.nodes or y.name == INPUT:
            y = self.add("Identity", y)
        self.nodes = [
            replace(
                node,
                inputs=tuple(OUTPUT if name == y.name else name for name in node.inputs),
                output=OUTPUT if node.output == y.name else node.output,
            )
            for node in self.nodes
        ]
        del self.values[y.name]
        return replace(y, name=OUTPUT)

    def _input(self, node: str, place: int, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, Value):
            return value.name
        if isinstance(value, str):
            return value
        array = np.asarray(float(value) if isinstance(value, (int, float)) else value)
        outer, self.layer = self.layer, ""
        try:
            return self.constant(f"{node}.{place}", array)
        finally:
            self.layer = outer


def _unused(taken: set[str], first: str, kind: str) -> str:
    """A name that is not taken, which is then taken: `first`, or `first/kind`, numbered."""
    name, number = first, 1
    while name in taken:
        name = f"{first}/{kind}" + (f"_{number}" if number > 1 else "")
        number += 1
    taken.add(name)
    return name


def per_channel(array: Array, x: Value) -> Array:
    """`(C,)` as `(C, 1, 1)` if x are images, so that it is broadcast along the channels of x."""
    return array.reshape(-1, 1, 1) if len(x.shape) == 4 else array


def channel_axis(shape: Shape) -> int:
    """The axis of the channels in the graph: 1 for images, otherwise the last one."""
    return 1 if len(shape) == 4 else len(shape) - 1
