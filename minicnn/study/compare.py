"""Runs side by side: their curves, their results, and the settings in which they differ."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..text import aligned, html_table
from .runs import Run, differences, read_runs, shown_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADINGS = (
    *("run", "epochs", "test error", "at the best epoch", "validation error"),
    *("train error", "train loss", "parameters", "time"),
)


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`. `print(comparison)` and a notebook show the tables.

    runs: the runs in the order given.
    differences: the settings that are not the same in all runs, each with its value per run.
    """

    runs: list[Run]
    differences: dict[str, list[Any]]

    def __str__(self) -> str:
        headings, lines = self.table()
        text = aligned([headings, *lines], left={0})
        headings, lines = self.difference_table()
        if lines:
            text += ["", *aligned([headings, *lines], left=range(len(headings)))]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        headings, lines = self.table()
        page = html_table([headings, *lines], left={0})
        headings, lines = self.difference_table()
        return page + (html_table([headings, *lines], range(len(headings))) if lines else "")

    def picture(self, path: str | PathLike[str] | None = None) -> "Path | Figure":
        """Draw loss and error rate of all runs per epoch; without a path, return the Figure."""
        from . import plots

        return plots.runs(self.runs, path)

    def results(self) -> list[dict[str, Any]]:
        """Per run: epochs, final and best results, weights and time, as numbers."""
        return [_result(run) for run in self.runs]

    def to_dict(self) -> dict[str, Any]:
        """The results, the histories and the differences as plain values, for JSON."""
        pairs = zip(self.results(), self.runs, strict=True)
        rows = [{**result, "history": run.history.rows} for result, run in pairs]
        return {"runs": rows, "differences": self.differences}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and one line per run, as text; columns that would be empty are left out."""
        lines = [_texts(result) for result in self.results()]
        used = [i for i in range(len(HEADINGS)) if any(line[i] for line in lines)]
        return [HEADINGS[i] for i in used], [[line[i] for i in used] for line in lines]

    def difference_table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and one line per setting that differs, as text."""
        lines = [[name, *shown_values(values)] for name, values in self.differences.items()]
        return ["setting", *(run.label for run in self.runs)], lines


def compare(*paths: str | PathLike[str]) -> Comparison:
    """Read the runs in these folders, finished or not.

    A `history.csv` alone has curves, but no settings. Other engines' runs need one, with the
    columns of `training.history.COLUMNS`, and may have a `configuration.json`.
    Raises CheckpointError that names a folder and what is missing in it.
    """
    if not paths:
        raise ValueError("there are no runs to compare: expected at least one folder")
    runs = read_runs(paths)
    known = [run for run in runs if run.configuration]
    return Comparison(runs, differences(runs) if len(known) == len(runs) else {})


def _result(run: Run) -> dict[str, Any]:
    last, best = run.history.rows[-1], run.best
    return {
        "run": run.label,
        "path": str(run.path),
        "epochs": run.epochs,
        "planned_epochs": run.planned_epochs,
        "test_accuracy": last["test_accuracy"],
        "best_epoch": best["epoch"],
        "best_test_accuracy": best["test_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "train_accuracy": last["train_accuracy"],
        "train_loss": last["train_loss"],
        "parameters": run.parameters,
        "seconds": run.seconds,
    }


def _texts(result: dict[str, Any]) -> list[str]:
    planned, parameters = result["planned_epochs"], result["parameters"]
    best = error_text(result["best_test_accuracy"])
    return [
        result["run"],
        f"{result['epochs']} of {planned}" if planned else str(result["epochs"]),
        error_text(result["test_accuracy"]),
        f"{best} ({result['best_epoch']})" if best else "",
        error_text(result["validation_accuracy"]),
        error_text(result["train_accuracy"]),
        f"{result['train_loss']:.4g}",
        "" if parameters is None else f"{parameters:,}",
        duration(result["seconds"]),
    ]


def error_text(accuracy: float | None) -> str:
    """1 - accuracy in percent; nothing for None."""
    return "" if accuracy is None else f"{1 - accuracy:.2%}"


def duration(seconds: float) -> str:
    """`35.2 s`, `4:07 min` or `2:18:09 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"
