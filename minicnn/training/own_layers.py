"""The first step watches the layers of the user's own, which may write where they should not."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import to_host
from ..errors import TrainingError
from ..layers import Layer, observe
from .callbacks import Callback
from .known import is_own

if TYPE_CHECKING:
    from .trainer import Trainer


class WatchOwnLayers(Callback):
    """Raise TrainingError in the first step if such a layer changes what it is given.

    The layer before it may have saved x for its backward, and the branches of a network share their
    dy: where one is written over, gradients are wrong without a word.
    """

    def __init__(self) -> None:
        self._watch = ExitStack()
        self._names: dict[int, str] = {}
        self._given: dict[int, list[np.ndarray]] = {}

    def on_train_start(self, trainer: "Trainer") -> None:
        layers = trainer.network.named_layers()
        self._names = {id(layer): name for name, layer in layers if not is_own(layer)}
        watched = observe(self._after_forward, self._after_backward, self._before, self._before)
        self._watch.enter_context(watched)

    def on_step_end(self, trainer: "Trainer", loss: float) -> None:
        self._watch.close()

    def on_train_end(self, trainer: "Trainer") -> None:
        self._watch.close()

    def _before(self, layer: Layer, given: Any) -> None:
        if id(layer) in self._names:
            self._given[id(layer)] = [to_host(array).copy() for array in _arrays(given)]

    def _after_forward(self, layer: Layer, x: Any, y: Any) -> None:
        self._compare(layer, x, "forward changes its input, which other layers may have saved")

    def _after_backward(self, layer: Layer, dy: Any, dx: Any) -> None:
        self._compare(layer, dy, "backward changes its dy, which other branches may share")

    def _compare(self, layer: Layer, given: Any, complaint: str) -> None:
        for before, now in zip(self._given.pop(id(layer), []), _arrays(given), strict=False):
            if not np.array_equal(before, to_host(now), equal_nan=True):
                name = f" {self._names[id(layer)]}" if self._names[id(layer)] else ""
                raise TrainingError(
                    f"the layer{name} ({type(layer).__name__}): {complaint}; "
                    "expected that it writes into a new array"
                )


def _arrays(given: Any) -> tuple[Any, ...]:
    """What a layer is given: several arrays if it joins or its output is a tuple, else one."""
    return given if isinstance(given, tuple) else (given,)
