"""A network as a tree of layers, parameters and buffers with names."""

import fnmatch
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import copy_into, to_device, validate_device
from ..errors import CheckpointError, brief
from ..kernels.types import Array
from ..rng import generator
from ..text import hint
from .init import Initializer, is_skipped
from .parameter import Parameter, are_frozen

if TYPE_CHECKING:
    from typing import Self

    from .layer import Layer


def _array(value: Any) -> np.ndarray:
    """The value as an array; of objects if it is a list of lists of several lengths."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.asarray(value, object)


class Tree:
    """A node of the tree: a layer without its arithmetic.

    Attributes that are `Parameter`s are trained. Attributes that are layers, or lists, tuples or
    dicts of layers, are children. The attributes named in `buffers` are arrays that are saved but
    not trained, such as running statistics.
    changes_in_training: True for a layer whose forward differs between training and evaluation,
    which freezing it changes even if it has no parameters.
    """

    changes_in_training = False
    training = True
    frozen = False
    buffers: tuple[str, ...] = ()

    def children(self) -> Iterator[tuple[str, "Layer"]]:
        """The layers directly inside this one, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Tree):
                yield name, value  # type: ignore[misc]
            elif isinstance(value, (list, tuple, dict)):
                for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                    if isinstance(item, Tree):
                        yield f"{name}.{key}", item  # type: ignore[misc]

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, "Layer"]]:
        """This layer, called `prefix`, and all layers inside of it with their dotted names.

        Raises ValueError if one layer object is found twice: it can save only one of its inputs
        for backward, and its parameters would be updated twice.
        """
        seen: dict[int, str] = {}
        for name, layer in self._walk(prefix):
            if id(layer) in seen:
                raise ValueError(
                    f"{seen[id(layer)]} and {name} are the same layer object, "
                    f"{type(layer).__name__}; make one layer for each place"
                )
            seen[id(layer)] = name
            yield name, layer

    def _walk(self, name: str) -> Iterator[tuple[str, "Layer"]]:
        yield name, self  # type: ignore[misc]
        for child_name, child in self.children():
            yield from child._walk(join(name, child_name))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, in the order of the layers."""
        for prefix, layer in self.named_layers():
            for name, value in vars(layer).items():
                if isinstance(value, Parameter):
                    yield join(prefix, name), value

    def parameters(self) -> list[Parameter]:
        """All parameters, in the order of the layers."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """All buffers with their dotted names."""
        for prefix, layer in self.named_layers():
            for name in layer.buffers:
                yield join(prefix, name), getattr(layer, name)

    def state_dict(self) -> dict[str, Array]:
        """Every parameter and buffer by its dotted name: the layers' own arrays, not copies."""
        return {name: p.value for name, p in self.named_parameters()} | dict(self.named_buffers())

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy `state` into the parameters and buffers.

        Raises CheckpointError, and changes nothing, if a name is missing or unknown or a shape
        differs; the message lists them all.
        """
        if not isinstance(state, Mapping):
            raise CheckpointError(
                f"the weights are a {type(state).__name__}; expected a dictionary of arrays by name"
            )
        own = self.state_dict()
        arrays = {n: a if hasattr(a, "dtype") else _array(a) for n, a in state.items()}
        faults = [f"{name} is missing (expected {own[name].shape})" for name in own.keys() - arrays]
        faults += [f"{n} {np.shape(arrays[n])} is not in the model" for n in arrays.keys() - own]
        faults += [
            f"{name} has shape {np.shape(arrays[name])}, expected {own[name].shape}"
            for name in own.keys() & arrays.keys()
            if np.shape(arrays[name]) != own[name].shape
        ]
        faults += [
            f"{name} is an array of {array.dtype}, expected numbers"
            for name, array in arrays.items()
            if array.dtype.kind in "cOSUMm" or str(array.dtype.name).startswith("void")
        ]
        faults += [
            f"{name} is a masked array, expected a plain one"
            for name, array in arrays.items()
            if isinstance(array, np.ma.MaskedArray)
        ]
        if faults:
            raise CheckpointError(f"the weights do not fit the model: {'; '.join(sorted(faults))}")
        for name, array in own.items():
            copy_into(array, arrays[name])

    def train(self, mode: bool = True) -> "Self":
        """Training mode for this layer and all inside: dropout drops, batch norm uses the batch.

        Frozen layers stay in evaluation mode.
        """
        for _, layer in self.named_layers():
            layer.training = mode and not layer.frozen
        return self

    def eval(self) -> "Self":
        """Evaluation mode: the opposite of `train()`. Returns the layer."""
        return self.train(False)

    @contextmanager
    def mode_kept(self) -> Iterator[None]:
        """A block after which each layer inside is in the mode in which it was before.

        One that is frozen or unfrozen in the block then has the mode of the whole network.
        """
        whole = self.training
        modes = [(x, x.frozen, x.training) for _, x in self.named_layers()]
        try:
            yield
        finally:
            for layer, frozen, mode in modes:
                layer.training = mode if layer.frozen == frozen else whole and not layer.frozen

    def freeze(self, *names: str) -> "Self":
        """Exclude layers, or single parameters, from training.

        names: dotted names, such as "conv1", "layer1" (with all that is inside), "conv1.weight", or
            patterns such as "layer[12]" and "conv*"; "*" is everything.
        The parameters get no gradients and stay as they are. The layers run as in evaluation: batch
        norm uses and keeps its running statistics, dropout drops nothing. In `fit`, backward ends
        at the lowest layer that is trained.
        Raises ValueError, and freezes nothing, without names or for one that nothing has.
        """
        return self._set_frozen(names, True)

    def unfreeze(self, *names: str) -> "Self":
        """Undo `freeze` for these names or patterns."""
        return self._set_frozen(names, False)

    def _set_frozen(self, names: tuple[str, ...], frozen: bool) -> "Self":
        if not names:
            raise ValueError('expected names of layers; "*" means all of them')
        layers = {name: layer for name, layer in self.named_layers() if name}
        parameters = dict(self.named_parameters())
        chosen = [name for pattern in names for name in matching(pattern, [*layers, *parameters])]
        for name in chosen:
            if name in parameters:
                parameters[name].frozen = frozen
                continue
            for _, layer in layers[name].named_layers():
                layer.frozen = frozen
                layer.training = self.training and not frozen
            for parameter in layers[name].parameters():
                parameter.frozen = frozen
        return self

    def frozen_names(self, prefix: str = "") -> list[str]:
        """What is not trained: layers, or single parameters, each by its shortest name.

        A layer is named if it is frozen with all that is inside. One whose parameters are frozen
        one by one is not: it runs as in training.
        """
        leaves = [
            layer.frozen
            for _, layer in self.named_layers()
            if not any(layer.children()) and (layer.parameters() or layer.changes_in_training)
        ]
        if prefix and leaves and all(leaves) and are_frozen(*self.parameters()):
            return [prefix]
        own = {name: p for name, p in vars(self).items() if isinstance(p, Parameter)}
        found = [join(prefix, name) for name, parameter in own.items() if parameter.frozen]
        for name, child in self.children():
            found += child.frozen_names(join(prefix, name))
        return found

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def astype(self, dtype: Any) -> "Self":
        """Convert parameters, gradients and buffers in place; float64 serves gradient checks."""
        for parameter in self.parameters():
            parameter.astype(dtype)
        for _, layer in self.named_layers():
            for name in layer.buffers:
                setattr(layer, name, getattr(layer, name).astype(dtype))
        return self

    def to(self, device: str) -> "Self":
        """Move parameters, gradients, buffers and constants to "cpu" or "cuda", in place.

        An optimizer keeps its state where the parameters were: make it afterwards.
        Raises ValueError for an unknown device, RuntimeError if it is not available.
        """
        validate_device(device)
        for _, layer in self.named_layers():
            for name, value in vars(layer).items():
                if isinstance(value, Parameter):
                    value.to(device)
                elif hasattr(value, "__array_ufunc__"):
                    setattr(layer, name, to_device(value, device))
        return self

    def initialize(self, weight: Initializer | None = None, bias: float | None = None) -> "Self":
        """Draw new weights and set every bias to a constant; None leaves them unchanged."""
        for name, parameter in vars(self).items():
            if not isinstance(parameter, Parameter):
                continue
            if name == "weight" and weight is not None and not is_skipped():
                fans = parameter.fan_in, parameter.fan_out
                copy_into(parameter.value, weight(parameter.value.shape, *fans, generator()))
            elif name == "bias" and bias is not None:
                parameter.value.fill(bias)
        for _, child in self.children():
            child.initialize(weight, bias)
        return self


def matching(pattern: str, names: list[str]) -> list[str]:
    """The names that a name or pattern means. Raises ValueError if there is none."""
    if not isinstance(pattern, str):
        raise ValueError(
            f"{brief(pattern)}: expected the name of a layer or parameter, or a pattern"
        )
    found = [pattern] if pattern in names else fnmatch.filter(names, pattern)
    if not found:
        top = [name for name in names if "." not in name] or names
        meant = hint(pattern, names, f"it has {', '.join(top)}")
        raise ValueError(f"the network has no layer or parameter {brief(pattern)}; {meant}")
    return found


def join(prefix: str, name: str) -> str:
    """`prefix.name`, or `name` without a prefix."""
    return f"{prefix}.{name}" if prefix else name
