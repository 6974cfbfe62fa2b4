"""A training step or an inference on random images, that leaves the network as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import rng, training
from ...checks import checked_whole, is_whole
from ...device import model_device
from ...errors import brief
from ...kernels.types import Array, Shape
from ...layers import Layer, Parameter, fuse, metadata, no_grad
from ...training.metrics import loss_of

LOSS, UPDATE = "loss", "update"  # the parts of a step that are not in the network
Part = Callable[[str], Any]


def input_shape_of(model: Layer, shape: Shape | None) -> Shape:
    """`shape`, or the network's own `(H, W, C)`. Raises ValueError if there is none."""
    found = shape or metadata(model).input_shape
    if not found:
        raise ValueError("the network has no input shape of its own; give input_shape=(H, W, C)")
    if (
        not isinstance(found, (tuple, list))
        or len(found) != 3
        or not all(is_whole(n, 1) for n in found)
    ):
        raise ValueError(f"input_shape={brief(found)}: expected (H, W, C) in pixels and channels")
    return int(found[0]), int(found[1]), int(found[2])


def check_host(model: Layer) -> None:
    """Raise ValueError for a network on a GPU: costs are those of the CPU."""
    device = model_device(model)
    if device != "cpu":
        raise ValueError(
            f'the network is on the device {brief(device)}; expected "cpu": model.to("cpu")'
        )


@contextmanager
def borrowed(model: Layer) -> Iterator[None]:
    """Run `model` in this block; then its buffers, gradients, mode and the random state are back.

    What a forward has saved for a backward is lost.
    """
    buffers = {name: array.copy() for name, array in model.named_buffers()}
    gradients = [(p, p._grad) for p in model.parameters()]
    position = rng.state()
    for parameter, _ in gradients:
        parameter.zero_grad()
    try:
        with model.mode_kept():
            yield
    finally:
        for name, array in model.named_buffers():
            array[...] = buffers[name]
        for parameter, gradient in gradients:
            parameter._grad = gradient
        for _, layer in model.named_layers():
            layer._saved = None
        rng.set_state(position)


def _nothing(part: str) -> None:
    """Called between the parts of a step."""


@dataclass
class Step:
    """A step of a network. `train()` and `infer()` run one, after `prepare`.

    network: what runs, fused or not. x `(N, H, W, C)`, labels `(N,)`.
    parameters: of the network. optimizer: updates copies of them: the network keeps its weights.
    """

    network: Layer
    loss: Any
    parameters: list[Parameter]
    optimizer: training.Optimizer
    x: Array
    labels: Array

    def prepare(self, train: bool) -> Callable[..., None]:
        """Set the mode of the network. Returns `train` or `infer`."""
        self.network.train(train)
        return self.train if train else self.infer

    def train(self, part: Part = _nothing) -> None:
        """Forward, loss, backward, update. `part(name)` is called when one of them begins."""
        part("forward")
        outputs = self.network(self.x)
        part(LOSS)
        _, gradient = self.loss(outputs, self.labels)
        part("backward")
        for parameter in self.parameters:
            parameter.zero_grad()
        self.network.backpropagate(gradient, need_dx=False)
        part(UPDATE)
        for own, copy in zip(self.parameters, self.optimizer.parameters, strict=True):
            copy._grad = own._grad
        self.optimizer.step()

    def infer(self, part: Part = _nothing) -> None:
        """A forward pass without gradients."""
        part("forward")
        with no_grad():
            self.network(self.x)


def make_step(
    model: Layer, batch: int, input_shape: Shape, fused: bool = True, seed: int = 0
) -> Step:
    """A step of SGD with momentum on random images N(0, 1) with random labels."""
    batch = checked_whole("batch", batch)
    check_host(model)
    shape = (batch, *input_shape)
    outputs = model.output_shape(shape)
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(shape, dtype=np.float32)
    network = fuse(model) if fused else model
    parameters = network.parameters()
    copies = [_copy(p) for p in parameters]
    optimizer = training.SGD(copies, lr=1e-3, momentum=0.9, weight_decay=5e-4)
    labels = generator.integers(0, outputs[-1], batch)
    return Step(network, loss_of(model), parameters, optimizer, x, labels)


def _copy(parameter: Parameter) -> Parameter:
    copy = Parameter(parameter.value.copy())
    copy.frozen = parameter.frozen
    return copy
