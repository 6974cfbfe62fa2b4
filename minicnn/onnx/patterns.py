"""Groups of nodes that together are one layer, found by what they compute.

Programs write a layer that their opset lacks as several nodes, each in its own way: GELU as
x / 2 * (1 + erf(x / sqrt(2))), or with the half elsewhere. A group of elementwise nodes that read
one tensor is a function of numbers. Its values for some numbers are compared with those of our
layers, so that the form does not matter. Layer normalization is found in the same way.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from ..kernels.reference import activation as f
from ..kernels.reference.functions import erf, softplus
from .node import FLOATS, Node
from .structures import Structures

LARGEST = 16  # nodes in a group
TOLERANCE = 5e-5  # of the values, also for constants of float16

# The functions that a group may become: the operator, its attributes, and what it computes.
KNOWN: tuple[tuple[str, dict[str, Any], Callable[[np.ndarray], np.ndarray]], ...] = (
    ("Relu", {}, f.relu),
    ("Clip", {"min": 0.0, "max": 6.0}, f.relu6),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, f.hard_sigmoid),
    ("HardSwish", {}, f.hard_swish),
    ("Swish", {}, f.silu),
    ("Gelu", {}, f.gelu),
    ("Gelu", {"approximate": "tanh"}, f.gelu_tanh),
    ("scaled tanh", {}, f.scaled_tanh),
)
OPSETS = {"Clip": 6, "Gelu": 20, "HardSwish": 14, "Swish": 24}
PROBES = np.concatenate([np.linspace(-12, 12, 241), np.outer([-1, 1], [25, 300, 1e4, 1e37]).flat])
SAMPLE = np.random.default_rng(0).standard_normal((2, 3, 4, 5))


@cache
def _expected() -> list[np.ndarray]:
    """The values of the functions of `KNOWN`."""
    with np.errstate(all="ignore"):
        return [function(PROBES) for _, _, function in KNOWN]


def _clip(node: Node, x: np.ndarray, low: Any = None, high: Any = None) -> np.ndarray:
    low = node.attributes.get("min", -math.inf) if low is None else low
    high = node.attributes.get("max", math.inf) if high is None else high
    return np.minimum(np.maximum(x, low), high)


def _hard_sigmoid(node: Node, x: np.ndarray) -> np.ndarray:
    alpha, beta = (node.attributes.get(n, d) for n, d in (("alpha", 0.2), ("beta", 0.5)))
    return np.clip(alpha * x + beta, 0, 1)


def _mean(node: Node, x: np.ndarray, axes: Any = None) -> np.ndarray:
    axes = _axes(node, axes)
    if not axes or not node.attributes.get("keepdims", 1):
        raise ValueError("no normalization")
    return x.mean(tuple(axes), keepdims=True)


def _cast(node: Node, x: np.ndarray) -> np.ndarray:
    if node.attributes.get("to") not in FLOATS:
        raise ValueError("no floats")
    return x


def _axes(node: Node, axes: Any) -> list[int]:
    """The axes of a mean, an attribute or an input."""
    found = node.attributes.get("axes", []) if axes is None else np.atleast_1d(axes)
    return sorted(int(axis) for axis in found)


COMPUTE: dict[str, Callable[..., np.ndarray]] = {
    **{"Add": lambda n, a, b: a + b, "Sub": lambda n, a, b: a - b},
    **{"Mul": lambda n, a, b: a * b, "Div": lambda n, a, b: a / b},
    **{"Pow": lambda n, a, b: a**b, "Neg": lambda n, a: -a, "Sqrt": lambda n, a: np.sqrt(a)},
    **{"Reciprocal": lambda n, a: 1 / a, "Abs": lambda n, a: abs(a)},
    **{"Exp": lambda n, a: np.exp(a), "Log": lambda n, a: np.log(a), "Erf": lambda n, a: erf(a)},
    **{"Relu": lambda n, a: f.relu(a), "Sigmoid": lambda n, a: f.sigmoid(a)},
    **{"Tanh": lambda n, a: np.tanh(a), "Softplus": lambda n, a: softplus(a)},
    **{"HardSigmoid": _hard_sigmoid, "Clip": _clip, "ReduceMean": _mean},
    **{"Max": lambda n, a, b: np.maximum(a, b), "Min": lambda n, a, b: np.minimum(a, b)},
    **{"Identity": lambda n, a: a, "Cast": _cast},
}


def with_groups(
    nodes: list[Node], constants: Mapping[str, np.ndarray], outputs: list[str]
) -> list[Node]:
    """The nodes with one node in place of each group. outputs: tensors that the file gives."""
    finder = _Finder(nodes, constants, outputs)
    for node in reversed(nodes):  # a larger group before those in it
        if id(node) not in finder.removed:
            finder.replace(node)
    replaced = [finder.made.get(id(node), node) for node in nodes]
    return [node for node in replaced if id(node) not in finder.removed]


class _Finder:
    """The nodes by what they make and read.

    made: a node for the last one of each group. removed: the other nodes of the groups.
    """

    def __init__(self, nodes: list[Node], constants: Mapping[str, np.ndarray], outputs: list[str]):
        self.constants = dict(constants)
        for node in nodes:
            if node.op == "Constant" and "value" in node.attributes:
                self.constants[node.outputs[0]] = np.asarray(node.attributes["value"])
        self.makers = {name: node for node in nodes for name in node.outputs}
        self.readers = Counter([*(name for node in nodes for name in node.inputs), *outputs])
        self.structures = Structures(self.makers, self.readers, self.constants)
        self.made: dict[int, Node] = {}
        self.removed: set[int] = set()

    def replace(self, last: Node) -> None:
        """Replace the largest group that ends with this node and is known."""
        structure = self.structures.find(last)
        if structure is not None:
            self.made[id(last)] = structure[0]
            self.removed |= {id(one) for one in structure[1]}
            return
        if last.op not in COMPUTE:
            return
        for x, group in self.groups(last):
            found = self.normalization(last, x) or self.activation(last, x)
            if found is not None:
                op, attributes = found
                node = Node(op, last.name, [x], last.outputs)
                node.attributes, node.opset = attributes, OPSETS.get(op, last.opset)
                self.made[id(last)] = node
                self.removed |= {id(one) for one in group if one is not last}
                return

    def groups(self, last: Node) -> Iterator[tuple[str, list[Node]]]:
        """The groups that end with a node, with the tensor that each reads, the largest first."""
        names, waiting = list[str](), [last]
        while waiting and len(names) < LARGEST:
            for name in waiting.pop(0).inputs:
                if name and name not in names and name not in self.constants:
                    names.append(name)
                    maker = self.makers.get(name)
                    if maker is not None and maker.op in COMPUTE:
                        waiting.append(maker)
        for x in reversed(names):
            group = self.between(last, x)
            if group is not None and len(group) > 1:
                yield x, group

    def between(self, last: Node, x: str) -> list[Node] | None:
        """The nodes that compute the output of the last one from x; None if others need them."""
        group, waiting = [last], [last]
        while waiting:
            node = waiting.pop()
            for name in node.inputs:
                maker = self.makers.get(name)
                if name == x or name in self.constants or not name:
                    continue
                if maker is None or maker.op not in COMPUTE or id(maker) in self.made:
                    return None
                if not any(maker is one for one in group):
                    group.append(maker)
                    waiting.append(maker)
            if len(group) > LARGEST:
                return None
        inside = Counter(name for node in group for name in node.inputs)
        own = [name for node in group if node is not last for name in node.outputs]
        is_whole = all(self.readers[name] == inside[name] for name in own)
        return group if is_whole else None

    def value(self, name: str, x: str, given: np.ndarray, known: dict[str, np.ndarray]) -> Any:
        """A tensor of the group, for an array in place of x."""
        if name == x:
            return given
        if name in self.constants:
            array = self.constants[name]
            if array.size != 1 and array.dtype.kind == "f":
                raise ValueError("no number")
            return array.astype(np.float64).reshape(()) if array.size == 1 else array
        if name not in known:
            node = self.makers[name]
            read = [self.value(n, x, given, known) if n else None for n in node.inputs]
            known[name] = COMPUTE[node.op](node, *read)
        return known[name]

    def computed(self, last: Node, x: str, given: np.ndarray) -> np.ndarray | None:
        """What the group makes of an array; None if it is no function of numbers."""
        try:
            with np.errstate(all="ignore"):
                found = self.value(last.outputs[0], x, given, {})
        except (ValueError, TypeError, IndexError, KeyError, RecursionError):  # also of a cycle
            return None
        return found if np.shape(found) == given.shape else None

    def activation(self, last: Node, x: str) -> tuple[str, dict[str, Any]] | None:
        """The function of `KNOWN` that the group computes."""
        y = self.computed(last, x, PROBES)
        if y is None or not np.isfinite(y).all():
            return None
        errors = [(abs(y - e) / np.maximum(abs(e), 1)).max() for e in _expected()]
        best = int(np.argmin(errors))
        return KNOWN[best][:2] if errors[best] < TOLERANCE else None

    def normalization(self, last: Node, x: str) -> tuple[str, dict[str, Any]] | None:
        """(x - mean) / sqrt(var + eps), if the group computes it for some axes and eps."""
        means = [n for n in self.between(last, x) or [] if n.op == "ReduceMean"]
        axes = [_axes(node, self.constants.get((*node.inputs, "")[1])) for node in means]
        y = self.computed(last, x, SAMPLE) if means else None
        if y is None or any(a != axes[0] for a in axes):
            return None
        along = tuple(axes[0])
        centered = SAMPLE - SAMPLE.mean(along, keepdims=True)
        with np.errstate(all="ignore"):
            eps = (centered / y) ** 2 - (centered**2).mean(along, keepdims=True)
        number = float(np.median(eps))
        is_same = abs(eps - number).max() < 1e-9 + 1e-6 * abs(number)
        if not is_same or number < -1e-12 or (centered * y < 0).any():
            return None
        return "decomposed normalization", {"axes": axes[0], "epsilon": max(number, 0.0)}
