"""A new head: layers whose shape depends on the number of classes are not loaded, but drawn."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import registry
from ..errors import CheckpointError
from ..layers import Network
from ..layers.init import skip_init
from .torch_state import array_to_torch, translator


def keep_new_head(
    model: Network, state: Mapping[str, np.ndarray], in_torchs_layout: bool
) -> tuple[dict[str, np.ndarray], str]:
    """`state` with the model's own head if it was made for another number of classes.

    Returns the tensors, and a sentence about what is new; the sentence is empty if nothing is.
    Raises CheckpointError if the numbers differ and the model was made without `num_classes`.
    """
    translate = translator(model) if in_torchs_layout else str
    own = {
        name: array_to_torch(array) if in_torchs_layout else array
        for name, array in model.state_dict().items()
        if _is_of_another_shape(array, state.get(translate(name)))
    }
    counts = {_other_size(array, state[translate(name)]) for name, array in own.items()}
    if not own or len(counts) > 1 or not own.keys() <= _head(model):
        return dict(state), ""
    (count,), asked = counts, _num_classes(model)
    if "num_classes" not in model.options:
        raise CheckpointError(
            f"it has {count} classes, and {model.name} has {asked}: give num_classes={count}, or "
            f"num_classes={asked} for a new head"
        )
    layers = ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in own))
    fresh = {translate(name): array for name, array in own.items()}
    return {**state, **fresh}, (
        f"its {count} classes are not the {asked} of {model.name}: {layers} starts from new weights"
    )


def _is_of_another_shape(own: np.ndarray, found: np.ndarray | None) -> bool:
    return found is not None and sorted(found.shape) != sorted(own.shape)


def _other_size(own: np.ndarray, found: np.ndarray) -> int | None:
    """The size of `found` along the one axis that differs; None if more than one does."""
    sizes = [b for a, b in zip(own.shape, found.shape, strict=False) if a != b]
    return sizes[0] if len(sizes) == 1 and own.ndim == found.ndim else None


def _head(model: Network) -> set[str]:
    """The names of the tensors whose shape depends on the number of classes."""
    if "num_classes" not in registry.entry(str(model.name)).options:
        return set()
    options: dict[str, Any] = model.options | {"num_classes": _num_classes(model) + 1}
    with skip_init():
        other = registry.create(str(model.name), **options).state_dict()
    return {name for name, array in model.state_dict().items() if other[name].shape != array.shape}


def _num_classes(model: Network) -> int:
    build = registry.entry(str(model.name)).build
    default = inspect.signature(build).parameters["num_classes"].default
    return model.options.get("num_classes", default)
