"""Optimizers: what turns gradients into steps. The arithmetic is in `kernels/reference/optim.py`.

All take the list of parameters, and honor each parameter's `lr_multiplier` and `weight_decay_multiplier`. Their slots (velocities,
moments) are arrays like the parameters and part of a checkpoint.
"""

from collections.abc import Iterable

import numpy as np

from ..device import copy_into
from ..errors import CheckpointError
from ..kernels import functional as F
from ..layers import Parameter


class Optimizer:
    """The base: `step()` updates every parameter from its gradient, `zero_grad()` clears the gradients.

    A subclass names its slots and writes `update(values, gradients, *slots, lr, weight_decay)`, lists with one item a parameter.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, parameters: Iterable[Parameter], lr: float, weight_decay: float = 0.0):
        self.parameters = list(parameters)
        if not self.parameters or not all(isinstance(p, Parameter) for p in self.parameters):
            raise ValueError(
                f"{type(self).__name__}: expected a non-empty list of parameters: model.parameters()"
            )
        if not (np.isfinite(lr) and lr >= 0) or not (
            np.isfinite(weight_decay) and weight_decay >= 0
        ):
            raise ValueError(
                f"{type(self).__name__}: lr={lr!r}, weight_decay={weight_decay!r}: expected numbers >= 0"
            )
        self.lr, self.weight_decay = lr, weight_decay
        self.steps = 0
        self.state = [
            {slot: np.zeros_like(p.value) for slot in self.slots} for p in self.parameters
        ]

    def step(self) -> None:
        """One update of every parameter, at the learning rate `self.lr`."""
        self.steps += 1
        self.update(
            [p.value for p in self.parameters],
            [p.grad for p in self.parameters],
            *([slots[slot] for slots in self.state] for slot in self.slots),
            lr=[self.lr * p.lr_multiplier for p in self.parameters],
            weight_decay=[self.weight_decay * p.weight_decay_multiplier for p in self.parameters],
        )

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def update(
        self,
        values: list,
        gradients: list,
        *slots: list,
        lr: list[float],
        weight_decay: list[float],
    ) -> None:
        """Update all parameters in place."""
        raise TypeError(f"{type(self).__name__} does not define update")

    def state_dict(self) -> dict[str, np.ndarray]:
        """The slots as `"<parameter's position>.<slot>"`, the optimizer's own arrays."""
        return {
            f"{i}.{slot}": array
            for i, slots in enumerate(self.state)
            for slot, array in slots.items()
        }

    def load_state_dict(self, state: dict[str, np.ndarray], steps: int) -> None:
        """Copy `state` into the slots. Raises CheckpointError if it is another optimizer's or another model's."""
        own = self.state_dict()
        if {n: a.shape for n, a in own.items()} != {n: a.shape for n, a in state.items()}:
            raise CheckpointError(
                f"the optimizer's state in the checkpoint is not one of {type(self).__name__} on this model"
            )
        for name, array in own.items():
            copy_into(array, state[name])
        self.steps = steps


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, L2 weight decay and optionally Nesterov's look-ahead.

    form: "torch" or "caffe" (AlexNet's own form): they differ after the learning rate drops, see `sgd_update`.
    """

    slots = ("velocity",)

    def __init__(
        self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False, form="torch"
    ):
        super().__init__(parameters, lr, weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: momentum={momentum!r}: expected 0 <= momentum < 1")
        if form not in ("torch", "caffe"):
            raise ValueError(f"SGD: form={form!r}: expected 'torch' or 'caffe'")
        self.momentum, self.nesterov, self.form = momentum, nesterov, form

    def update(self, values, gradients, velocities, lr, weight_decay):
        F.sgd_update(
            values, gradients, velocities, lr, weight_decay, self.momentum, self.nesterov, self.form
        )


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015); weight decay is added to the gradient."""

    slots = ("m", "v")
    decoupled = False

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.betas, self.eps = betas, eps

    def update(self, values, gradients, means, squares, lr, weight_decay):
        F.adam_update(
            values,
            gradients,
            means,
            squares,
            lr,
            weight_decay,
            self.steps,
            *self.betas,
            self.eps,
            self.decoupled,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    decoupled = True

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(parameters, lr, betas, eps, weight_decay)


class RMSProp(Optimizer):
    """RMSProp (Tieleman & Hinton 2012), with optional momentum."""

    slots = ("square", "velocity")

    def __init__(self, parameters, lr=1e-2, decay=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.decay, self.eps, self.momentum = decay, eps, momentum

    def update(self, values, gradients, squares, velocities, lr, weight_decay):
        F.rmsprop_update(
            values,
            gradients,
            squares,
            velocities,
            lr,
            weight_decay,
            self.decay,
            self.eps,
            self.momentum,
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSProp,
}
