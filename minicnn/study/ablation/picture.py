"""The curves of all variants, with the spread over the seeds shaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from .. import plots
from ..picture import Picture
from .ablation import Ablation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = (("train_error", "training error"), ("test_error", "test error"))


def picture(ablation: Ablation, path: plots.Target = None) -> Path | Figure:
    """Training and test error per epoch: the mean over the seeds, and from least to largest.

    A run that failed is drawn up to its last epoch, as a thin line of its own.
    """
    figure = Picture(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    for axes, (curve, label) in zip(panels, PANELS, strict=True):
        for i, name in enumerate(ablation.trials):
            _draw(axes, ablation, name, curve, f"C{i}")
        plots.log_axis(axes, label, " %")
    handles, labels = panels[0].get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": min(6, len(labels))}
    figure.legend(handles, labels, frameon=False, **place)
    size = ablation.settings
    title = f"{ablation.claim.title}\n{size['data']}, {size['training images']:,} training images, "
    return plots.finish(figure, path, f"{title}{seeds_text(ablation)}", size=10)


def seeds_text(ablation: Ablation) -> str:
    """`seed 0` or `seeds 0 to 2`."""
    seeds = ablation.seeds
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def _draw(axes: "Axes", ablation: Ablation, name: str, curve: str, color: str) -> None:
    trials = ablation.trials[name]
    whole = [t.curves[curve] for t in trials if not t.failure]
    failed = [t.curves[curve] for t in trials if t.failure and t.curves[curve]]
    label = name if len(whole) == len(trials) else f"{name} ({len(trials) - len(whole)} failed)"
    axes.plot([], [], color=color, label=label)
    for values in failed:
        axes.plot(range(1, len(values) + 1), values, color=color, linewidth=0.8, linestyle=":")
    if not whole:
        return
    values = np.maximum(np.array(whole), plots.LEAST_ERROR)
    epochs = range(1, values.shape[1] + 1)
    axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, lw=0)
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, values.mean(axis=0), color=color, linewidth=1.6, marker=marker)
