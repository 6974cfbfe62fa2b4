"""`fit`, and the state of a run with its checkpoints and signals. The loop is in `loop.py`."""

import math
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import rng
from ..data.dataset import Dataset
from ..data.loader import Loader
from ..data.transforms import Augment
from ..device import model_device, to_host
from ..errors import TrainingError
from ..layers import Layer, Parameter, fuse
from ..weights import safetensors
from . import checkpoint
from .arguments import (
    as_sets,
    checked_epochs,
    kept_preprocess,
    make_loader,
    make_optimizer,
    make_schedule,
    remember_data,
    run_folder,
)
from .averaging import Average
from .callbacks import Callback, CSVLog, default_progress
from .config_file import SaveConfiguration
from .configuration import configuration
from .diagnose import ChanceLevelDetector, first_bad_layer
from .gradients import Accumulator
from .history import History, score
from .loop import Step, forward_backward, train_epoch
from .losses import Loss, plain
from .metrics import Evaluation, RunningMetrics, evaluate, loss_of
from .optimizers import Optimizer
from .preflight import check_data, check_folder, check_functions, check_metric, check_optimizer
from .recipe import Recipe, choose_recipe
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
    accumulate: int = 1
    average: Average | None = None
    checkpoint_seconds: float = 60.0


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
    train_step: a step up to the gradients, for the device: see `loop`.
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
    ):
        self.model, self.loader, self.loss = model, loader, loss
        self.test, self.validation = test, validation
        self.network = fuse(model)  # the same parameters, in fewer passes over memory
        self._frozen = model.frozen_names()
        self.device = model_device(model)
        self.optimizer, self.schedule, self.base_lr = optimizer, schedule, optimizer.lr
        self.epochs, self.out, self.metric = settings.epochs, settings.out, settings.metric
        self.clip, self.average = settings.clip, deepcopy(settings.average)
        self.checkpoint_seconds = settings.checkpoint_seconds
        self.accumulator = Accumulator(optimizer.parameters, settings.accumulate, loader.batch_size)
        self.total_steps = math.ceil(round(self.epochs * self.steps_per_epoch, 6))
        self.recipe_callbacks = list(recipe_callbacks)
        self.callbacks = [*recipe_callbacks, *callbacks]
        self.history = History()
        self.best_score = -math.inf
        self.iteration = 0
        self.stop = self.finished = self.restore_best = False
        self._best: dict[str, np.ndarray] = {}
        self.metrics, self.train_step = _metrics_and_step(self.device, loss)
        self.configuration = configuration(self) if self.out else {}
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
        return math.ceil(len(self.loader) / self.accumulator.every)

    def run(self) -> History:
        """Train until all epochs are done, a callback sets `stop`, or SIGINT interrupts."""
        self.notify("on_train_start")
        if self.average and not self.average.state:
            self.average.start(self.model)
        try:
            with catch_sigint(self._sigint):
                while self.iteration < self.total_steps and not self.stop:
                    if train_epoch(self, self.train_step):
                        self._finish_epoch()
                    if self.history.interrupted:
                        break
            if self.restore_best and not self.history.interrupted:
                self._restore_best()
            if self.test is not None and not self.history.interrupted:
                self.history.evaluation = self.history.evaluation or self._evaluate(self.test)
            self.finished = not self.history.interrupted
            if self.average and self.finished:
                self.average.exchange(self.model)
        finally:
            self.notify("on_train_end")
        if self.history.interrupted and self.out is None:
            raise KeyboardInterrupt
        return self.history

    def start_epoch(self) -> None:
        """Switch to training mode; if other layers are frozen than before, fuse the network again.

        Callbacks may freeze layers before the first epoch and between epochs.
        """
        frozen = self.model.frozen_names()
        if frozen != self._frozen:
            self._frozen, self.network = frozen, fuse(self.model)
        self.network.train()

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
        sentence = self._chance.add(metrics.last_loss, metrics.last_accuracy)
        if sentence:
            warnings.warn(sentence, stacklevel=5)  # the caller of fit

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
        interrupted = self._sigint.is_set()
        if interrupted or time.monotonic() - self._saved_at > self.checkpoint_seconds:
            self._save()
        self.history.interrupted = interrupted
        return interrupted

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
        raise TrainingError(
            f"the loss is {self.metrics.last_loss} at step {self.iteration + 1} (epoch {epoch}): "
            f"{first_bad_layer(self.model, x)}; {good}. The usual cause is a learning rate that "
            f"is too high (now {self.optimizer.lr:g})"
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
        self.history.interrupted = self._sigint.is_set() and self.iteration < self.total_steps

    def _keep_best(self) -> None:
        """Keep the weights of the best epoch so far: in a file, or if they are needed, a copy."""
        with self.averaged():
            if self.out:
                safetensors.save(self.model, self.out / checkpoint.BEST)
            elif self.restore_best:
                self._best = {n: to_host(a).copy() for n, a in self.model.state_dict().items()}

    def _restore_best(self) -> None:
        """Give the model the weights of the best epoch, which may not be the last one."""
        rows = self.history.rows
        if not rows or self.history.best_epoch == rows[-1]["epoch"]:
            return
        best = safetensors.read(self.out / checkpoint.BEST)[0] if self.out else self._best
        with self.averaged():
            self.model.load_state_dict(best)
        self.history.evaluation = None  # it was that of the last epoch

    def _evaluate(self, dataset: Dataset | None) -> Evaluation | None:
        if dataset is None:
            return None
        loss, preprocess = plain(self.loss), self.loader.preprocess
        with self.averaged():
            return evaluate(self.model, dataset, loss=loss, preprocess=preprocess)

    def _save(self) -> None:
        self.metrics.read()
        if self.out:
            checkpoint.save(self, self.out / checkpoint.LAST)
        self._saved_at = time.monotonic()


def fit(
    model: Layer,
    train: Dataset | tuple[Any, Any],
    test: Dataset | tuple[Any, Any] | None = None,
    validation: Dataset | tuple[Any, Any] | None = None,
    *,
    recipe: Recipe | str | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: Optimizer | str | None = None,
    schedule: Schedule | str | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    warm_up: float | None = None,
    clip: Clip | None = None,
    accumulate: int = 1,
    average: Average | None = None,
    metric: str | None = None,
    loss: Loss | None = None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    augment: Augment | None = None,
    workers: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
) -> History:
    """Train a model. Settings that are not given are those of its recipe.

    Args:
        model: any Layer that gives `(N, classes)`.
        train, test: a Dataset, or a pair `(images (N, H, W, C), labels (N,))`. Without test, there
            is no evaluation. Classes that have names are matched by name.
        validation: images by which the best epoch is chosen, early stopping decides and schedules
            look; without them the test images serve, and then the test accuracy of the best epoch
            is no measurement.
        recipe: a Recipe, or the name of one of the network's. By default the one that the network
            has for this data set; otherwise `model.recipe`.
        epochs, batch_size, lr: by default the recipe's; without a recipe 10, 64 and 0.01. Of 9.5
            epochs, the last one is half as long.
        optimizer: an Optimizer over `model.parameters()` or some of them, a name ("sgd", "adam",
            "adamw", "rmsprop", "muon"), or None.
        schedule: a Schedule, of which the run uses a copy, or as text: a name from
            `training.schedules.SCHEDULES` with its arguments, such as "cosine" or "step(30, 0.1)".
        momentum, weight_decay: in place of the recipe's, or those of the named optimizer.
        warm_up: the learning rate rises from 0 in so many epochs, on top of the schedule.
        clip: changes the gradients before each update, such as `training.ClipNorm(1.0)`.
        accumulate: each update uses the mean gradient of so many batches; the result is that of
            one large batch, up to batch norm. An epoch's last update may have fewer.
        average: an `EMA` or `Lookahead` of the weights, of which the run uses a copy; by default
            the recipe's. It is what is evaluated and saved, and what the model has at the end; the
            weights that the optimizer changes are in `last.safetensors` beside it.
        metric: the best epoch is chosen by "accuracy", "loss" or "top5": of the validation images,
            or else the test images, or else the training; by default accuracy, or without any
            images but the training ones, their loss.
        loss: called as `loss(outputs, labels) -> value, gradient`; any function may be
            given, see `training.Loss`. By default the recipe's or the model's own, or softmax
            cross-entropy. Validation and test images are judged by it without label smoothing and
            class weights.
        preprocess: pixels -> input; by default what the model's weights were trained with, or else
            (and where a recipe is named) the recipe's. A Preprocess is saved with the weights.
        augment: random changes of the pixels, called as `augment(images, generator)`; by default
            the recipe's.
        workers: threads that decode image files, by default one per core. No pixel depends on it.
        seed: determines the order and augmentation of the data and the dropout masks. The same seed
            on the same machine gives the same result.
        callbacks: further callbacks, see `training.callbacks`.
        out: a folder for `last.safetensors`, `best.safetensors`, `history.csv` and `config.toml`;
            None keeps nothing on disk.
        resume: continue from `out/last.safetensors` if it exists. The result is bit-identical
            to that of an uninterrupted run.
        progress: show a bar, or lines if there is no terminal.
        checkpoint_seconds: save at least this often, and after each epoch.

    Returns the History. On SIGINT it saves and returns with `interrupted` set (without `out` it
    raises KeyboardInterrupt).
    Raises TrainingError for a loss that is not finite, or if `out` already holds a run and `resume`
    is not set; CheckpointError for a checkpoint that is damaged, belongs to another run, or cannot
    be written; ValueError, ShapeError or DataError for arguments that do not fit, before the first
    step.
    """
    train, test, validation = as_sets(train, test, validation)
    folder = run_folder(out, resume)
    plan = choose_recipe(model, train.name, recipe)
    preprocess = preprocess or kept_preprocess(model, recipe, train)
    epochs = checked_epochs(plan.epochs if epochs is None else epochs)
    loader = make_loader(model, train, plan, batch_size, preprocess, augment, seed, workers)
    loss, average = loss or plan.loss or loss_of(model), average or plan.average
    check_functions(loss, clip, average)
    check_data(model, loader, {"test": test, "validation": validation}, loss)
    check_metric(metric, validation or test)
    given = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    rule = make_optimizer(optimizer, model, plan, given)
    check_optimizer(rule, model)
    if folder:
        check_folder(folder)
    rng.seed(seed)
    remember_data(model, loader)
    trainer = Trainer(
        *(model, loader, test, validation, loss, rule),
        schedule=make_schedule(schedule, plan, warm_up),
        settings=Settings(epochs, folder, metric, clip, accumulate, average, checkpoint_seconds),
        recipe_callbacks=plan.make_callbacks(),
        callbacks=[*_standard_callbacks(folder, progress), *callbacks],
    )
    if folder and (folder / checkpoint.LAST).exists():
        checkpoint.restore(trainer, folder / checkpoint.LAST)
    return trainer.run()


def _standard_callbacks(folder: Path | None, progress: bool) -> list[Callback]:
    """What a run has without being asked: progress, and the files of its folder."""
    shown: list[Callback] = [default_progress()] if progress else []
    return [*shown, *([CSVLog(), SaveConfiguration()] if folder else [])]


def _metrics_and_step(device: str, loss: Loss) -> tuple[RunningMetrics, Step]:
    """The sums of losses and hits, and the function of a training step, for that device."""
    if device == "cpu":
        return RunningMetrics(loss), forward_backward
    from .cuda_graph import CapturedStep, DeviceMetrics

    return DeviceMetrics(loss), CapturedStep(forward_backward)
