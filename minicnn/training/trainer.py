"""The state of a run, with its evaluations, checkpoints and signals. The loop is in `loop.py`."""

import math
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..data.loader import Loader
from ..device import model_device, to_host
from ..distributed.team import Team
from ..errors import DivergedError
from ..layers import Layer, Parameter
from ..weights import safetensors
from . import checkpoint
from .averaging import EMA, Average
from .callbacks import Callback, acts_after_steps
from .configuration import configuration
from .diagnose import IN_THE_INPUT, ChanceLevelDetector, dead_classes, first_bad_layer
from .history import History, score
from .known import is_own
from .loop import train_epoch
from .losses import Loss, plain
from .metrics import Evaluation, evaluate
from .optimizers import Optimizer
from .parts import network_of, parts
from .preflight import check_new_parameters
from .schedules import Schedule
from .signals import catch_sigint

Clip = Callable[[Sequence[Parameter]], None]


@dataclass(frozen=True)
class Settings:
    """Arguments of `fit` that a run keeps as they are."""

    epochs: float
    out: Path | None = None
    metric: str | None = None
    clip: Clip | None = None
    average: Average | None = None
    checkpoint_seconds: float = 60.0
    sync_bn: bool = False


class Trainer:
    """The state of a training run; passed to every callback.

    model, loss, optimizer, schedule: the arguments of `fit`. network: the fused model, which is
    run. base_lr: the learning rate, before the schedule's factor.
    loader: the training data and the position in it. test, validation: a Dataset or None.
    average: the average of the weights that is evaluated, or None.
    epochs: their number, which may have a fraction. total_steps: the same in steps.
    epoch: the current one, from 1. iteration: the number of steps so far.
    steps_per_epoch: fewer than the batches, if a step accumulates several. metric: of the best
    epoch. restore_best: set it to end with the weights of the best epoch.
    metrics: loss and accuracy of the current epoch so far. history: the finished epochs.
    out: the folder of the run, or None. stop: set it to end the training after the current epoch.
    team: the processes that train together; usually this one. accumulator, train_step: what sums
    gradients, and a step up to these, for the device and the team; see `loop`.
    weights_changed: between epochs, where anything may change weights; until the next step.
    finished: True if the run ended without an error or an interruption.
    """

    def __init__(
        self,
        model: Layer,
        loader: Loader,
        test: Dataset | None,
        validation: Dataset | None,
        loss: Loss,
        optimizer: Optimizer,
        schedule: Schedule,
        settings: Settings,
        recipe_callbacks: Sequence[Callback] = (),
        callbacks: Sequence[Callback] = (),
        team: Team | None = None,
    ):
        self.model, self.loader, self.loss = model, loader, loss
        self.team = team or Team()
        self.test, self.validation = test, validation
        self.sync_bn = settings.sync_bn
        self.network = network_of(self)
        self._structure = self._present_structure()
        self.device = model_device(model)
        self.optimizer, self.schedule, self.base_lr = optimizer, schedule, optimizer.lr
        self.epochs, self.out, self.metric = settings.epochs, settings.out, settings.metric
        self.clip, self.average = settings.clip, deepcopy(settings.average)
        self.checkpoint_seconds = settings.checkpoint_seconds
        self.total_steps = math.ceil(round(self.epochs * self.steps_per_epoch, 6))
        self.recipe_callbacks = list(recipe_callbacks)
        every = [*recipe_callbacks, *callbacks]
        self.callbacks = [c for c in every if self.team.is_first or not c.is_output]
        self.history = History()
        self.best_score = -math.inf
        self.iteration = 0
        self.stop = self.finished = self.restore_best = False
        self.weights_changed = True
        self._best: dict[str, np.ndarray] = {}
        self.accumulator, self.metrics, self.train_step = parts(self)
        is_needed = self.out is not None or self.team.size > 1
        self.configuration = configuration(self) if is_needed else {}
        self._chance = ChanceLevelDetector(len(loader.dataset.classes))
        self._saved_at = time.monotonic()
        self._sigint = threading.Event()

    @property
    def epoch(self) -> int:
        """The epoch of the latest step, counted from 1."""
        return max(1, math.ceil(self.iteration / self.steps_per_epoch))

    @property
    def steps_per_epoch(self) -> int:
        """The number of updates per epoch."""
        return self.loader.shards.updates(self.loader.images)

    def run(self) -> History:
        """Train until all epochs are done, a callback sets `stop`, or SIGINT interrupts.

        Afterwards the mode of each layer and the optimizer's learning rate are as before.
        """
        with ExitStack() as ends:
            ends.enter_context(self.model.mode_kept())
            ends.callback(setattr, self.optimizer, "lr", self.base_lr)
            for callback in self.callbacks:  # of which those are ended that have started
                callback.on_train_start(self)
                ends.callback(callback.on_train_end, self)
            if self.average and not self.average.state:
                self.average.start(self.model)
            with catch_sigint(self._sigint):
                while self.iteration < self.total_steps and not self.stop:
                    if train_epoch(self, self.train_step):
                        self._finish_epoch()
                    if self.history.interrupted:
                        break
            if self.restore_best and not self.history.interrupted:
                self._restore_best()
            if self.test is not None and not self.history.interrupted:
                result = self.history.evaluation or self._evaluate(self.test)
                self.history.evaluation = result
                if result:
                    known = self.model, self.test, self.loader.preprocess
                    self._warn(dead_classes(*known, result))
            self.finished = not self.history.interrupted
            if self.average and self.finished:
                self.average.exchange(self.model)
        if self.history.interrupted and self.team.first(lambda: self.out is None):
            raise KeyboardInterrupt
        return self.history

    def start_epoch(self) -> None:
        """Switch to training mode; if layers are replaced or others frozen, fuse the network again.

        Callbacks may do both before the first epoch and between epochs.
        """
        self.model.train()
        structure = self._present_structure()
        if structure != self._structure:
            check_new_parameters(self.model, self._structure[2], self.optimizer)
            self._structure, self.network = structure, network_of(self)
            self.accumulator.find_buffers(self.model)
        self.network.train()
        self.weights_changed = True

    def _present_structure(self) -> tuple[list[str], dict[str, Layer], list[Parameter]]:
        """What the fused network depends on: the frozen layers, all of them, their parameters."""
        return self.model.frozen_names(), dict(self.model.named_layers()), self.model.parameters()

    def notify(self, event: str, *arguments: Any) -> None:
        """Call the method `event` of all callbacks."""
        for callback in self.callbacks:
            getattr(callback, event)(self, *arguments)

    def after_step(self) -> None:
        """Average, call the callbacks, and warn if the loss stays at that of random guessing."""
        metrics = self.metrics
        if self.average:
            self.average.update(self.model, self.iteration, self.total_steps)
        self.notify("on_step_end", metrics.last_loss)
        self._warn(self._chance.add(metrics.last_loss, metrics.last_accuracy), deeper=2)

    def _warn(self, sentence: str | None, deeper: int = 0) -> None:
        """Warn, if there is a sentence, where `fit` was called; deeper: calls below `run`."""
        if sentence:
            warnings.warn(sentence, stacklevel=5 + deeper)

    @property
    def only_the_optimizer_changes_weights(self) -> bool:
        """True if between the steps of an epoch no other code may change weights."""
        changing = (c for c in self.callbacks if not c.is_output and acts_after_steps(c))
        reads_only = self.average is None or type(self.average) is EMA
        return is_own(self.optimizer) and reads_only and not any(changing)

    def averaged(self) -> AbstractContextManager[None]:
        """A block in which the model has the averaged weights, if there are any."""
        return self.average.applied(self.model) if self.average else nullcontext()

    @property
    def is_epoch_over(self) -> bool:
        """True after the last step of an epoch or, if that is only a part, of the run."""
        return not self.loader.batch or self.iteration == self.total_steps

    def must_pause(self) -> bool:
        """Save if it is time to. Returns True if an interruption ends the epoch here."""
        if self.is_epoch_over:  # it ends as usual
            return False
        interrupted, is_time = self.team.first(self._wishes)
        if interrupted or is_time:
            self._save()
        self.history.interrupted = interrupted
        return interrupted

    def _wishes(self) -> tuple[bool, bool]:
        """Whether an interruption was asked for, and whether it is time to save."""
        seconds = time.monotonic() - self._saved_at
        return self._sigint.is_set(), seconds > self.checkpoint_seconds

    def check_finite(self, x: np.ndarray) -> None:
        """Raise TrainingError, with its origin, if the latest loss is not finite. x: the batch."""
        if math.isfinite(self.metrics.last_loss):
            return
        last = self.out / checkpoint.LAST if self.out else None
        good = (
            f"the last good checkpoint is {last}"
            if last and last.exists()
            else "there is no checkpoint yet"
        )
        epoch = self.loader.epoch + 1 if self.loader.batch else self.loader.epoch
        own = None if math.isfinite(self.metrics.own_loss) else first_bad_layer(self.model, x)
        cause = next((found for found in self.team.gather(own) if found), "")
        rate = f". The usual cause is a learning rate that is too high (now {self.optimizer.lr:g})"
        raise DivergedError(
            f"the loss is {self.metrics.last_loss} at step {self.iteration + 1} (epoch {epoch}): "
            f"{cause}; {good}{'' if cause == IN_THE_INPUT else rate}"
        )

    def _finish_epoch(self) -> None:
        """Evaluate, add a row to the history, and save."""
        metrics = self.metrics
        result = self.history.evaluation = self._evaluate(self.test)
        chosen_by = self._evaluate(self.validation) or result
        row: dict[str, Any] = {
            "epoch": self.epoch,
            "train_loss": metrics.mean_loss,
            "train_accuracy": metrics.accuracy,
            "validation_loss": chosen_by.loss if self.validation and chosen_by else None,
            "validation_accuracy": chosen_by.accuracy if self.validation and chosen_by else None,
            "validation_top5": chosen_by.top5 if self.validation and chosen_by else None,
            "test_loss": result.loss if result else None,
            "test_accuracy": result.accuracy if result else None,
            "test_top5": result.top5 if result else None,
            "learning_rate": self.optimizer.lr,
            "seconds": metrics.seconds,
            "images_per_second": metrics.images_per_second,
        }
        self.history.rows.append(row)
        metrics.reset()
        self.schedule.observe(-score(row, "loss"))
        if score(row, self.metric) > self.best_score:
            self.best_score, self.history.best_epoch = score(row, self.metric), row["epoch"]
            self._keep_best()
        self._save()
        self.notify("on_epoch_end", row)
        is_over = self.iteration == self.total_steps
        self.history.interrupted = self.team.first(self._sigint.is_set) and not is_over

    def _keep_best(self) -> None:
        """Keep the weights of the best epoch so far: in a file, or if they are needed, a copy."""
        with self.averaged():
            if self.out:
                safetensors.save(self.model, self.out / checkpoint.BEST)
            elif self.restore_best:
                self._best = {n: to_host(a).copy() for n, a in self.model.state_dict().items()}

    def _restore_best(self) -> None:
        """Give the model the weights of the best epoch, which may not be the last one."""
        rows, best_epoch = self.history.rows, self.history.best_epoch
        if best_epoch is None or best_epoch == rows[-1]["epoch"]:
            return
        best = self.team.first(
            lambda: safetensors.read(self.out / checkpoint.BEST)[0] if self.out else self._best
        )
        with self.averaged():
            self.model.load_state_dict(best)
        self.history.evaluation = None  # it was that of the last epoch

    def _evaluate(self, dataset: Dataset | None) -> Evaluation | None:
        if dataset is None:
            return None
        loss, preprocess = plain(self.loss), self.loader.preprocess
        with self.averaged():
            return evaluate(self.model, dataset, loss=loss, preprocess=preprocess, team=self.team)

    def _save(self) -> None:
        self.metrics.read()
        if self.out:
            checkpoint.save(self, self.out / checkpoint.LAST)
        self._saved_at = time.monotonic()
