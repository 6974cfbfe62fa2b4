"""What happened in a training run, epoch by epoch."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from .metrics import Evaluation

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
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

    rows: one dict per finished epoch with the keys `COLUMNS`: losses are means over the images, accuracies shares in 0..1, `seconds` the
    time spent on training steps; None where there is no test set.
    evaluation: the last result on the test set. best_epoch: the epoch with the best test accuracy (training loss, if no test set).
    interrupted: whether SIGINT ended the run; its checkpoint resumes it.
    """

    rows: list[dict] = field(default_factory=list)
    evaluation: Evaluation | None = None
    best_epoch: int | None = None
    interrupted: bool = False

    def column(self, name: str) -> list:
        """One column of all rows."""
        return [row[name] for row in self.rows]

    def save_csv(self, path) -> None:
        """Write the rows as a table with a header."""
        with Path(path).open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    def __repr__(self):
        if not self.rows:
            return "History(no finished epoch)"
        last = self.rows[-1]
        shown = [
            f"{k}={last[k]:.4f}"
            for k in ("train_loss", "train_accuracy", "test_accuracy")
            if last[k] is not None
        ]
        return f"History({len(self.rows)} epochs, {', '.join(shown)})"
