"""The table of explanations: one function per kind of layer and array."""

from collections.abc import Callable
from typing import Any

from ..trace import Record
from .explanation import Index, Parts

Explain = Callable[[Any, Index], Parts]

_explanations: dict[tuple[type, str], Explain] = {}
_METHOD = {"y": "forward"}  # the other arrays are those of backward


def explains(*kinds: type, what: str) -> Callable[[Explain], Explain]:
    """Decorate `function(record, index)`, which explains the array `what` of these layers.

    what: "y", "dx", or the name of a parameter, for its gradient.
    """

    def decorate(function: Explain) -> Explain:
        for kind in kinds:
            _explanations[kind, what] = function
        return function

    return decorate


def find(record: Record, what: str) -> Explain | None:
    """The explanation for a layer of that class, or of a class that it inherits from.

    None if there is none, or if the layer overrides the method that was explained.
    """
    own = type(record.layer)
    method = _METHOD.get(what, "backward")
    for kind in own.__mro__:
        if (kind, what) in _explanations:
            is_same = getattr(own, method, None) is getattr(kind, method, None)
            return _explanations[kind, what] if is_same else None
    return None
