"""Progress of a training in a notebook, and the choice of how progress is shown."""

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .callbacks import Callback, LogLines, ProgressBar, Row

if TYPE_CHECKING:
    from .trainer import Trainer

REDRAW_SECONDS = 0.2


class NotebookProgress(Callback):
    """A bar for the current epoch above the table of the finished ones, redrawn in place.

    It is one HTML output that is replaced, which every notebook shows without ipywidgets. At the
    end the table remains.
    """

    is_output = True

    def on_train_start(self, trainer: "Trainer") -> None:
        from IPython.display import display

        self._drawn = time.monotonic()
        self._output: Any = display(self._page(trainer, 0), raw=True, display_id=True)

    def on_step_end(self, trainer: "Trainer", loss: float) -> None:
        if time.monotonic() - self._drawn >= REDRAW_SECONDS:
            self._draw(trainer, trainer.loader.batch or len(trainer.loader))

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        self._draw(trainer, 0)

    def on_train_end(self, trainer: "Trainer") -> None:
        self._draw(trainer, None)

    def _draw(self, trainer: "Trainer", step: int | None) -> None:
        self._drawn = time.monotonic()
        self._output.update(self._page(trainer, step), raw=True)

    def _page(self, trainer: "Trainer", step: int | None) -> dict[str, str]:
        """The table, and for a step of an epoch the bar, as IPython takes them."""
        table = trainer.history._repr_html_() if trainer.history.rows else ""
        if step is None:
            return {"text/html": table, "text/plain": repr(trainer.history)}
        steps = len(trainer.loader)
        text = f"epoch {len(trainer.history.rows) + 1}/{trainer.epochs:g}: step {step}/{steps}"
        if trainer.metrics.images:
            text += f", loss {trainer.metrics.mean_loss:.4f}, {trainer.metrics.accuracy:.2%}"
        bar = f'<progress value="{step}" max="{steps}"></progress> {text}'
        return {"text/html": f"<div>{bar}</div>{table}", "text/plain": text}


def default_progress() -> Callback:
    """A bar on a terminal, a bar and a table in a notebook, plain lines elsewhere."""
    console = Console()
    if console.is_jupyter:
        return NotebookProgress()
    return ProgressBar(console) if console.is_terminal else LogLines()
