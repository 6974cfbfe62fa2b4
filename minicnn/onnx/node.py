"""A node of an ONNX file, and the errors that name it."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..errors import CheckpointError, brief
from ..layers import Parameter

# Attributes that change no result: hints of the first versions for memory and for training.
IGNORED = ("consumed_inputs", "is_test")
FLOATS = (1, 10, 11, 16)  # of TensorProto: float32, float16, float64, bfloat16


class Node:
    """One node: its operator, names and attributes.

    opset: the version of the operators. spatial: how many axes behind the channels the maps have
    that it reads. Reading an attribute marks it as known; `finish` raises
    CheckpointError for one that was not read, as nothing of a file is ignored.
    """

    def __init__(self, op: str, name: str, inputs: Sequence[str], outputs: Sequence[str]):
        self.op, self.name = op, name
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.attributes: dict[str, Any] = {}
        self.opset = 0
        self.spatial = 2  # axes of the maps that it reads: rows and columns
        self._read: set[str] = set(IGNORED)

    def __str__(self) -> str:
        name = self.name or next(iter(self.outputs), "")
        return f"{self.op} {name!r}"

    def fail(self, why: str) -> NoReturn:
        """Raise CheckpointError with the operator and the name of the node."""
        raise CheckpointError(f"{self}: {why}")

    def refuse(self, attribute: str, why: str) -> NoReturn:
        """Raise CheckpointError for an attribute of the node."""
        self.fail(f"{attribute}={brief(self.attributes.get(attribute))}: {why}")

    def has(self, attribute: str) -> bool:
        """True if the node has that attribute."""
        return attribute in self.attributes

    def _value(self, attribute: str, kinds: tuple[type, ...], default: Any) -> Any:
        self._read.add(attribute)
        value = self.attributes.get(attribute, default)
        if value is not default and not isinstance(value, kinds):
            self.refuse(attribute, f"expected {kinds[-1].__name__}")
        return value

    def integer(self, attribute: str, default: int = 0) -> int:
        """An attribute that is an integer."""
        return self._value(attribute, (int,), default)

    def number(self, attribute: str, default: float = 0.0) -> float:
        """An attribute that is a number."""
        return float(self._value(attribute, (int, float), default))

    def text(self, attribute: str, default: str = "") -> str:
        """An attribute that is a word."""
        return self._value(attribute, (str,), default)

    def integers(self, attribute: str, default: Any = None) -> Any:
        """An attribute that is a list of integers."""
        found = self._value(attribute, (list,), default)
        if found is not default and not all(isinstance(i, int) for i in found):
            self.refuse(attribute, "expected integers")
        return found

    def numbers(self, attribute: str) -> list[float]:
        """An attribute that is a list of numbers."""
        return [float(n) for n in self._value(attribute, (list,), [])]

    def finish(self) -> None:
        """Raise CheckpointError for an attribute that was not read."""
        for attribute in self.attributes.keys() - self._read:
            self.refuse(attribute, "the attribute is not known")


def put(parameter: Parameter | None, array: np.ndarray, node: Node) -> None:
    """Set a parameter. Raises CheckpointError for an array of another shape."""
    assert parameter is not None
    if parameter.value.shape != array.shape:
        node.fail(f"its weights have the shape {array.shape}; expected {parameter.value.shape}")
    parameter.value = np.ascontiguousarray(array, np.float32)
