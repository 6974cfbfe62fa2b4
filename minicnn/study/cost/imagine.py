"""A training step or an inference of a network on imagined arrays: its calls and its memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels import dispatch
from ...kernels.types import Shape
from ...layers import Layer, fuse, no_grad
from ...training.metrics import loss_of
from ...training.optimizers import OPTIMIZERS
from .counts import Call, call_of
from .imagined import ImaginedPool
from .shapes import RESULTS, Place
from .step import borrowed

STEPS = 2  # from the second one on, the gradients of the step before are in memory


@dataclass(frozen=True)
class Memory:
    """Bytes of a network that runs.

    parameters: values and the optimizer's state. images: the batch. pool: activations, gradients
    and the scratch memory of kernels.
    """

    parameters: int
    images: int
    pool: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.parameters + self.images + self.pool


def imagine(
    model: Layer,
    batch: int,
    input_shape: Shape,
    train: bool = True,
    optimizer: str = "sgd",
    see: Callable[[Call], None] | None = None,
) -> Memory:
    """Run the fused network on arrays without contents. `see` gets every call of the last step."""
    pool = ImaginedPool()
    place = Place(pool, train)
    called: list[Callable[[Call], None]] = []

    def replace(operation: Callable, chosen: Callable) -> Callable:
        def run(*arguments: Any) -> Any:
            call = call_of(operation, arguments)
            result = RESULTS[operation.__name__](call.arguments, place)
            for function in called:
                function(call._replace(result=result))
            return result

        return run

    x: Any = ImaginedPool().empty((batch, *input_shape))
    x.pool = pool
    with borrowed(model), dispatch.intercept(replace), np.errstate(all="ignore"):
        network = fuse(model).train(train)
        outputs = model.output_shape((batch, *input_shape))
        labels = np.zeros(batch, np.int64) % outputs[-1]
        for step in range(STEPS):
            called[:] = [see] if see and step == STEPS - 1 else []
            if train:
                _train(network, loss_of(model), x, labels)
            else:
                with no_grad():
                    network(x)
        if train and see:
            see(_update(network, optimizer))
    slots = len(OPTIMIZERS[optimizer].slots) if train else 0
    values = sum(p.value.nbytes * (1 + slots * (not p.frozen)) for p in model.parameters())
    values += sum(array.nbytes for _, array in model.named_buffers())
    return Memory(values, x.nbytes, pool.bytes)


def _train(network: Layer, loss: Any, x: Any, labels: np.ndarray) -> None:
    _, gradient = loss(network(x), labels)
    network.zero_grad()
    network.backpropagate(gradient, need_dx=False)


def _update(network: Layer, optimizer: str) -> Call:
    """The call of the update, with imagined arrays in place of the optimizer's."""
    pool, slots = ImaginedPool(), OPTIMIZERS[optimizer].slots
    shapes = [p.value.shape for p in network.parameters() if not p.frozen]
    arrays = {name: [pool.empty(shape) for shape in shapes] for name in ("w", "g", *slots)}
    return Call(f"{optimizer.removesuffix('w')}_update", arrays, None)
