"""Which features torch has in another order: those of flattened maps, channel by channel."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import (
    Activation,
    Affine,
    AuxiliaryNetwork,
    Concat,
    Dropout,
    Flatten,
    Function,
    Graph,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    Permute,
    PReLU,
    Reshape,
    Residual,
    Scale,
    Sequential,
    Softmax,
)
from ..layers.checks import inside
from ..layers.graph import INPUT
from ..layers.join import Elementwise
from ..layers.tree import join

# Layers that treat all features alike: those of y are in the order of those of x.
ALIKE = (Activation, Affine, Dropout, Function, Identity, LayerNorm, PReLU, Scale, Softmax)
MOVING = (Flatten, Permute, Reshape)


def flattened_maps(model: Any) -> dict[str, Shape]:
    """The (H, W, C) of the flattened maps that the first axis of a tensor is for, by its name.

    Raises CheckpointError if the order of a layer's features in torch is not known.
    """
    if not any(isinstance(layer, MOVING) for _, layer in model.named_layers()):
        return {}
    if not getattr(model, "input_shape", ()):
        raise CheckpointError(
            "torch flattens maps in another order, and which maps these are is not known: give "
            "the network an input_shape=(H, W, C)"
        )
    found: dict[str, Shape] = {}
    _follow(model, (1, *model.input_shape), (), "", found)
    return found


def _follow(layer: Layer, shape: Any, maps: Any, name: str, found: dict[str, Shape]) -> Shape:
    """The maps that were flattened into y, and empty if it has torch's order.

    shape, maps: those of x; of a layer that joins, a tuple with one per array.
    found: gets the tensors of the layer.
    """
    if isinstance(layer, Graph):
        orders = {INPUT: maps}
        for child_name, child, given in layer.walk(shape):
            read = tuple(orders[source] for source in layer.inputs[child_name])
            place = join(name, child_name)
            orders[child_name] = _follow(
                child, given, read if child.joins else read[0], place, found
            )
        return orders[child_name]
    if isinstance(layer, Sequential):
        return _follow_in_order(layer, shape, maps, name, found)
    if isinstance(layer, Concat | Residual):
        children = list(layer.children())
        after = [_follow(child, shape, maps, join(name, key), found) for key, child in children]
        if isinstance(layer, Residual) and len(children) == 1:
            after.append(maps)
        return _joined(layer, after, name)
    if layer.joins:
        return _joined(layer, maps, name)
    return _after(layer, shape, maps, name, found)


def _follow_in_order(
    layer: Sequential, shape: Shape, maps: Shape, name: str, found: dict[str, Shape]
) -> Shape:
    names = {id(child): join(name, key) for key, child in layer.children()}
    heads = layer.heads if isinstance(layer, AuxiliaryNetwork) else {}
    for key, child in layer._layers.items():
        with inside(key):
            maps = _follow(child, shape, maps, names[id(child)], found)
            shape = child.output_shape(shape)
            if key in heads:
                _follow(heads[key], shape, maps, names[id(heads[key])], found)
    return maps


def _joined(layer: Layer, orders: Sequence[Shape], name: str) -> Shape:
    """The order of a sum or product if its terms have the same. Others raise CheckpointError."""
    if any(orders) and not (isinstance(layer, Elementwise | Residual) and len(set(orders)) == 1):
        _refuse(layer, name)
    return orders[0]


def _after(layer: Layer, shape: Shape, maps: Shape, name: str, found: dict[str, Shape]) -> Shape:
    """The same as `_follow` for a layer that is no container of minicnn."""
    if isinstance(layer, Linear):
        found |= {join(name, "weight"): maps} if maps else {}
        return ()
    if isinstance(layer, ALIKE):
        own = layer.named_parameters() if maps else ()
        found |= {join(name, key): maps for key, p in own if p.value.size == np.prod(maps)}
        return maps
    after = layer.output_shape(shape)
    are_maps = len(shape) == 4 and shape[3] > 1 and shape[1:3] != (1, 1)
    if isinstance(layer, Flatten | Reshape) and len(after) == 2:
        return shape[1:] if are_maps else maps
    if isinstance(layer, Permute):
        is_same = layer.axes[-1] == len(layer.axes) - 1
    elif isinstance(layer, Reshape):
        is_same = shape[-1] == after[-1] or not (are_maps or len(after) == 4)
    else:
        is_same = not any(isinstance(part, MOVING) for _, part in layer.named_layers())
    if maps or not is_same:
        _refuse(layer, name)
    return ()


def _refuse(layer: Layer, name: str) -> NoReturn:
    place = f"{name}: " if name else ""
    raise CheckpointError(
        f"{place}{type(layer).__name__} reads or makes flattened maps, whose order is another "
        "one in torch; expected weights in minicnn's layout, as load_state_dict takes them"
    )
