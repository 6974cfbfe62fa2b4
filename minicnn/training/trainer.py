"""The training loop."""

import math
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import rng
from ..data.dataset import as_dataset
from ..data.loader import Loader
from ..data.resident import ResidentLoader, can_stay
from ..device import model_device
from ..errors import TrainingError
from ..layers import Layer, Network, fuse
from . import checkpoint
from .callbacks import Callback, CSVLog, default_progress
from .diagnose import ChanceWatch, first_bad_layer
from .history import History
from .metrics import evaluate, loss_of, preprocess_of
from .optimizers import OPTIMIZERS, SGD, Optimizer
from .schedules import SCHEDULES, Constant, Schedule
from .step import step_for


class Trainer:
    """Everything that a run consists of; callbacks are given it.

    model, loss, optimizer, schedule: what is trained, and how. base_lr: the rate that the schedule's factor multiplies.
    loader: the training data and the position in it. test: a Dataset or None.
    epochs: how many there will be. epoch: the current one, from 1. step: how many steps have been taken.
    totals: loss, correct, images and seconds of the current epoch so far. history: the finished epochs.
    out: the folder of the run, or None. stop: set it to end the training after the current epoch.
    """

    def __init__(
        self,
        model: Layer,
        loader: Loader,
        test,
        loss,
        optimizer,
        schedule,
        epochs,
        out,
        checkpoint_seconds,
        callbacks,
    ):
        self.model, self.loader, self.test, self.loss = model, loader, test, loss
        self.optimizer: Optimizer = optimizer
        self.schedule: Schedule = schedule
        self.base_lr = optimizer.lr
        self.epochs, self.out, self.checkpoint_seconds = epochs, out, checkpoint_seconds
        self.callbacks: list[Callback] = callbacks
        self.history = History()
        self.best_score = -math.inf
        self.step = 0
        self.totals = self._no_totals()
        self.stop = False
        self._saved_at = time.monotonic()
        self.fused = fuse(model)  # the same parameters, in fewer passes over memory
        self._step = step_for(self)
        self._watch = ChanceWatch(len(loader.dataset.classes))

    @staticmethod
    def _no_totals():
        return {"loss": 0.0, "correct": 0, "images": 0, "seconds": 0.0}

    @property
    def epoch(self) -> int:
        """The epoch of the latest step, counted from 1."""
        return max(1, math.ceil(self.step / len(self.loader)))

    def run(self) -> History:
        """Train until all epochs are done, a callback stops it, or SIGINT comes."""
        self._step.begin()
        self._tell("on_train_start")
        try:
            with _sigint() as interrupted:
                while (
                    self.loader.epoch < self.epochs
                    and not self.stop
                    and not self.history.interrupted
                ):
                    self._train_epoch(interrupted)
        finally:
            self._tell("on_train_end")
        if (
            self.test is not None
            and self.history.evaluation is None
            and not self.history.interrupted
        ):
            self.history.evaluation = self._evaluate()
        if self.history.interrupted and self.out is None:
            raise KeyboardInterrupt
        return self.history

    def _train_epoch(self, interrupted):
        self.model.train()
        self.fused.train()
        started = time.perf_counter()
        before = self.totals["seconds"]
        for x, labels in self.loader:
            self.optimizer.lr = self.base_lr * self.schedule.at(
                self.step, len(self.loader), self.epochs
            )
            loss, right = self._step(x, labels)
            self.step += 1
            self.totals["seconds"] = before + time.perf_counter() - started
            self._tell("on_step_end", loss)
            sentence = self._watch.add(loss, right)
            if sentence:
                warnings.warn(sentence, stacklevel=4)
            if interrupted.is_set() and self.loader.batch:
                self.history.interrupted = True
                self._save()
                return
            if time.monotonic() - self._saved_at > self.checkpoint_seconds and self.loader.batch:
                self._save()
        self._finish_epoch()
        if interrupted.is_set():
            self.history.interrupted = self.loader.epoch < self.epochs

    def check_finite(self, loss: float, x) -> None:
        """Raise TrainingError if the loss is not finite, with where it came from; x is the batch."""
        if not math.isfinite(loss):
            raise TrainingError(self._not_finite(loss, x))

    def _finish_epoch(self):
        self._step.read()
        totals, result = self.totals, None
        if self.test is not None:
            result = self.history.evaluation = self._evaluate()
        row = {
            "epoch": self.loader.epoch,
            "train_loss": totals["loss"] / totals["images"],
            "train_accuracy": totals["correct"] / totals["images"],
            "test_loss": result.loss if result else None,
            "test_accuracy": result.accuracy if result else None,
            "test_top5": result.top5 if result else None,
            "learning_rate": self.optimizer.lr,
            "seconds": totals["seconds"],
            "images_per_second": totals["images"] / totals["seconds"],
        }
        self.history.rows.append(row)
        self.totals = self._no_totals()
        self._step.begin()
        self.schedule.observe(row["train_loss"] if result is None else result.loss)
        score = -row["train_loss"] if result is None else result.accuracy
        if score > self.best_score:
            self.best_score, self.history.best_epoch = score, row["epoch"]
            if self.out:
                checkpoint.safetensors.save(self.model, self.out / checkpoint.BEST)
        self._save()
        self._tell("on_epoch_end", row)

    def _evaluate(self):
        return evaluate(self.model, self.test, loss=self.loss, preprocess=self.loader.preprocess)

    def _save(self):
        self._step.read()
        if self.out:
            checkpoint.save(self, self.out / checkpoint.LAST)
        self._saved_at = time.monotonic()

    def _tell(self, event: str, *arguments):
        for callback in self.callbacks:
            getattr(callback, event)(self, *arguments)

    def _not_finite(self, loss, x) -> str:
        last = self.out / checkpoint.LAST if self.out else None
        good = (
            f"the last good checkpoint is {last}"
            if last and last.exists()
            else "there is no checkpoint yet"
        )
        return (
            f"the loss is {loss} at step {self.step + 1} (epoch {self.loader.epoch + 1 if self.loader.batch else self.loader.epoch}): "
            f"{first_bad_layer(self.model, x)}; {good}. The usual cause is a learning rate that is too high (now {self.optimizer.lr:g})"
        )


