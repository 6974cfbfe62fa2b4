"""Callbacks: progress, logging, early stopping. Your own overrides some of four methods."""

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..checks import is_number
from ..device import model_device
from ..errors import brief
from .history import FILE, describe, score

if TYPE_CHECKING:
    from .trainer import Trainer

Row = dict[str, Any]
FIRST_STEP_SECONDS = 3.0  # a first step that takes longer is explained


class Callback:
    """The base. Each method is passed the `Trainer`, the state of the run.

    Set `trainer.stop = True` to end the training after the current epoch.
    is_output: True for one that only prints, draws or writes. Where several processes train
    together, only the first one calls it; the others are called in all.
    """

    is_output = False

    def on_train_start(self, trainer: "Trainer") -> None:
        """Before the first step, after a checkpoint has been restored."""

    def on_step_end(self, trainer: "Trainer", loss: float) -> None:
        """After each step, with its loss."""

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        """After each epoch and its evaluation, with the new row of the history."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """At the end, also after an error or an interruption.

        The callbacks are called in reverse order, each one also if another has raised an exception.
        """


def acts_after_steps(callback: Callback) -> bool:
    """True if the callback, or its class, defines `on_step_end`."""
    return getattr(callback.on_step_end, "__func__", None) is not Callback.on_step_end


class EarlyStopping(Callback):
    """End the training when there has been no progress for `patience` epochs.

    Progress is an improvement of the run's metric by more than `min_delta` over the best value so
    far; the metric is that of `fit`, by which the best epoch is chosen. With `restore` the model
    then has the weights of the best epoch.
    """

    def __init__(self, patience: int = 5, min_delta: float = 0.0, restore: bool = False):
        if not (is_number(patience, 1) and is_number(min_delta, 0)):
            raise ValueError(
                f"EarlyStopping: patience={brief(patience)}, min_delta={brief(min_delta)}: "
                "expected a number of epochs and a number >= 0"
            )
        self.patience, self.min_delta, self.restore = patience, min_delta, restore

    def on_train_start(self, trainer: "Trainer") -> None:
        trainer.restore_best = trainer.restore_best or self.restore
        self._decide(trainer)  # a run that was stopped and is resumed stays stopped

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        self._decide(trainer)

    def _decide(self, trainer: "Trainer") -> None:
        best, waited = -math.inf, 0
        for row in trainer.history.rows:
            found = score(row, trainer.metric)
            best, waited = (found, 0) if found > best + self.min_delta else (best, waited + 1)
        if waited >= self.patience:
            trainer.stop = True


class RestoreBest(Callback):
    """At the end, give the model the weights of the best epoch, and evaluate these."""

    def on_train_start(self, trainer: "Trainer") -> None:
        trainer.restore_best = True


class RescaleFilters(Callback):
    """After each step, scale convolution filters with an RMS above `limit` back to it.

    Source: Zeiler & Fergus 2013, section 3.
    """

    def __init__(self, limit: float = 0.1):
        self.limit = limit

    def on_step_end(self, trainer: "Trainer", loss: float) -> None:
        for parameter in trainer.model.parameters():
            if parameter.value.ndim == 4:
                rms = ((parameter.value**2).mean(axis=(0, 1, 2))) ** 0.5
                parameter.value *= self.limit / rms.clip(min=self.limit)


class CSVLog(Callback):
    """Keep `history.csv` in the run's folder up to date."""

    is_output = True

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        if trainer.out:
            trainer.history.save_csv(trainer.out / FILE)


class TensorBoardLog(Callback):
    """Write event files for TensorBoard into the run's folder.

    Needs the extra: `pip install minicnn[tensorboard]`.
    """

    is_output = True

    def __init__(self) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ImportError(
                "TensorBoardLog needs the extra: pip install minicnn[tensorboard]"
            ) from None
        self._make = SummaryWriter
        self._writer: Any = None

    def on_train_start(self, trainer: "Trainer") -> None:
        if trainer.out is None:
            raise ValueError("TensorBoardLog: the run has no folder; expected fit(..., out=FOLDER)")
        self._writer = self._make(str(trainer.out), purge_step=trainer.iteration)

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        for key, value in row.items():
            if key != "epoch" and value is not None:
                self._writer.add_scalar(key, value, trainer.iteration)

    def on_train_end(self, trainer: "Trainer") -> None:
        self._writer.close()


class FirstStepNotice:
    """Print an explanation if the first step on a GPU takes long.

    On the CPU `minicnn.kernels.notice` says that kernels are compiled.
    """

    def __init__(self, trainer: "Trainer", report: Callable[[str], None]):
        text = "  the first step also compiles the kernels that are not in the cache yet"
        self._timer = threading.Timer(FIRST_STEP_SECONDS, report, (text,))
        self._timer.daemon = True
        if model_device(trainer.model) != "cpu":
            self._timer.start()

    def cancel(self) -> None:
        """Do not print it: the step is over, or there is none."""
        self._timer.cancel()


class LogLines(Callback):
    """Progress as plain lines, for logs and pipes.

    One line per epoch, and within an epoch one every `every` seconds.
    """

    is_output = True

    def __init__(self, every: float = 30.0):
        self.every = every
        self._last = 0.0

    def on_train_start(self, trainer: "Trainer") -> None:
        self._last = time.monotonic()
        self._notice = FirstStepNotice(trainer, lambda text: print(text, flush=True))

    def on_step_end(self, trainer: "Trainer", loss: float) -> None:
        self._notice.cancel()
        if time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            done, batches = trainer.loader.batch or len(trainer.loader), len(trainer.loader)
            print(
                f"  epoch {trainer.epoch}/{trainer.epochs:g}: step {done}/{batches}, "
                f"loss {trainer.metrics.mean_loss:.4f}",
                flush=True,
            )

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        self._last = time.monotonic()
        print(f"epoch {row['epoch']}/{trainer.epochs:g}: {describe(row)}", flush=True)

    def on_train_end(self, trainer: "Trainer") -> None:
        self._notice.cancel()


class ProgressBar(Callback):
    """Progress as a bar: loss, accuracy, images per second, and the time left in this epoch.

    It is redrawn in place, on a terminal.
    """

    is_output = True

    def __init__(self, console: Console):
        self.console = console

    def on_train_start(self, trainer: "Trainer") -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
        )
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self._task = self._bar.add_task("", total=len(trainer.loader), status="")
        self._bar.start()
        self._notice = FirstStepNotice(
            trainer, lambda text: self._bar.console.print(text, highlight=False)
        )

    def on_step_end(self, trainer: "Trainer", loss: float) -> None:
        self._notice.cancel()
        metrics = trainer.metrics
        self._bar.update(
            self._task,
            completed=trainer.loader.batch or len(trainer.loader),
            status=f"loss {metrics.mean_loss:.4f}  accuracy {metrics.accuracy:.2%}  "
            f"{metrics.images_per_second:,.0f} images/s",
            description=f"epoch {trainer.epoch}/{trainer.epochs:g}",
        )

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        self._bar.console.print(
            f"epoch {row['epoch']}/{trainer.epochs:g}: {describe(row)}", highlight=False
        )
        self._bar.reset(self._task)

    def on_train_end(self, trainer: "Trainer") -> None:
        self._notice.cancel()
        self._bar.stop()
