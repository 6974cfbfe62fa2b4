"""The results of a training run per epoch."""

import csv
import math
import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, TrainingError, brief
from ..text import aligned, html_table
from .metrics import Evaluation

FILE = "history.csv"  # in the folder of a run
METRICS = ("accuracy", "loss", "top5")  # what the best epoch may be chosen by
COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_top5",
    "test_loss",
    "test_accuracy",
    "test_top5",
    "learning_rate",
    "seconds",
    "images_per_second",
)


@dataclass
class History:
    """The result of `training.fit`.

    rows: one dict per finished epoch with the keys `COLUMNS`. Losses are means over the images,
        accuracies fractions in 0..1, `seconds` the time spent on training steps; values of the
        test set are None without one.
    evaluation: the last result on the test set.
    best_epoch: the epoch that is best by the metric of `fit`; see `score`.
    interrupted: True if SIGINT ended the run; it can be resumed from its checkpoint.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    evaluation: Evaluation | None = None
    best_epoch: int | None = None
    interrupted: bool = False

    @classmethod
    def read(cls, path: str | Path) -> "History":
        """The history in a run's folder, or in such a CSV file; also of a run that is going on.

        Columns that the file lacks are None. The confusion matrix is in no file: `evaluation` is
        None. Raises CheckpointError that names the file, and the line and column, if it is not such
        a table.
        """
        path = Path(path)
        file = path / FILE if path.is_dir() else path
        try:
            lines = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
        except FileNotFoundError:
            missing = f"it has no {FILE}, which a run writes after its first epoch"
            reason = missing if path.is_dir() else "there is no such file or folder"
            raise CheckpointError(f"{path}: {reason}") from None
        except UnicodeDecodeError:
            raise CheckpointError(
                f"{file}: it is no text; expected the folder of a run, or its {FILE}"
            ) from None
        except (OSError, csv.Error) as error:
            raise CheckpointError(f"{file}: cannot be read: {error}") from None
        rows: list[dict[str, Any]] = []
        for i, line in enumerate(lines, start=2):
            rows.append(_parsed(line, f"{file}: line {i}", rows[-1]["epoch"] if rows else 0))
        if not rows:
            raise CheckpointError(f"{file}: there is no finished epoch in it")
        return cls(rows, best_epoch=max(rows, key=score)["epoch"])  # the first of equal ones

    def column(self, name: str) -> list[Any]:
        """One column of all rows."""
        return [row[name] for row in self.rows]

    def save_csv(self, path: str | Path) -> None:
        """Write the rows as a table with a header; until that is done, an old file stays.

        Raises TrainingError if the file cannot be written.
        """
        path = Path(path)
        temporary = path.with_name(f".{path.name}.part")
        try:
            with temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(self.rows)
            os.replace(temporary, path)
        except OSError as error:
            raise TrainingError(f"{path}: cannot be written: {error.strerror}") from None
        finally:
            remove(temporary)

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no finished epoch)"
        last = self.rows[-1]
        shown = [
            f"{k}={last[k]:.4f}"
            for k in ("train_loss", "train_accuracy", "test_accuracy")
            if last[k] is not None
        ]
        return f"History({len(self.rows)} epochs, {', '.join(shown)})"

    def __str__(self) -> str:
        """The epochs as a table."""
        if not self.rows:
            return repr(self)
        return "\n".join(aligned(self._table()))

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        if not self.rows:
            return escape(repr(self))
        return html_table(self._table())

    def _table(self) -> list[list[str]]:
        """The headings and the rows as text, without the columns that are empty."""
        names = [name for name in COLUMNS if any(row[name] is not None for row in self.rows)]
        rows = [
            [FORMATS[name].format(row[name]) if row[name] is not None else "" for name in names]
            for row in self.rows
        ]
        return [[name.replace("_", " ") for name in names], *rows]


FORMATS = dict.fromkeys(COLUMNS, "{:.4f}") | {
    "epoch": "{}",
    "train_accuracy": "{:.2%}",
    "validation_accuracy": "{:.2%}",
    "validation_top5": "{:.2%}",
    "test_accuracy": "{:.2%}",
    "test_top5": "{:.2%}",
    "learning_rate": "{:.3g}",
    "seconds": "{:.1f}",
    "images_per_second": "{:,.0f}",
}


def _parsed(line: dict[str, Any], where: str, before: int) -> dict[str, Any]:
    """A row of the history from a line of the table, which comes after the epoch `before`.

    Raises CheckpointError for other contents.
    """
    for name in ("epoch", "train_loss", "train_accuracy"):
        if not line.get(name):
            raise CheckpointError(f"{where}: {name} is missing; expected a run's {FILE}")
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    for name in COLUMNS:
        text = line.get(name) or ""
        try:
            row[name] = (int if name == "epoch" else float)(text) if text else None
        except ValueError:
            raise CheckpointError(f"{where}: {name} is {brief(text)}; expected a number") from None
        if name.endswith(("accuracy", "top5")) and text and (row[name] < 0 or row[name] > 1):
            raise CheckpointError(f"{where}: {name} is {text}; expected a fraction, 0 to 1")
    if row["epoch"] <= before:
        raise CheckpointError(f"{where}: epoch is {row['epoch']}; expected more than {before}")
    return row


def score(row: dict[str, Any], metric: str | None = None) -> float:
    """What the best epoch has most of: the accuracy, the top-5 accuracy, or minus the loss.

    metric: one of `METRICS`, that of the validation images, or else the test images, or else in
    training. Without it: the accuracy, or if there are only training images, minus their loss.
    A value that is not a number is worse than all others.
    """
    if metric is None:
        accuracies = row["validation_accuracy"], row["test_accuracy"]
        metric = "loss" if accuracies == (None, None) else "accuracy"
    values = (row.get(f"{images}_{metric}") for images in ("validation", "test", "train"))
    value = next(value for value in values if value is not None)
    found = -value if metric == "loss" else value
    return -math.inf if math.isnan(found) else found


def describe(row: dict[str, Any]) -> str:
    """One epoch in one line."""
    text = f"loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:.2%}"
    if row["validation_loss"] is not None:
        loss, accuracy = row["validation_loss"], row["validation_accuracy"]
        text += f"  |  validation loss {loss:.4f}  accuracy {accuracy:.2%}"
    if row["test_loss"] is not None:
        text += f"  |  test loss {row['test_loss']:.4f}  accuracy {row['test_accuracy']:.2%}"
    return f"{text}  |  {row['seconds']:.1f} s, {row['images_per_second']:,.0f} images/s"


def remove(path: Path) -> None:
    """Delete a file if it is there and can be deleted."""
    try:
        path.unlink()
    except OSError:
        pass