def fit(
    model: Layer,
    train,
    test=None,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: Optimizer | str | None = None,
    schedule: Schedule | str | None = None,
    loss=None,
    preprocess=None,
    augment=None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    out=None,
    resume: bool = False,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
) -> History:
    """Train a model; what is not given comes from its recipe (`model.recipe`), if it has one.

    Args:
        model: any Layer that gives `(N, classes)`.
        train, test: a Dataset, or a pair `(images (N, H, W, C), labels (N,))`. Without test, nothing is evaluated.
        epochs, batch_size, lr: default to the recipe's; without one to 10, 64 and 0.01.
        optimizer: an Optimizer over `model.parameters()`, a name ("sgd", "adam", "adamw", "rmsprop"), or None.
        schedule: a Schedule, a name from `training.schedules.SCHEDULES`, or None.
        loss: called as `loss(outputs, labels) -> value, gradient`; the model's own, or softmax cross-entropy.
        preprocess: pixels -> input; the recipe's. augment: what is done to the pixels at random; the recipe's.
        seed: governs the order and augmentation of the data and the dropout masks. Same seed, same machine, same result.
        callbacks: more of `training.callbacks`.
        out: a folder for `last.safetensors`, `best.safetensors`, `history.csv`, and at the end `curves.png` and `confusion.png`;
            None keeps nothing on disk.
        resume: go on from `out/last.safetensors` if it exists: the result is the same, bit for bit, as without the interruption.
        progress: show a bar, or lines where there is no terminal.
        checkpoint_seconds: save at least this often, besides after each epoch.

    Returns the History. On SIGINT it saves, and returns with `interrupted` set (without `out` it raises KeyboardInterrupt).
    Raises TrainingError for a loss that is not finite, or if `out` already holds a run and `resume` is not set; CheckpointError for a
    checkpoint that is damaged or of another run; ValueError, ShapeError or DataError for arguments that do not fit.
    """
    recipe = getattr(model, "recipe", None)
    train = as_dataset(train)
    test = None if test is None else as_dataset(test)
    epochs = epochs if epochs is not None else recipe.epochs if recipe else 10
    batch_size = batch_size if batch_size is not None else recipe.batch_size if recipe else 64
    if epochs < 1:
        raise ValueError(f"epochs={epochs}: expected at least 1")
    if augment is None and recipe:
        augment = recipe.augment
    if isinstance(model, Network):
        model.classes = train.classes
    rng.seed(seed)
    preprocess = preprocess or preprocess_of(model)
    resident = model_device(model) == "cuda" and can_stay(train, preprocess, augment)
    loader = (ResidentLoader if resident else Loader)(
        train, batch_size, preprocess, augment, shuffle=True, seed=seed
    )

    folder = None if out is None else Path(out)
    if folder:
        if (folder / checkpoint.LAST).exists() and not resume:
            raise TrainingError(
                f"{folder} already holds a run: resume it, or choose another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
    extra = ([default_progress()] if progress else []) + ([CSVLog()] if folder else [])
    trainer = Trainer(
        model=model,
        loader=loader,
        test=test,
        loss=loss or loss_of(model),
        optimizer=_make_optimizer(optimizer, model, recipe, lr),
        schedule=_make_schedule(schedule, recipe),
        epochs=epochs,
        out=folder,
        checkpoint_seconds=checkpoint_seconds,
        callbacks=[*(recipe.callbacks if recipe else ()), *extra, *callbacks],
    )
    if folder and resume and (folder / checkpoint.LAST).exists():
        checkpoint.restore(trainer, folder / checkpoint.LAST)
    history = trainer.run()
    if folder and history.rows and not history.interrupted:
        _draw(
            history,
            folder,
            f"{getattr(model, 'name', None) or type(model).__name__} on {train.name}",
        )
    return history


def _draw(history: History, folder: Path, title: str) -> None:
    """The pictures of a finished run."""
    from ..study import (
        plots,
    )  # matplotlib takes half a second to import, and training alone does not need it

    plots.curves(history, folder / "curves.png", title)
    if history.evaluation:
        plots.confusion(history.evaluation, folder / "confusion.png")


def _make_optimizer(optimizer, model, recipe, lr) -> Optimizer:
    if isinstance(optimizer, Optimizer):
        if lr is not None:
            raise ValueError("lr is given twice: to fit and to the optimizer")
        return optimizer
    if optimizer is None and recipe:
        return recipe.make_optimizer(model, lr)
    if optimizer is None:
        return SGD(model.parameters(), lr=0.01 if lr is None else lr, momentum=0.9)
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer={optimizer!r}: expected one of {', '.join(OPTIMIZERS)}")
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    return OPTIMIZERS[optimizer](
        model.parameters(), lr={"sgd": 0.01}.get(optimizer, 1e-3) if lr is None else lr, **options
    )


def _make_schedule(schedule, recipe) -> Schedule:
    if isinstance(schedule, Schedule):
        return schedule
    if schedule is None:
        return recipe.schedule if recipe else Constant()
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r}: expected one of {', '.join(SCHEDULES)}")
    try:
        return SCHEDULES[schedule]()
    except TypeError:
        raise ValueError(
            f"schedule={schedule!r} needs arguments: pass training.schedules.{SCHEDULES[schedule].__name__}(...)"
        ) from None


@contextmanager
def _sigint():
    """Turn the first SIGINT into an event; a second one interrupts at once. Only the main thread can catch signals."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number, frame):
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
