"""Optimizers: updates of parameters from their gradients. See `minicnn.kernels.reference.optim`.

An optimizer takes the list of parameters, and multiplies the learning rate and the weight decay by
each one's `lr_multiplier` and `weight_decay_multiplier`. Its state (velocities, moments) has the
shapes of the parameters and is part of a checkpoint.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..checks import checked_flag, is_number, is_one_of, plain
from ..device import copy_into
from ..errors import CheckpointError, brief, wrong
from ..kernels import functional as F
from ..layers import Parameter


class Optimizer:
    """The base: `step()` updates all parameters from their gradients, `zero_grad()` clears those.

    A subclass names its slots and writes `update(values, gradients, *slots, lr, weight_decay)`,
    where each argument is a list with one item per parameter.
    multipliers: per parameter, factors of the learning rate and of the weight decay, on top of the
    parameter's own; a recipe sets them.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, parameters: Iterable[Parameter], lr: float, weight_decay: float = 0.0):
        self.parameters = list(parameters)
        name = type(self).__name__
        if not self.parameters or not all(isinstance(p, Parameter) for p in self.parameters):
            raise ValueError(f"{name}: expected a non-empty list of parameters: model.parameters()")
        repeated = len(self.parameters) - len({id(p) for p in self.parameters})
        if repeated:
            raise ValueError(
                f"{name}: {repeated} of {len(self.parameters)} parameters are given twice; "
                "expected each one once"
            )
        if not (is_number(lr, 0) and is_number(weight_decay, 0)):
            raise ValueError(
                f"{name}: lr={brief(lr)}, weight_decay={brief(weight_decay)}: expected numbers >= 0"
            )
        self.lr, self.weight_decay = plain(lr), plain(weight_decay)
        self.steps = 0
        self.multipliers = [(1.0, 1.0)] * len(self.parameters)
        self.state = [
            {slot: np.zeros_like(p.value) for slot in self.slots} for p in self.parameters
        ]

    def step(self) -> None:
        """Update all parameters once, with the learning rate `self.lr`; frozen ones stay."""
        self.steps += 1
        every = zip(self.parameters, self.effective_multipliers(), self.state, strict=True)
        trained = [item for item in every if not item[0].frozen]
        if not trained:
            return
        self.update(
            [p.value for p, _, _ in trained],
            [p.grad for p, _, _ in trained],
            *([slots[slot] for _, _, slots in trained] for slot in self.slots),
            lr=[self.lr * rate for _, (rate, _), _ in trained],
            weight_decay=[self.weight_decay * decay for _, (_, decay), _ in trained],
        )

    def effective_multipliers(self) -> list[tuple[float, float]]:
        """Per parameter, the factors of the learning rate and of the weight decay."""
        return [
            (p.lr_multiplier * rate, p.weight_decay_multiplier * decay)
            for p, (rate, decay) in zip(self.parameters, self.multipliers, strict=True)
        ]

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def update(
        self,
        values: list[np.ndarray],
        gradients: list[np.ndarray],
        *slots: list[np.ndarray],
        lr: list[float],
        weight_decay: list[float],
    ) -> None:
        """Update all parameters in place."""
        raise TypeError(f"{type(self).__name__} does not define update")

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments other than the parameters, with their present values."""
        names = list(inspect.signature(type(self)).parameters)
        return {name: getattr(self, name) for name in names[1:] if hasattr(self, name)}

    def state_dict(self) -> dict[str, np.ndarray]:
        """The optimizer's own arrays, named `"<parameter's position>.<slot>"`."""
        return {
            f"{i}.{slot}": array
            for i, slots in enumerate(self.state)
            for slot, array in slots.items()
        }

    def load_state_dict(self, state: dict[str, np.ndarray], steps: int) -> None:
        """Copy `state` into the slots. Raises CheckpointError if it does not fit them."""
        own = self.state_dict()
        if {n: a.shape for n, a in own.items()} != {n: a.shape for n, a in state.items()}:
            raise CheckpointError(
                "the optimizer's state in the checkpoint does not fit "
                f"{type(self).__name__} on this model"
            )
        for name, array in own.items():
            copy_into(array, state[name])
        self.steps = steps

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({len(self.parameters)} parameters, {settings})"


def checked_share(optimizer: Optimizer, name: str, value: float) -> float:
    """The share that an average keeps. Raises ValueError unless it is at least 0 and below 1."""
    if not is_number(value, 0) or value >= 1:
        raise wrong(optimizer, name, value, f"0 <= {name} < 1")
    return plain(value)


def checked_eps(optimizer: Optimizer, value: float) -> float:
    """The number that is added to a denominator. Raises ValueError unless it is at least 0."""
    if not is_number(value, 0):
        raise wrong(optimizer, "eps", value, "a number >= 0")
    return plain(value)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, L2 weight decay and optional Nesterov momentum.

    form: "torch" or "caffe" (that of AlexNet). They differ after a change of the learning rate,
    see `sgd_update`.
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        form: str = "torch",
    ):
        super().__init__(parameters, lr, weight_decay)
        self.momentum = checked_share(self, "momentum", momentum)
        if not is_one_of(form, ("torch", "caffe")):
            raise ValueError(f"SGD: form={brief(form)}: expected 'torch' or 'caffe'")
        self.nesterov, self.form = checked_flag("SGD: nesterov", nesterov), form

    def update(  # type: ignore[override]
        self,
        values: list[np.ndarray],
        gradients: list[np.ndarray],
        velocities: list[np.ndarray],
        lr: list[float],
        weight_decay: list[float],
    ) -> None:
        F.sgd_update(
            values, gradients, velocities, lr, weight_decay, self.momentum, self.nesterov, self.form
        )


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015); weight decay is added to the gradient."""

    slots = ("m", "v")
    decoupled = False

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, lr, weight_decay)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"{type(self).__name__}: betas={brief(betas)}: expected two numbers")
        first, second = (checked_share(self, "betas", beta) for beta in betas)
        self.betas, self.eps = (first, second), checked_eps(self, eps)

    def update(  # type: ignore[override]
        self,
        values: list[np.ndarray],
        gradients: list[np.ndarray],
        means: list[np.ndarray],
        squares: list[np.ndarray],
        lr: list[float],
        weight_decay: list[float],
    ) -> None:
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

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(parameters, lr, betas, eps, weight_decay)


class RMSProp(Optimizer):
    """RMSProp (Tieleman & Hinton 2012), with optional momentum."""

    slots = ("square", "velocity")

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-2,
        decay: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, lr, weight_decay)
        self.decay, self.eps = checked_share(self, "decay", decay), checked_eps(self, eps)
        self.momentum = checked_share(self, "momentum", momentum)

    def update(  # type: ignore[override]
        self,
        values: list[np.ndarray],
        gradients: list[np.ndarray],
        squares: list[np.ndarray],
        velocities: list[np.ndarray],
        lr: list[float],
        weight_decay: list[float],
    ) -> None:
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
