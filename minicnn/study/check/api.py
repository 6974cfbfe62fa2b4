"""`check`: functions and layers that are at hand in Python."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from ...checks import is_one_of
from ...errors import brief
from ...kernels.types import Array
from ...layers import Layer
from .find import layer_operation, operation_named, title_of
from .functions import AutogradFunction, Pair
from .operations import OPERATIONS
from .own_layers import LayerSubject, OwnLayer
from .report import Check
from .run import check_own_layer, safely
from .subject import LAYOUTS


def check(
    forward: Callable[..., Any] | Layer | type,
    backward: Callable[..., Any] | None = None,
    *,
    operation: str | None = None,
    layout: str | None = None,
    x: Array | None = None,
    seed: int = 0,
) -> Check:
    """Check a pair of functions or a layer, and say which mistake it has.

    Args:
        forward: a function in a course's signature, such as conv_forward_naive(x, w, b,
            conv_param) -> out, cache; a class with static forward and backward; a torch
            autograd.Function; a class of layers, or a layer.
        backward: the function (dout, cache) -> dx, dw, db, if forward is one.
        operation: its name, such as "conv2d"; by default it follows from the name of forward.
        layout: "NCHW" or "NHWC"; by default it is found by trying.
        x: an input for a layer whose operation has no definition here.
        seed: of the random numbers.

    A layer whose operation is known is made anew in many geometries. Any other layer is compared
    with finite differences of its own forward. The functions run in this process; `check_file`
    runs a whole file in a process of its own.
    Returns a `Check`; print it. Raises ValueError if the operation is not known.
    """
    if layout is not None and not is_one_of(layout, LAYOUTS):
        raise ValueError(f"layout={brief(layout)}: expected one of {', '.join(LAYOUTS)}")
    kind: Any = forward if inspect.isclass(forward) else type(forward)
    is_layer = issubclass(kind, Layer)
    name = getattr(forward, "__name__", kind.__name__)
    known = operation or (layer_operation(kind) if is_layer else operation_named(name))
    if is_layer and known is None:
        layer = forward if isinstance(forward, Layer) else OwnLayer(name, kind).make()
        if layer is None:
            raise ValueError(f"{name}: its constructor takes more than numbers; give a layer")
        return check_own_layer(layer, x, seed)
    if known is None:
        raise ValueError(
            f"{name}: no operation is known by this name; give operation=..., one of "
            f"{', '.join(OPERATIONS)}"
        )
    if not is_one_of(known, OPERATIONS):
        raise ValueError(
            f"operation={brief(known)} of {name}: expected one of {', '.join(OPERATIONS)}"
        )
    found, files = OPERATIONS[known], _files(forward, backward)
    torch = sys.modules.get("torch")
    if is_layer:
        return safely(LayerSubject(name, found, kind, files), seed)
    if inspect.isclass(forward) and torch and issubclass(kind, torch.autograd.Function):
        return safely(AutogradFunction(name, found, forward, layout or "NCHW", files), seed)
    first, second = (
        (kind.forward, kind.backward) if inspect.isclass(forward) else (forward, backward)
    )
    module = sys.modules.get(getattr(first, "__module__", ""), None)
    framework = "torch" if torch and getattr(module, "torch", None) is torch else "numpy"
    return safely(
        Pair(title_of(name), found, first, second, "NCHW", framework, files), seed, layout
    )


def _files(*functions: Any) -> set[str]:
    found = set()
    for function in functions:
        try:
            found.add(inspect.getfile(function if callable(function) else type(function)))
        except (TypeError, OSError):
            continue
    return found
