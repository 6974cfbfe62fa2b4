"""The parts of a run that depend on the device and on the processes that train together."""

from typing import TYPE_CHECKING

import numpy as np

from ..distributed.team import Ranks
from ..kernels.dispatch import load
from ..layers import Layer, fuse
from .accumulation import Accumulator, ShardStep
from .loop import Step, forward_backward
from .metrics import RunningMetrics

if TYPE_CHECKING:
    from .trainer import Trainer

Parts = tuple[Accumulator, RunningMetrics, Step]


def network_of(run: "Trainer") -> Layer:
    """The network that is run: the same parameters, in fewer passes over memory."""
    if run.sync_bn and isinstance(run.team, Ranks):
        from ..distributed.synchronized import synchronized

        return fuse(synchronized(run.model, run.team))
    return fuse(run.model)


def parts(run: "Trainer") -> Parts:
    """What sums the gradients of an update, what sums losses and hits, and a training step."""
    parameters, team = run.optimizer.parameters, run.team
    if isinstance(team, Ranks):
        from ..distributed.accumulation import SharedAccumulator
        from ..distributed.metrics import SharedMetrics

        shared = SharedAccumulator(run.model, parameters, run.loader, team)

        def step(run: "Trainer", x: np.ndarray, labels: np.ndarray) -> None:
            with shared.watched():
                forward_backward(run, x, labels)

        if run.device == "cuda":
            from ..distributed.device_metrics import SharedDeviceMetrics
            from .cuda_graph import CapturedStep

            metrics = SharedDeviceMetrics(run.loss, team, run.loader)
            captured = CapturedStep(step, captures=not run.sync_bn)
            return shared, metrics, ShardStep(captured)
        return shared, SharedMetrics(run.loss, team), ShardStep(step)
    accumulator = Accumulator(run.model, parameters, run.loader)
    if run.device == "cpu":
        return accumulator, RunningMetrics(run.loss), ShardStep(_step_on_cpu())
    from .cuda_graph import CapturedStep, DeviceMetrics

    return accumulator, DeviceMetrics(run.loss), ShardStep(CapturedStep(forward_backward))


def _step_on_cpu() -> Step:
    """A training step, which repeats its kernels without Python if they are Numba's."""
    if isinstance(load("cpu"), str):
        return forward_backward
    from .recorded import RecordedStep

    return RecordedStep()
