"""Groups of nodes with constants of their own that together are one of our layers.

`to_onnx` writes local response normalization of an even size or within a channel, and LeNet-5's
radial basis functions, in this form.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from .node import Node


class Structures:
    """The nodes by what they make, and how often a tensor is read."""

    def __init__(
        self, makers: Mapping[str, Node], readers: Counter[str], constants: Mapping[str, np.ndarray]
    ):
        self.makers, self.readers, self.constants = makers, readers, constants

    def find(self, last: Node) -> tuple[Node, list[Node]] | None:
        """The node in place of a group that ends with this one, and the others of the group."""
        if last.op == "ReduceSum":
            return self.radial_basis(last)
        return self.response_norm(last) if last.op == "Mul" else None

    def before(self, name: str, op: str, readers: int = 1) -> Node | None:
        """The node that makes a tensor, if it is that operator and nothing else reads it."""
        node = self.makers.get(name)
        is_own = node is not None and node.op == op and self.readers[name] == readers
        return node if is_own else None

    def with_number(self, name: str, op: str) -> tuple[Node, str, float] | None:
        """The node `op` that makes a tensor of another one and a number, and these two."""
        node = self.before(name, op)
        for place, x in enumerate(node.inputs if node and len(node.inputs) == 2 else ()):
            assert node is not None
            number = self.constants.get(node.inputs[1 - place])
            if number is not None and number.size == 1 and (place == 0 or op != "Pow"):
                return node, x, float(number.reshape(()))
        return None

    def square(self, name: str) -> tuple[Node, str] | None:
        """The node that makes a tensor as the product of one with itself, and that one."""
        node = self.before(name, "Mul")
        return (node, node.inputs[0]) if node and len(set(node.inputs)) == 1 else None

    def radial_basis(self, last: Node) -> tuple[Node, list[Node]] | None:
        """The sums of (x - codes)^2, for x (N, in) and codes (classes, in)."""
        axes = self.constants.get((*last.inputs, "")[1], np.array(last.attributes.get("axes", [])))
        square = self.square(last.inputs[0])
        sub = self.before(square[1], "Sub", 2) if square else None
        add = self.before(sub.inputs[0], "Unsqueeze") if sub else None
        codes = self.constants.get(sub.inputs[1]) if sub else None
        if not square or not sub or not add or codes is None or codes.ndim != 2:
            return None
        new = self.constants.get((*add.inputs, "")[1], np.array(add.attributes.get("axes", [])))
        if axes.tolist() != [2] or new.tolist() != [1] or last.attributes.get("keepdims", 1):
            return None
        node = Node("radial basis", last.name, [add.inputs[0], sub.inputs[1]], last.outputs)
        return node, [square[0], sub, add]

    def response_norm(self, last: Node) -> tuple[Node, list[Node]] | None:
        """x (k + c means of squares)^-beta; the means are sums of neighbors, or of windows."""
        for place, x in enumerate(last.inputs):
            power = self.with_number(last.inputs[1 - place], "Pow")
            add = self.with_number(power[1], "Add") if power else None
            scale = self.with_number(add[1], "Mul") if add else None
            if not power or not add or not scale:
                continue
            sums = self.makers.get(scale[1])
            square = self.square(sums.inputs[0]) if sums else None
            if not sums or not square or square[1] != x or self.readers[scale[1]] != 1:
                continue
            found = self._neighbors(sums)
            if found:
                node = Node("local response", last.name, [x], last.outputs)
                numbers = {"alpha": scale[2], "beta": -power[2], "bias": add[2]}
                node.attributes = found | numbers
                return node, [power[0], add[0], scale[0], sums, square[0]]
        return None

    def _neighbors(self, sums: Node) -> dict[str, int] | None:
        """The size, the groups, and 1 for windows of pixels; None for other sums."""
        attributes: dict[str, Any] = {
            "pads": [0] * 4,
            "strides": [1, 1],
            "group": 1,
        } | sums.attributes
        if list(attributes["strides"]) != [1, 1]:
            return None
        kernel, w = (
            attributes.get("kernel_shape", [1, 1]),
            self.constants.get((*sums.inputs, "")[1]),
        )
        if sums.op == "AveragePool":
            n = kernel[0]
            window = {"kernel_shape": [n, n], "pads": [n // 2] * 2 + [(n - 1) // 2] * 2}
            wanted = window | {"strides": [1, 1], "group": 1, "count_include_pad": 1}
            return {"size": n, "groups": 1, "within": 1} if attributes == wanted else None
        known = attributes.keys() <= {"kernel_shape", "pads", "strides", "group", "dilations"}
        is_plain = known and not any(attributes["pads"]) and attributes["group"] == 1
        if sums.op != "Conv" or len(sums.inputs) != 2 or not is_plain or w is None or w.ndim != 4:
            return None
        if w.shape[0] != w.shape[1] or w.shape[2:] != (1, 1):
            return None
        size = int((w[:, :, 0, 0] != 0).sum(1).max())
        for groups in (g for g in range(1, len(w) + 1) if len(w) % g == 0):
            if np.array_equal(w[:, :, 0, 0], neighbors(len(w), size, groups)):
                return {"size": size, "groups": groups, "within": 0}
        return None


def neighbors(channels: int, size: int, groups: int) -> np.ndarray:
    """1 where the channel of the column is one of the `size` around that of the row, else 0."""
    channel = np.arange(channels)
    offset = channel - channel[:, None]  # from the channel of the result to its neighbor
    inside = (-(size // 2) <= offset) & (offset <= (size - 1) // 2)
    group = channel // (channels // groups)
    return (inside & (group == group[:, None])).astype(np.float32)
