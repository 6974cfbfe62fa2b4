"""What every layer is: parameters and buffers, a forward that keeps what its backward needs, and names for all of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..device import checked, copy_into, to_device
from ..errors import CheckpointError, ShapeError
from ..kernels import dispatch as K
from ..random import generator
from .init import Initializer, torch_default

Shape = tuple[int, ...]

_grad_enabled = True
_observers: list[Callable] = []


@contextmanager
def no_grad():
    """Within this block, forward keeps nothing for a backward: less memory at inference."""
    global _grad_enabled
    previous, _grad_enabled = _grad_enabled, False
    try:
        yield
    finally:
        _grad_enabled = previous


@contextmanager
def observe(callback: Callable):
    """Within this block, `callback(layer, x, y)` is called after each layer's forward."""
    _observers.append(callback)
    try:
        yield
    finally:
        _observers.remove(callback)


def keeps_for_backward() -> bool:
    """Whether forward keeps what backward needs: not within `no_grad`."""
    return _grad_enabled


def is_observed() -> bool:
    """Whether somebody wants to see every layer's output."""
    return bool(_observers)


class Parameter:
    """A trainable array with its gradient.

    value, grad: arrays of one shape; backward adds into `grad`, `zero_grad` clears it.
    fan_in, fan_out: how many inputs feed one unit and how many units one input feeds; initializers read them.
    trainable: how many scalars are trained, where connections are cut fewer than value.size.
    lr_multiplier, weight_decay_multiplier: applied by the optimizer to this parameter alone (Caffe's lr_mult and decay_mult).
    """

    def __init__(self, value: np.ndarray, fan_in=1, fan_out=1, trainable: int | None = None):
        self.value = value
        self._grad: np.ndarray | None = None
        self.fan_in, self.fan_out = fan_in, fan_out
        self.trainable = value.size if trainable is None else trainable
        self.lr_multiplier = 1.0
        self.weight_decay_multiplier = 1.0

    @property
    def grad(self) -> np.ndarray:
        """The gradient, zeros of the value's shape before the first backward."""
        if self._grad is None:
            self._grad = np.zeros_like(self.value)
        return self._grad

    def add_grad(self, gradient: np.ndarray) -> None:
        """Add to the gradient. The first one after `zero_grad` is kept as it is, without another copy."""
        if self._grad is None:
            self._grad = gradient
        else:
            self._grad += gradient

    def zero_grad(self) -> None:
        """Set the gradient to zero, by letting go of it."""
        self._grad = None

    def astype(self, dtype) -> None:
        """Convert the value, and the gradient if there is one."""
        self.value = self.value.astype(dtype)
        self._grad = None if self._grad is None else self._grad.astype(dtype)

    def to(self, device: str) -> None:
        """Move the value, and the gradient if there is one, to that device."""
        self.value = to_device(self.value, device)
        self._grad = None if self._grad is None else to_device(self._grad, device)

    def __repr__(self):
        return f"Parameter({'x'.join(map(str, self.value.shape))}, {self.value.dtype})"


class Step(NamedTuple):
    """One leaf layer on the way of a shape through a network."""

    name: str
    layer: "Layer"
    input: Shape
    output: Shape


