"""Loss and accuracy of an epoch whose images several processes compute, each on its GPU."""

from typing import Any

import numpy as np

from ..data.loader import Loader
from ..device import runtime
from ..training.cuda_graph import DeviceMetrics
from ..training.losses import Loss
from .team import Ranks


class SharedDeviceMetrics(DeviceMetrics):
    """The sums of all processes, added in the order of the ranks when they are read."""

    def __init__(self, loss: Loss, team: Ranks, loader: Loader):
        self._team, self._loader, self._own = team, loader, 0.0
        super().__init__(loss)

    @property
    def own_loss(self) -> float:
        """Not finite if a loss of this process was not."""
        return self._own

    def count(self, images: int) -> bool:
        assert self._loader.turn is not None
        return super().count(sum(self._loader.turn.sizes))

    def download(self) -> tuple[float, float]:
        own = np.array(super().download())
        self._own = float(own[0])
        loss, correct = self._team.gather_numbers(own).sum(axis=0)
        return float(loss), float(correct)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if not self._team.is_first:  # the sums so far count once
            runtime().overwrite(self._sums, np.zeros(2))
