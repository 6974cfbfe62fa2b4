"""Loss and accuracy of an epoch whose images several processes compute."""

import math

import numpy as np

from ..training.losses import Loss
from ..training.metrics import RunningMetrics
from .team import Ranks


class SharedMetrics(RunningMetrics):
    """The sums over the shards of all processes, added in the order of the shards.

    All processes have the same numbers, and therefore decide alike.
    """

    def __init__(self, loss: Loss, team: Ranks):
        self._team = team
        self._own: tuple[float, float, int] = (0.0, 0.0, 0)
        super().__init__(loss)

    @property
    def own_loss(self) -> float:
        return self._own[0]

    def add(self, loss: float, outputs: np.ndarray, labels: np.ndarray) -> None:
        self._own = float(loss), self.hits(outputs, labels), len(labels)

    def count(self, images: int) -> bool:
        self._own = self._own if images else (0.0, 0.0, 0)
        for loss, hits, n in self._team.gather_numbers(np.array(self._own, np.float64)).tolist():
            if n:
                self.sum_up(loss, hits, int(n))
                super().count(int(n))
            if n and not math.isfinite(loss):
                break
        return True
