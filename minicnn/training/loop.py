"""The training loop: the gradients of one step, and one epoch."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..device import to_input
from .losses import checked_result

if TYPE_CHECKING:
    from ..layers import Layer
    from .recorded import Recorded
    from .trainer import Trainer

Step = Callable[["Trainer", np.ndarray, np.ndarray], None]


def forward_backward(
    run: "Trainer", x: np.ndarray, labels: np.ndarray, network: "Layer | Recorded | None" = None
) -> None:
    """A training step up to the gradients. x `(N, H, W, C)`, labels `(N,)`.

    network: what stands for `run.network`.
    On a GPU a CUDA graph captures this function: it only launches kernels, and reads no value back.
    """
    network = run.network if network is None else network
    outputs = network(to_input(x, run.device))
    loss, gradient = checked_result(run.loss(outputs, labels), outputs, run.loss)
    run.optimizer.zero_grad()
    network.backward(gradient, need_dx=False)
    run.metrics.add(loss, outputs, labels)


def train_epoch(run: "Trainer", step: Step = forward_backward) -> bool:
    """Train to the end of the epoch. Returns False if an interruption ended it early."""
    run.start_epoch()
    run.metrics.start_clock()
    for x, labels in run.loader:
        length = run.total_steps / run.steps_per_epoch  # epochs, also if the last one is a part
        factor = run.schedule.at(run.iteration, run.steps_per_epoch, length)
        run.optimizer.lr = run.base_lr * float(factor)
        step(run, x, labels)
        if run.metrics.count(len(labels)):
            run.check_finite(x)
        if not run.accumulator.add(len(labels)):
            continue
        if run.clip:
            run.clip(run.optimizer.parameters)
        run.optimizer.step()
        run.iteration += 1
        run.after_step()
        if run.must_pause():
            return False
        if run.is_epoch_over:
            break
    run.metrics.read()
    run.check_finite(x)
    run.metrics.stop_clock()
    return True
