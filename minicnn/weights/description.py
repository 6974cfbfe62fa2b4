"""A `Graph` as plain data, so that its file holds the network, and nothing need be executed.

A description is a list with one dict per layer: its name, its class, the arguments of the class,
and the names of the layers that it reads.
"""

import inspect
import math
from functools import cache
from typing import Any

from .. import layers
from ..errors import CheckpointError
from ..layers import Graph, Layer
from ..layers.init import skip_init
from ..layers.parameter import Parameter

Description = list[dict[str, Any]]

# The classes that hold layers.
NOT_DESCRIBED = (
    *("AuxiliaryNetwork", "Concat", "Graph", "Layer", "Network", "Residual", "Sequential"),
)
SIZES = (
    *("channels", "in_channels", "out_channels", "in_features", "out_features", "kernel_size"),
    *("shape", "rows", "columns", "codes"),
)
SMALL = 2**16  # channels, or pixels of a window, that any file may have
LARGEST = 2**31 - 1  # of the other numbers


@cache
def kinds() -> dict[str, type[Layer]]:
    """The classes that a description may name."""
    found = {name: getattr(layers, name) for name in layers.__all__ if name not in NOT_DESCRIBED}
    return {n: c for n, c in found.items() if isinstance(c, type) and issubclass(c, Layer)}


def describe(graph: Graph) -> Description | None:
    """The description of a graph; None if it has a layer that is not one of `kinds`."""
    found = []
    for name, layer in graph.children():
        arguments = arguments_of(layer)
        if arguments is None:
            return None
        kind = type(layer).__name__
        reads = list(graph.inputs[name])
        found.append({"name": name, "kind": kind, "arguments": arguments, "inputs": reads})
    return found


def arguments_of(layer: Layer) -> dict[str, Any] | None:
    """The arguments with which the class makes this layer, as JSON has them; None if it cannot."""
    kind = type(layer)
    if kinds().get(kind.__name__) is not kind:
        return None
    found = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if not hasattr(layer, name):  # such as the initializer
            continue
        value = getattr(layer, name)
        if isinstance(value, Parameter) or name == "bias":
            value = value is not None and value is not False
        if hasattr(value, "shape") and name not in kind.buffers:
            return None
        if hasattr(value, "shape"):
            value = value.shape  # the numbers are in the file, as those of parameters
        if value != parameter.default:
            found[name] = value
    return found


def build(description: Any, most: int) -> Graph:
    """The graph of a description, its weights still to be loaded.

    most: the number of numbers in its file. No layer has more weights, or more channels than these
        and `SMALL`, so that a wrong description takes little more memory than its file.
    Raises CheckpointError for a description that is damaged or does not fit together.
    """
    try:
        with skip_init():
            return make(description, most)
    except (ValueError, TypeError, KeyError, AttributeError, MemoryError, OverflowError) as error:
        text = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"the description of its network is damaged: {text}") from None


def make(description: Description, most: int = LARGEST) -> Graph:
    """The graph with fresh weights. Raises what the layers raise for wrong arguments."""
    made: dict[str, Any] = {}
    inputs: dict[str, tuple[str, ...]] = {}
    for one in description:
        name, reads = one["name"], one["inputs"]
        if not isinstance(name, str) or not all(isinstance(r, str) for r in reads):
            raise ValueError(f"its layer {name!r} reads {reads!r}; expected names")
        made[name], inputs[name] = _layer(one, most), tuple(reads)
    return Graph(inputs=inputs, **made)


def _layer(one: dict[str, Any], most: int) -> Layer:
    kind = kinds().get(one["kind"])
    if kind is None:
        raise ValueError(f"{one['name']} is {one['kind']!r}; expected a layer of minicnn")
    known = inspect.signature(kind).parameters
    positional: tuple[Any, ...] = ()
    arguments = {}
    for name, value in one["arguments"].items():
        if name not in known:
            raise ValueError(f"{one['name']}: {one['kind']} has no argument {name!r}")
        value = _plain(value, max(most, SMALL) if name in SIZES else LARGEST)
        if known[name].kind is inspect.Parameter.VAR_POSITIONAL:
            positional = value
        else:
            arguments[name] = value
    size = max([_size(arguments), *(math.prod(arguments.get(n) or ()) for n in kind.buffers)])
    if size > most:
        raise ValueError(f"{one['name']} has {size:,} weights; the file has {most:,} numbers")
    return kind(*positional, **arguments)


def _plain(value: Any, most: int) -> Any:
    """Lists as tuples. Raises ValueError for anything but numbers, words and lists of these."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item, most) for item in value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= most:
        return value
    raise ValueError(f"{value!r} is not allowed here")


def _size(arguments: dict[str, Any]) -> int:
    """The number of weights of a convolution or a linear layer; 0 for others."""
    is_convolution = "kernel_size" in arguments  # other layers with in_channels have no weights
    into = arguments.get("in_channels" if is_convolution else "in_features", 0)
    out = arguments.get("out_channels", arguments.get("out_features", 0))
    kernel = arguments.get("kernel_size", 1)
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return math.prod(sides) * into * out // max(arguments.get("groups", 1), 1)


def with_classes(description: Description, num_classes: int) -> Description:
    """The description with another number of outputs of its last convolution or linear layer."""
    last = max(i for i, one in enumerate(description) if one["kind"] in ("Conv2d", "Linear"))
    key = "out_features" if description[last]["kind"] == "Linear" else "out_channels"
    changed = {**description[last]["arguments"], key: num_classes}
    return [
        {**one, "arguments": changed} if i == last else one for i, one in enumerate(description)
    ]
