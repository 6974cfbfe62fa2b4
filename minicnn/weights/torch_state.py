"""torch's `state_dict`s: their names, their layouts, and the order in which they flatten.

| tensor            | here                              | torch                               |
|-------------------|-----------------------------------|-------------------------------------|
| convolution       | (kH, kW, C_in / groups, C_out)    | (C_out, C_in / groups, kH, kW)      |
| linear            | (in, out)                         | (out, in)                           |
| linear on maps    | inputs in the order H, W, C       | inputs in the order C, H, W         |
| batch norm        | weight, bias, running_mean, _var  | the same, and num_batches_tracked   |
"""

import numpy as np

from .. import registry
from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import AuxiliaryNetwork, Layer
from ..layers.linear import Linear
from ..layers.shape import Flatten
from ..layers.shapes import LayerTrace, shapes_through, shapes_through_heads

COUNTER = "num_batches_tracked"


def to_torch(model: Layer) -> dict[str, np.ndarray]:
    """The model's weights as torchvision (or the usual CIFAR) code names and lays them out.

    Raises CheckpointError if the model has no twin there.
    """
    translate, maps = _translator(model), flattened_maps(model)
    state = {}
    for name, array in model.state_dict().items():
        state[translate(name)] = array_to_torch(array, maps.get(name.rpartition(".")[0]))
        if name.endswith("running_var"):
            state[translate(name.replace("running_var", COUNTER))] = np.array(0)
    return state


def load_torch(model: Layer, state: dict[str, np.ndarray]) -> None:
    """Copy torchvision's (or the usual CIFAR) weights into the model.

    `module.` prefixes and `num_batches_tracked` are ignored, and so are auxiliary heads that the model was made without.
    Raises CheckpointError, and changes nothing, if a tensor is missing, unknown or of another shape: it lists them all.
    """
    translate, maps = _translator(model), flattened_maps(model)
    state = {
        name.removeprefix("module."): array
        for name, array in state.items()
        if not name.endswith(COUNTER)
    }
    if not isinstance(model, AuxiliaryNetwork):
        state = {
            name: array for name, array in state.items() if not name.startswith(("aux1.", "aux2."))
        }
    own = model.state_dict()
    theirs = {translate(name): name for name in own}
    faults = [
        f"{name} {np.shape(state[name])} is not in the model"
        for name in state.keys() - theirs.keys()
    ]
    converted = {}
    for torch_name, name in theirs.items():
        expected = array_to_torch(own[name], maps.get(name.rpartition(".")[0])).shape
        if torch_name not in state:
            faults.append(f"{torch_name} is missing (expected {expected})")
        elif np.shape(state[torch_name]) != expected:
            faults.append(
                f"{torch_name} has shape {np.shape(state[torch_name])}, expected {expected}"
            )
        else:
            converted[name] = array_from_torch(state[torch_name], maps.get(name.rpartition(".")[0]))
    if faults:
        raise CheckpointError(
            f"the weights do not fit {getattr(model, 'name', None) or type(model).__name__}: {'; '.join(sorted(faults))}"
        )
    model.load_state_dict(converted)


def array_to_torch(array: np.ndarray, maps: Shape | None = None) -> np.ndarray:
    """One tensor in torch's layout; `maps` is the (H, W, C) that a linear layer's input was flattened from, if it was."""
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(3, 2, 0, 1))
    if array.ndim == 2:
        if maps:
            array = array.reshape(*maps, -1).transpose(2, 0, 1, 3).reshape(array.shape)
        return np.ascontiguousarray(array.T)
    return array.copy()


def array_from_torch(array: np.ndarray, maps: Shape | None = None) -> np.ndarray:
    """The inverse of `array_to_torch`."""
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    if array.ndim == 2:
        array = array.T
        if maps:
            height, width, channels = maps
            array = (
                array.reshape(channels, height, width, -1)
                .transpose(1, 2, 0, 3)
                .reshape(array.shape)
            )
        return np.ascontiguousarray(array)
    return np.array(array)


def flattened_maps(model: Layer) -> dict[str, Shape]:
    """The linear layers that read flattened maps, by name, with the (H, W, C) of those maps."""
    if not any(isinstance(layer, Flatten) for _, layer in model.named_layers()):
        return {}
    steps = list(shapes_through(model, (1, *model.input_shape)))
    if isinstance(model, AuxiliaryNetwork):
        steps += shapes_through_heads(model, (1, *model.input_shape))
    return dict(_linear_after_flatten(steps))


def _linear_after_flatten(steps: list[LayerTrace]):
    maps = None
    for step in steps:
        if isinstance(step.layer, Flatten):
            maps = step.input[1:]
        elif isinstance(step.layer, Linear):
            if maps:
                yield step.name, maps
            maps = None


def _translator(model: Layer):
    name = getattr(model, "name", None)
    translate = registry.entry(name).torch_names if name else None
    if translate is None:
        raise CheckpointError(
            f"{name or 'this network'} has no counterpart among torchvision's or the usual CIFAR checkpoints"
        )
    return translate
