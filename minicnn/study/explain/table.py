"""The table of explanations: one function per kind of layer and array."""

from collections.abc import Callable
from typing import Any, TypeVar

from ...layers import Layer
from .explanation import Parts

Explain = Callable[..., Parts | None]
Function = TypeVar("Function", bound=Callable[..., Parts])

_explanations: dict[tuple[type, str], Explain] = {}
_METHOD = {"y": "forward"}  # the other arrays are those of backward


def explains(*kinds: type, what: str) -> Callable[[Function], Function]:
    """Decorate `function(record, index)`, which explains the array `what` of these layers.

    what: "y", "dx", or the name of a parameter, for its gradient. For "dx" of layers that join it
        is `function(record, index, number)`, for the input of that number, from 0 on.
    """

    def decorate(function: Function) -> Function:
        for kind in kinds:
            _explanations[kind, what] = function
        return function

    return decorate


def find(layer: Any, what: str) -> Explain | None:
    """The explanation for a layer, or a loss, of that class or of one that it inherits from.

    A method `explain(record, what, index)` of the layer itself comes first. None if there is none,
    or if the layer overrides the method that was explained.
    """
    own = type(layer)
    if hasattr(own, "explain"):
        return lambda record, index, *_: layer.explain(record, what, index)
    method = "__call__" if not isinstance(layer, Layer) else _METHOD.get(what, "backward")
    for kind in own.__mro__:
        if (kind, what) in _explanations:
            is_same = getattr(own, method) is getattr(kind, method)
            return _explanations[kind, what] if is_same else None
    return None
