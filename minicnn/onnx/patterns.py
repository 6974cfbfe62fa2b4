"""Groups of nodes that together are one operator.

Up to opset 19 there is no Gelu: programs write x / 2 * (1 + erf(x / sqrt(2))) as five nodes.
"""

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from .node import Node


def with_gelu(nodes: list[Node], constants: Mapping[str, np.ndarray]) -> list[Node]:
    """The nodes with one Gelu in place of each such group."""
    if not any(node.op == "Erf" for node in nodes):
        return nodes
    group = _Groups(nodes, constants)
    for erf in [node for node in nodes if node.op == "Erf"]:
        group.replace(erf)
    return [node for node in group.nodes if id(node) not in group.removed]


class _Groups:
    """The nodes by what they make and read."""

    def __init__(self, nodes: list[Node], constants: Mapping[str, np.ndarray]):
        self.nodes = list(nodes)
        self.constants = dict(constants)
        for node in nodes:
            if node.op == "Constant" and "value" in node.attributes:
                self.constants[node.outputs[0]] = np.asarray(node.attributes["value"])
        self.makers = {name: node for node in nodes for name in node.outputs}
        self.count = Counter(name for node in nodes for name in node.inputs)
        self.removed: set[int] = set()

    def operand(self, node: Node | None, op: str, number: float) -> str | None:
        """x of a node `op` of x and that constant; None for another node."""
        if node is None or node.op != op or len(node.inputs) != 2:
            return None
        for x, other in (node.inputs, node.inputs[::-1]):
            array = self.constants.get(other)
            if array is not None and array.size == 1 and array.dtype.kind == "f":
                found = float(array.reshape(()))
                is_first = op != "Div" or other == node.inputs[1]
                if is_first and math.isclose(found, number, rel_tol=1e-3):
                    return x
        return None

    def reader(self, name: str) -> Node | None:
        """The one node that reads a tensor; None if there are several."""
        found = [node for node in self.nodes if name in node.inputs]
        return found[0] if len(found) == 1 and self.count[name] == 1 else None

    def replace(self, erf: Node) -> None:
        """Replace the group around this node, if it is one."""
        scale = self.makers.get(erf.inputs[0])
        x = self.operand(scale, "Div", math.sqrt(2)) or self.operand(scale, "Mul", math.sqrt(0.5))
        add = self.reader(erf.outputs[0])
        if x is None or scale is None or self.operand(add, "Add", 1.0) != erf.outputs[0]:
            return
        assert add is not None
        product = self.reader(add.outputs[0])
        if product is None or product.op != "Mul" or len(product.inputs) != 2:
            return
        (other,) = [n for n in product.inputs if n != add.outputs[0]] or [""]
        last, parts = product, [scale, erf, add, product]
        half = self.makers.get(other)
        if other == x:  # x (1 + erf) / 2
            found = self.reader(product.outputs[0])
            if found is None or self.operand(found, "Mul", 0.5) != product.outputs[0]:
                return
            last = found
            parts.append(found)
        elif half is not None and self.operand(half, "Mul", 0.5) == x and self.count[other] == 1:
            parts.append(half)  # (x / 2) (1 + erf)
        else:
            return
        if self.count[erf.inputs[0]] != 1:
            return
        gelu = Node("Gelu", last.name, [x], last.outputs)
        gelu.opset = 20
        self.nodes[next(i for i, node in enumerate(self.nodes) if node is last)] = gelu
        self.removed |= {id(node) for node in parts}
