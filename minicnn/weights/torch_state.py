"""torch's `state_dict`s: their names, their layouts, and the order of flattened maps.

| tensor          | here                             | torch                             |
|-----------------|----------------------------------|-----------------------------------|
| convolution     | (kH, kW, C_in / groups, C_out)   | (C_out, C_in / groups, kH, kW)    |
| linear          | (in, out)                        | (out, in)                         |
| flattened maps  | features in the order H, W, C    | features in the order C, H, W     |
| batch norm      | weight, bias, running_mean, _var | the same, and num_batches_tracked |
| others          | weight, bias of norms and PReLU  | the same                          |
"""

from collections.abc import Callable, Mapping

import numpy as np

from .. import registry
from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import AuxiliaryNetwork, Layer, Network, metadata
from ..registry import TorchForm
from .checks import check_weights, listed
from .torch_order import flattened_maps

COUNTER = "num_batches_tracked"
AVERAGING = ("n_averaged",)  # torch.optim.swa_utils counts its updates beside the weights
# What DataParallel, torch.compile, Lightning and others put in front of every name.
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")


def to_torch(model: Layer) -> dict[str, np.ndarray]:
    """The model's weights in torch's layouts, with the names of torchvision (or the usual CIFAR)
    code where that has such a network, and otherwise with the model's own.
    """
    translate, maps = translator(model), flattened_maps(model)
    state = {}
    for name, array in model.state_dict().items():
        state[translate(name)] = array_to_torch(array, maps.get(name))
        if name.endswith("running_var"):
            state[translate(name.replace("running_var", COUNTER))] = np.array(0)
    return state


def load_torch(model: Layer, state: Mapping[str, np.ndarray]) -> None:
    """Copy weights with torch's names and layouts into the model.

    The names are those of torchvision (or the usual CIFAR) code for networks that have a form
    there, and otherwise the model's own. Prefixes of wrappers such as `module.`, counters, and
    auxiliary heads that the model does not have are ignored. Raises CheckpointError, and changes
    nothing, if a tensor is missing, unknown, of another shape, not floating-point or not finite;
    it names the first few.
    """
    translate, maps = translator(model), flattened_maps(model)
    own = {translate(name): (name, array) for name, array in model.state_dict().items()}
    state = own_tensors(model, state)
    faults = _misfits(state, {name: _torch_shape(array.shape) for name, (_, array) in own.items()})
    if faults:
        raise CheckpointError(
            f"the weights do not fit {_name(model) or 'the network'}: {listed(sorted(faults))}"
        )
    check_weights(state, {name: array for name, (_, array) in own.items()})
    model.load_state_dict(
        {
            name: array_from_torch(state[torch_name], maps.get(name))
            for torch_name, (name, _) in own.items()
        }
    )


def has_torch_layout(model: Layer, state: Mapping[str, np.ndarray]) -> bool | None:
    """Whether weights that fit the model are in torch's layout; None if both layouts would fit.

    For a file that does not say. True, too, if neither fits.
    """
    own = model.state_dict()
    fits_ours = state.keys() == own.keys() and all(
        state[name].shape == array.shape for name, array in own.items()
    )
    if not fits_ours:
        return True
    is_same = all(_torch_shape(array.shape) == array.shape for array in own.values())
    return None if is_same and any(array.ndim > 1 for array in own.values()) else False


def own_tensors(model: Layer, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors without the counters, the heads and the prefixes that the model does not have."""
    names = set(map(translator(model), model.state_dict()))
    form = torch_form(model)
    present = form.present if form else str
    kept = {
        present(name): array
        for name, array in state.items()
        if not name.endswith(COUNTER) and name not in AVERAGING
    }
    while kept and not kept.keys() & names:
        prefix = next((p for p in WRAPPERS if all(n.startswith(p) for n in kept)), None)
        if prefix is None:
            break
        kept = {name.removeprefix(prefix): array for name, array in kept.items()}
    ignored = () if isinstance(model, AuxiliaryNetwork) else ("aux1.", "aux2.")
    return {name: array for name, array in kept.items() if not name.startswith(ignored)}


def _misfits(state: Mapping[str, np.ndarray], expected: Mapping[str, Shape]) -> list[str]:
    """A clause for each tensor that is unknown, missing, or of another shape than expected."""
    unknown = state.keys() - expected.keys()
    faults = [f"{name} {state[name].shape} is not in the model" for name in unknown]
    for name, shape in expected.items():
        if name not in state:
            faults.append(f"{name} is missing (expected {shape})")
        elif state[name].shape != shape:
            faults.append(f"{name} has shape {state[name].shape}, expected {shape}")
    return faults


def _torch_shape(shape: Shape) -> Shape:
    """The shape of a tensor in torch's layout."""
    if len(shape) == 4:
        return shape[3], shape[2], shape[0], shape[1]
    return shape[::-1]


def layer_renaming(names: Mapping[str, str]) -> Callable[[str], str]:
    """A translation of tensor names for `registry.register`.

    The layer's name is looked up in `names`; the tensor's own name (weight, bias, ...) stays.
    """

    def translate(name: str) -> str:
        layer, _, tensor = name.rpartition(".")
        return f"{names[layer]}.{tensor}"

    return translate


def array_to_torch(array: np.ndarray, maps: Shape | None = None) -> np.ndarray:
    """One tensor in torch's layout.

    maps: the (H, W, C) of flattened maps if the first axis is for their features.
    """
    if maps:
        array = array.reshape(*maps, -1).transpose(2, 0, 1, 3).reshape(array.shape)
    axes = (3, 2, 0, 1) if array.ndim == 4 else None
    return np.array(array.transpose(axes), order="C")


def array_from_torch(array: np.ndarray, maps: Shape | None = None) -> np.ndarray:
    """The inverse of `array_to_torch`."""
    array = array.transpose((2, 3, 1, 0) if array.ndim == 4 else None)
    if maps:
        height, width, channels = maps
        by_channel = array.reshape(channels, height, width, -1)
        array = by_channel.transpose(1, 2, 0, 3).reshape(array.shape)
    return np.array(array, order="C")


def translator(model: Layer) -> Callable[[str], str]:
    """From the name of a tensor to its name in torch's files."""
    form = torch_form(model)
    return form.names if form else str


def torch_form(model: Layer) -> TorchForm | None:
    """How the network appears in torch's files; None if there are none."""
    name = metadata(model).name
    return registry.entry(name).torch if name and name in registry.names() else None


def _name(model: Layer) -> str | None:
    return model.name if isinstance(model, Network) else None
