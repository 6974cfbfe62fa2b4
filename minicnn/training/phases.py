"""Callbacks that change a run after some epochs: layers are frozen, rates and augmentation change.

Each decides before the first epoch and between epochs, by the number of epochs that are done, so a
resumed run is in the phase that it was in. At the end everything is as it was before.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..data.augment.pipeline import Pipeline
from ..data.transforms import Augment
from ..layers import metadata
from ..layers.tree import matching
from .callbacks import Callback, Row

if TYPE_CHECKING:
    from .trainer import Trainer


class Phase(Callback):
    """The base: `enter` is called with the number of epochs that are done, `leave` at the end."""

    def enter(self, trainer: "Trainer", epochs: int) -> None:
        """Set what belongs to the phase after `epochs` epochs."""
        raise TypeError(f"{type(self).__name__} does not define enter")

    def leave(self, trainer: "Trainer") -> None:
        """Set what was before the run."""
        raise TypeError(f"{type(self).__name__} does not define leave")

    def on_train_start(self, trainer: "Trainer") -> None:
        self.enter(trainer, trainer.loader.epoch)

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        self.enter(trainer, trainer.loader.epoch)

    def on_train_end(self, trainer: "Trainer") -> None:
        self.leave(trainer)


class Freeze(Phase):
    """Freeze layers after some epochs, as `model.freeze` does.

    names: as for `model.freeze`. after: the number of epochs in which they are trained.
    Raises ValueError for a name that the network does not have.
    """

    def __init__(self, *names: str, after: int):
        self.names, self.after = names, after
        self._before: list[Any] | None = None  # the layers and parameters that this froze

    def enter(self, trainer: "Trainer", epochs: int) -> None:
        if epochs >= self.after and self._before is None:
            layers = (layer for _, layer in trainer.model.named_layers())
            every: list[Any] = [*layers, *trainer.model.parameters()]
            trained = [item for item in every if not item.frozen]
            trainer.model.freeze(*self.names)
            self._before = [item for item in trained if item.frozen]

    def leave(self, trainer: "Trainer") -> None:
        for item in self._before or ():
            item.frozen = False
        self._before = None


class ScaleRate(Phase):
    """Multiply the learning rate of some parameters by a factor that changes with the epoch.

    names: parameters, or patterns such as "*.bias". factors: `{epochs done: factor}`; before the
    first of them the factor is 1. The factors of several `ScaleRate` of a parameter are multiplied.
    Raises ValueError for a name that the network does not have.
    """

    def __init__(self, *names: str, factors: Mapping[int, float]):
        self.names, self.factors = names, dict(sorted(factors.items()))
        self._before: dict[str, float] = {}

    def enter(self, trainer: "Trainer", epochs: int) -> None:
        parameters = dict(trainer.model.named_parameters())
        names = [n for pattern in self.names for n in matching(pattern, list(parameters))]
        every = [c for c in trainer.callbacks if isinstance(c, ScaleRate)]
        known = {name: before for phase in every for name, before in phase._before.items()}
        self._before = {n: known.get(n, parameters[n].lr_multiplier) for n in names}
        for name, before in self._before.items():
            factors = (phase._factor(epochs) for phase in every if name in phase._before)
            parameters[name].lr_multiplier = math.prod(factors, start=before)

    def _factor(self, epochs: int) -> float:
        return next((f for e, f in reversed(self.factors.items()) if epochs >= e), 1.0)

    def leave(self, trainer: "Trainer") -> None:
        parameters = dict(trainer.model.named_parameters())
        for name, before in self._before.items():
            parameters[name].lr_multiplier = before
        self._before = {}


class SwitchAugment(Phase):
    """Augment with `later` instead of `first` after some epochs.

    A run that does not augment with `first`, for example because `fit` was given another one, keeps
    its own.
    """

    def __init__(self, first: Augment, later: Augment | None, after: int):
        self.first, self.later, self.after = first, later, after
        self._before: Any = None

    def enter(self, trainer: "Trainer", epochs: int) -> None:
        own = trainer.loader.augment
        if epochs >= self.after and own == _for_input(self.first, trainer):
            self._before = own
            _set_augment(trainer, _for_input(self.later, trainer))

    def leave(self, trainer: "Trainer") -> None:
        if self._before is not None:
            _set_augment(trainer, self._before)
        self._before = None


def _set_augment(trainer: "Trainer", augment: Any) -> None:
    trainer.loader.augment, trainer.loader.pipeline = augment, Pipeline.of(augment)


def _for_input(augment: Any, trainer: "Trainer") -> Any:
    """The augmentation for the images that the network reads, as `fit` makes it."""
    shape = metadata(trainer.model).input_shape
    return augment.for_input(shape) if shape and hasattr(augment, "for_input") else augment
