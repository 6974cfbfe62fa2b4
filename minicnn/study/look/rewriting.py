"""`rewritten`: the same network with another layer in some places, such as another backward."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ...device import to_host
from ...errors import brief
from ...kernels import functional as F
from ...kernels.types import Array, Shape
from ...layers import (
    Activation,
    Add,
    BatchNorm2d,
    Conv2d,
    Layer,
    Linear,
    LocalResponseNorm,
    Parameter,
    PReLU,
    Residual,
    Subsample2d,
)
from ...layers.fused import runs_as
from ...layers.tree import Tree, join, matching

Change = Callable[[str, Layer], Layer]

# The layers that apply an activation to their result, y = f(...).
FUSED = (Add, Conv2d, Linear, BatchNorm2d, Subsample2d, Residual)
# Activations whose maps have both signs; those of GELU and the like are almost never negative.
SIGNED = ("tanh", "scaled_tanh", "leaky_relu", "elu", "clip")


def rewritten(model: Layer, change: Change | None = None) -> Layer:
    """A copy of the network in evaluation mode, with other layers in some places.

    change: called as `change(path, copy of the layer)` for each layer, from the inside to the
        outside; it returns the layer for this place. `path` is the dotted name in `model`.
    The copy shares the arrays of the parameters and buffers. Running it, forward and backward,
    changes nothing in `model`: neither what its layers have saved nor its gradients or its mode.
    """
    return _rewritten(model, change or (lambda path, layer: layer), "").eval()


def _rewritten(layer: Layer, change: Change, path: str) -> Layer:
    twin = copy.copy(layer)
    inside: dict[int, Layer] = {}
    for name, child in layer.children():
        inside[id(child)] = _rewritten(child, change, join(path, name))
    for name, value in vars(layer).items():
        # Not setattr, which containers define for the replacement of a layer by name.
        vars(twin)[name] = _exchanged(value, inside)
    return change(path, twin)


def _exchanged(value: Any, inside: dict[int, Layer]) -> Any:
    """An attribute of a layer, with the layers and parameters in it exchanged."""
    if isinstance(value, Parameter):
        own = copy.copy(value)
        own.frozen, own._grad = True, None  # no gradient is computed that is not read
        return own
    if isinstance(value, Tree):
        return inside.get(id(value), value)
    if isinstance(value, dict) and any(isinstance(item, Tree) for item in value.values()):
        return {key: _exchanged(item, inside) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(item, Tree) for item in value):
        return type(value)([_exchanged(item, inside) for item in value])
    return value


def find_layer(model: Layer, name: str) -> str:
    """The dotted name of the one layer that a name or pattern means. Raises ValueError."""
    names = [path for path, _ in model.named_layers() if path]
    found = matching(name, names)
    if len(found) > 1:
        raise ValueError(f"layer={brief(name)} means {', '.join(found)}; expected one layer")
    return found[0]


class Wrapper(Layer):
    """A layer around another one; it has the attributes of the layer inside as well.

    The layer of a user that has it as a child may read them, such as `self.conv.weight`.
    """

    def __init__(self, layer: Any):
        self.layer = layer
        self.joins = layer.joins

    def __getattr__(self, name: str) -> Any:
        if "layer" not in vars(self):  # during a copy
            raise AttributeError(name)
        return getattr(self.layer, name)

    def __getitem__(self, key: Any) -> Layer:
        return self.layer[key]

    def output_shape(self, shape: Shape) -> Shape:
        return self.layer.output_shape(shape)


class Tap(Wrapper):
    """A layer whose output `y` and gradient `dy` are kept.

    name: its dotted name. inject: used in place of the dy from the layers above, if it is set.
    """

    def __init__(self, layer: Layer, name: str):
        super().__init__(layer)
        self.name = name
        self.y: Any = None
        self.dy: Any = None
        self.inject: Array | None = None

    def forward(self, x: Array, out: Array | None = None) -> Any:
        self.y = self.layer(x, out=out)
        return self.y

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        self.dy = dy if self.inject is None else self.inject
        return self.layer.backpropagate(self.dy, need_dx)

    def output(self) -> np.ndarray:
        """`y` on the host. Raises ValueError if the layer was not called."""
        if self.y is None:
            raise ValueError(f"{self.name} is not called in evaluation")
        return to_host(self.y)


def tapped(model: Layer, name: str, change: Change | None = None) -> tuple[Layer, Tap]:
    """The rewritten network with a `Tap` around the layer `name`, and this `Tap`."""
    wanted, taps = find_layer(model, name), []

    def with_tap(path: str, layer: Layer) -> Layer:
        layer = change(path, layer) if change else layer
        if path != wanted:
            return layer
        taps.append(Tap(layer, wanted))
        return taps[0]

    return rewritten(model, with_tap), taps[0]


def with_activations(kind: Callable[..., Layer]) -> Change:
    """A change that replaces every activation by `kind(name)`, also those inside other layers.

    A convolution with ReLU becomes the convolution without it and `kind("relu")`. An activation
    with constants becomes `kind(name, constants)`. A layer that
    minicnn does not define keeps its own backward.
    """

    def change(path: str, layer: Any) -> Layer:
        name = getattr(layer, "activation", None)
        if name is None:
            return layer
        if runs_as(layer, Activation):
            return kind(name, layer.constants)
        if any(runs_as(layer, own) for own in FUSED):
            return Split(layer, kind(name))
        return layer

    return change


class Split(Wrapper):
    """A layer without its activation, and behind it `applied`, a layer in place of that."""

    def __init__(self, layer: Any, applied: Layer):
        super().__init__(layer)
        self.activation, layer.activation = layer.activation, None  # `layer` is a copy
        self.applied = applied

    def forward(self, x: Array, out: Array | None = None) -> Any:
        return self.applied(self.layer(x), out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Any:
        return self.layer.backpropagate(self.applied.backpropagate(dy), need_dx)


class GuidedActivation(Activation):
    """An activation that passes only positive gradients: `dx = f'(x) max(dy, 0)`.

    For ReLU this is the rule of Springenberg et al. 2014, section 3.4: a gradient passes where both
    x and dy are positive.
    """

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        return super().backward(F.relu(dy), need_dx)


class Rectification(Activation):
    """The deconvnet's rectification: `dx = max(dy, 0)` (Zeiler & Fergus 2013, section 2.1).

    The paper passes the signal through ReLU because the maps that ReLU gives are positive. Those of
    `SIGNED` have both signs; there dx = dy.
    """

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        self.pop_saved()
        return dy if self.activation in SIGNED else F.relu(dy)


class Unchanged(Wrapper):
    """A layer whose backward is `dx = dy`."""

    def forward(self, x: Array, out: Array | None = None) -> Any:
        return self.layer(x, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        return dy


def deconvolved(path: str, layer: Layer) -> Layer:
    """The change that makes backward a deconvnet: rectified, with normalization passed by.

    The paper's deconvnet has no step for local response normalization.
    """
    if runs_as(layer, LocalResponseNorm) or runs_as(layer, PReLU):  # PReLU: signed, as in SIGNED
        return Unchanged(layer)
    return with_activations(Rectification)(path, layer)


class OfPositive(Wrapper):
    """A layer whose backward gets only positive gradients."""

    def forward(self, x: Array, out: Array | None = None) -> Any:
        return self.layer(x, out=out)

    def backward(self, dy: Array, need_dx: bool = True) -> Any:
        return self.layer.backpropagate(F.relu(dy), need_dx)


def guided(path: str, layer: Layer) -> Layer:
    """The change that makes backward guided: activations pass only positive gradients."""
    if runs_as(layer, PReLU):
        return OfPositive(layer)
    return with_activations(GuidedActivation)(path, layer)
