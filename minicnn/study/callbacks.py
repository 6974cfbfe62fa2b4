"""Callbacks that need more than training does, such as matplotlib for pictures."""

from ..layers import metadata
from ..training.callbacks import Callback
from ..training.trainer import Trainer


class DrawCurves(Callback):
    """Draw a finished run in its folder: `curves.png` and `confusion.png`."""

    is_output = True

    def on_train_end(self, trainer: Trainer) -> None:
        from . import plots  # matplotlib takes half a second to import

        history = trainer.history
        if trainer.out is None or not history.rows or not trainer.finished:
            return
        name = metadata(trainer.model).name or type(trainer.model).__name__
        title = f"{name} on {trainer.loader.dataset.name}"
        plots.curves(history, trainer.out / "curves.png", title)
        if history.evaluation and history.evaluation.confusion.ndim == 2:
            plots.confusion(history.evaluation, trainer.out / "confusion.png")
