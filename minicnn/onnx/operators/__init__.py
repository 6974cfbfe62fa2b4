"""The operators that are read: one function each, `function(importer, node)`."""

from collections.abc import Callable
from typing import Any

from ..node import Node

Operator = Callable[[Any, Node], None]
OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Decorate the function that reads these operators."""

    def decorate(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return decorate


def find(node: Node) -> Operator:
    """The function for a node. Raises CheckpointError that names the operator."""
    if node.op not in OPERATORS:
        node.fail("this operator is not known")
    return OPERATORS[node.op]
