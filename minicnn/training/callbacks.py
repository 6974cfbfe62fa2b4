"""What happens beside the training: progress, logs, early stopping. Write your own by overriding any of the four methods."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Callback:
    """The base. Each method is given the trainer: see `Trainer` for what it holds. Set `trainer.stop = True` to end the training."""

    def on_train_start(self, trainer) -> None:
        """Before the first step, after a checkpoint has been restored."""

    def on_step_end(self, trainer, loss: float) -> None:
        """After each step, with its loss."""

    def on_epoch_end(self, trainer, row: dict) -> None:
        """After each epoch and its evaluation, with the new row of the history."""

    def on_train_end(self, trainer) -> None:
        """At the end, also after an error or an interruption."""


class EarlyStopping(Callback):
    """End the training when the test loss (the training loss, without a test set) has not fallen for `patience` epochs."""

    def __init__(self, patience: int = 5):
        self.patience = patience

    def on_train_start(self, trainer):
        self._look(trainer)  # a run that was stopped and is resumed stays stopped

    def on_epoch_end(self, trainer, row):
        self._look(trainer)

    def _look(self, trainer):
        losses = [
            r["train_loss"] if r["test_loss"] is None else r["test_loss"]
            for r in trainer.history.rows
        ]
        trainer.stop |= (
            bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= self.patience
        )


class RescaleFilters(Callback):
    """After each step, scale every convolution filter whose RMS exceeds `limit` back to it (Zeiler & Fergus 2013, section 3)."""

    def __init__(self, limit: float = 0.1):
        self.limit = limit

    def on_step_end(self, trainer, loss):
        for parameter in trainer.model.parameters():
            if parameter.value.ndim == 4:
                rms = ((parameter.value**2).mean(axis=(0, 1, 2))) ** 0.5
                parameter.value *= self.limit / rms.clip(min=self.limit)


class CSVLog(Callback):
    """Keep `history.csv` in the run's folder up to date."""

    def on_epoch_end(self, trainer, row):
        trainer.history.save_csv(trainer.out / "history.csv")


class TensorBoardLog(Callback):
    """Write event files for TensorBoard into the run's folder. Needs the extra: `pip install minicnn[tensorboard]`."""

    def __init__(self):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ImportError(
                "TensorBoardLog needs the extra: pip install minicnn[tensorboard]"
            ) from None
        self._make = SummaryWriter
        self._writer = None

    def on_train_start(self, trainer):
        self._writer = self._make(str(trainer.out), purge_step=trainer.step)

    def on_epoch_end(self, trainer, row):
        for key, value in row.items():
            if key != "epoch" and value is not None:
                self._writer.add_scalar(key, value, trainer.step)

    def on_train_end(self, trainer):
        self._writer.close()


def describe(row: dict) -> str:
    """One epoch in one line."""
    text = f"loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:.2%}"
    if row["test_loss"] is not None:
        text += f"  |  test loss {row['test_loss']:.4f}  accuracy {row['test_accuracy']:.2%}"
    return f"{text}  |  {row['seconds']:.1f} s, {row['images_per_second']:,.0f} images/s"


class Lines(Callback):
    """Progress as plain lines, for logs and pipes: one an epoch, and one every `every` seconds within an epoch."""

    def __init__(self, every: float = 30.0):
        self.every = every
        self._last = 0.0

    def on_train_start(self, trainer):
        self._last = time.monotonic()

    def on_step_end(self, trainer, loss):
        if time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            done, all_batches = trainer.loader.batch or len(trainer.loader), len(trainer.loader)
            mean = trainer.totals["loss"] / trainer.totals["images"]
            print(
                f"  epoch {trainer.epoch}/{trainer.epochs}: step {done}/{all_batches}, loss {mean:.4f}",
                flush=True,
            )

    def on_epoch_end(self, trainer, row):
        self._last = time.monotonic()
        print(f"epoch {row['epoch']}/{trainer.epochs}: {describe(row)}", flush=True)


class Bar(Callback):
    """Progress as a bar: loss, accuracy, images per second and the time left in this epoch."""

    def __init__(self, console: Console):
        self.console = console

    def on_train_start(self, trainer):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
        )
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self._task = self._bar.add_task("", total=len(trainer.loader), status="")
        self._bar.start()

    def on_step_end(self, trainer, loss):
        totals, done = trainer.totals, trainer.loader.batch or len(trainer.loader)
        n = totals["images"]
        status = f"loss {totals['loss'] / n:.4f}  accuracy {totals['correct'] / n:.2%}  {n / totals['seconds']:,.0f} images/s"
        self._bar.update(
            self._task,
            completed=done,
            status=status,
            description=f"epoch {trainer.epoch}/{trainer.epochs}",
        )

    def on_epoch_end(self, trainer, row):
        self._bar.console.print(
            f"epoch {row['epoch']}/{trainer.epochs}: {describe(row)}", highlight=False
        )
        self._bar.reset(self._task)

    def on_train_end(self, trainer):
        self._bar.stop()


def default_progress() -> Callback:
    """A bar on a terminal, plain lines elsewhere."""
    console = Console()
    return Bar(console) if console.is_terminal else Lines()