class Layer:
    """The base of all layers and containers.

    A layer holds parameters, buffers and what backward needs, and no arithmetic: that is in `minicnn.kernels`.
    Attributes that are `Parameter`s are trained, the names listed in `buffers` are saved with them, and attributes that are
    layers are its children. A subclass writes `forward`, `backward` and `output_shape`.
    """

    training = True
    buffers: tuple[str, ...] = ()
    _saved: tuple | None = None

    # What is known of a whole network, set by `models.create` and by training: what it is called and how it was made, how it is
    # trained (a Recipe, a loss), the names of what it tells apart, and the (H, W, C) that it was designed for.
    name: str | None = None
    options: dict[str, Any] = {}
    recipe: Any = None
    loss: Any = None
    classes: tuple[str, ...] = ()
    input_shape: Shape = ()

    def forward(self, x: np.ndarray, out: np.ndarray | None = None):
        """y from x; `out`, if given, is an array of y's shape to write into. Keeps for backward what it needs."""
        raise TypeError(f"{type(self).__name__} does not define forward")

    def forward_added(
        self,
        x: np.ndarray,
        other: np.ndarray,
        activation: str | None = None,
        out: np.ndarray | None = None,
    ):
        """`f(self(x) + other)`; a layer that can adds while it writes its own result. `backward` is then given the gradient before f."""
        return K.add(self(x), other, activation, out=out)

    def backward(self, dy: np.ndarray, need_dx: bool = True):
        """dx from dy; parameter gradients are added into `Parameter.grad`.

        With `need_dx=False` a layer may return None: a network's first layer has nobody to send dx to.
        """
        raise TypeError(f"{type(self).__name__} does not define backward")

    def output_shape(self, shape: Shape) -> Shape:
        """y's shape for an x of `shape`. Raises ShapeError if the layer cannot take it."""
        raise TypeError(f"{type(self).__name__} does not define output_shape")

    def __call__(self, x, out=None):
        if getattr(x, "dtype", None) is None or (
            x.dtype.kind != "f" and x.dtype.name != "bfloat16"
        ):
            kind = getattr(x, "dtype", type(x).__name__)
            raise ShapeError(
                f"{self!r}: the input is {kind}; expected an array of float32 (images, normalized)"
            )
        y = self.forward(x, out)
        for callback in _observers:
            callback(self, x, y)
        return y

    # -- what backward needs -----------------------------------------------------------------------------------------

    def save_for_backward(self, *values) -> None:
        """Keep `values` until backward asks for them; under `no_grad` keep nothing."""
        self._saved = values if _grad_enabled else None

    def saved(self) -> tuple:
        """What forward kept, once: it is released, so that memory shrinks while backward proceeds.

        Raises RuntimeError if forward did not run since the last backward, or ran under `no_grad`.
        """
        if self._saved is None:
            raise RuntimeError(
                f"{self!r}: backward needs a forward before it, outside of no_grad()"
            )
        values, self._saved = self._saved, None
        return values

    def check_gradient(self, dy, shape: Shape) -> None:
        """Raise ShapeError unless dy has the shape of the output."""
        if dy.shape != shape:
            raise ShapeError(
                f"{self!r}: backward was given a gradient of shape {dy.shape}, its output was {shape}"
            )

    # -- the tree of names -------------------------------------------------------------------------------------------

    def children(self) -> Iterator[tuple[str, "Layer"]]:
        """The layers directly inside this one, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, "Layer"]]:
        """This layer and all layers inside it, with dotted names; its own name is `prefix`."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_layers(join(prefix, name))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, in the order of the layers."""
        for prefix, layer in self.named_layers():
            for name, value in vars(layer).items():
                if isinstance(value, Parameter):
                    yield join(prefix, name), value

    def parameters(self) -> list[Parameter]:
        """All parameters, in the order of the layers."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Arrays that belong to the model's state but are not trained, such as running statistics."""
        for prefix, layer in self.named_layers():
            for name in layer.buffers:
                yield join(prefix, name), getattr(layer, name)

    def trace(self, shape: Shape, name: str = "") -> Iterator[Step]:
        """Follow `shape` through the network: a `Step` for each leaf layer, in order."""
        yield Step(name, self, shape, self.output_shape(shape))

    # -- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Every parameter and buffer by its dotted name. The arrays are the layer's own, not copies."""
        return {name: p.value for name, p in self.named_parameters()} | dict(self.named_buffers())

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Copy `state` into the parameters and buffers.

        Raises CheckpointError, and changes nothing, if a name is missing or unknown or a shape differs; it lists them all.
        """
        own = self.state_dict()
        faults = [
            f"{name} is missing (expected {own[name].shape})" for name in own.keys() - state.keys()
        ]
        faults += [
            f"{name} {np.shape(state[name])} is not in the model"
            for name in state.keys() - own.keys()
        ]
        faults += [
            f"{name} has shape {np.shape(state[name])}, expected {own[name].shape}"
            for name in own.keys() & state.keys()
            if np.shape(state[name]) != own[name].shape
        ]
        if faults:
            raise CheckpointError(f"the weights do not fit the model: {'; '.join(sorted(faults))}")
        for name, array in own.items():
            copy_into(array, state[name])

    def train(self, mode: bool = True):
        """Training mode for this layer and all inside it: dropout drops, batch norm uses the batch. Returns the layer."""
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self):
        """Evaluation mode: the opposite of `train()`. Returns the layer."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def astype(self, dtype):
        """Convert parameters, gradients and buffers, in place; float64 serves gradient checks. Returns the layer."""
        for parameter in self.parameters():
            parameter.astype(dtype)
        for _, layer in self.named_layers():
            for name in layer.buffers:
                setattr(layer, name, getattr(layer, name).astype(dtype))
        return self

    def to(self, device: str):
        """Move parameters, gradients, buffers and constants to "cpu" or "cuda", in place. Returns the layer.

        An optimizer keeps its slots where the parameters were: make it afterwards.
        Raises ValueError for an unknown device, RuntimeError if it is not available.
        """
        checked(device)
        for _, layer in self.named_layers():
            for name, value in vars(layer).items():
                if isinstance(value, Parameter):
                    value.to(device)
                elif hasattr(value, "__array_ufunc__"):
                    setattr(layer, name, to_device(value, device))
        return self

    def initialize(self, weight: Initializer | None = None, bias: float | None = None):
        """Draw every weight anew with `weight` and set every bias to the constant `bias`; None leaves them. Returns the layer."""
        for name, parameter in vars(self).items():
            if name == "weight" and weight is not None:
                copy_into(
                    parameter.value,
                    weight(parameter.value.shape, parameter.fan_in, parameter.fan_out, generator()),
                )
            elif name == "bias" and bias is not None and parameter is not None:
                parameter.value.fill(bias)
        for _, child in self.children():
            child.initialize(weight, bias)
        return self

    # -- what `minicnn summary` prints ---------------------------------------------------------------------------------

    def macs(self, output: Shape) -> int:
        """Multiply-accumulates for one image, given the shape of the output; convolutions and linear layers count."""
        return 0

    def connections(self, output: Shape) -> int:
        """LeCun's count for one image: multiply-accumulates plus one per output unit for its bias."""
        return 0

    def details(self) -> dict[str, str]:
        """The columns that a table of the network shows: any of kernel, stride, padding, activation, note."""
        return {}

    def describe(self) -> str:
        """The arguments inside the parentheses of `repr`."""
        return ""

    def __repr__(self):
        children = list(self.children())
        if not children:
            return f"{type(self).__name__}({self.describe()})"
        lines = [f"  {name}: " + repr(child).replace("\n", "\n  ") for name, child in children]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def make_bias(size: int, fan_in, fan_out, value: float | None) -> Parameter:
    """The biases of `size` units: the constant `value`, or torch's default draw if that is None."""
    drawn = torch_default()((size,), fan_in, fan_out, generator())
    return Parameter(drawn if value is None else np.full_like(drawn, value), fan_in, fan_out)


def check_images(layer: Layer, shape: Shape, channels: int | None = None) -> None:
    """Raise ShapeError unless `shape` is `(N, H, W, C)`, with `channels` channels if that is given."""
    if len(shape) != 4:
        raise ShapeError(f"{layer!r}: the input has shape {shape}; expected images (N, H, W, C)")
    if 0 in shape:
        raise ShapeError(f"{layer!r}: the input is empty: {shape}")
    if channels is not None and shape[3] != channels:
        raise ShapeError(
            f"{layer!r}: the input {shape} has {shape[3]} channels; expected (N, H, W, {channels})"
        )


def check_dtype(layer: Layer, x, weight: Parameter) -> None:
    """Raise ShapeError unless x and the weights have the same floating type: mixing them would silently compute in the wider one.

    Images in bfloat16 go with weights in float32: what is summed up over many steps needs their bits.
    """
    if x.dtype != weight.value.dtype and (x.dtype.name, weight.value.dtype.name) != (
        "bfloat16",
        "float32",
    ):
        raise ShapeError(
            f"{layer!r}: the input is {x.dtype} and the weights are {weight.value.dtype}; expected the same"
        )


def join(prefix: str, name: str) -> str:
    """`prefix.name`, or `name` alone at the top."""
    return f"{prefix}.{name}" if prefix else name
