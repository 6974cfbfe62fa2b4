"""Pictures, as PNG files. Drawn without a display, and without touching matplotlib's global state."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..training.history import History
from ..training.metrics import Evaluation

LEAST_ERROR = 1e-4  # a logarithmic axis has no place for 0
TRAIN, TEST = "#4c72b0", "#dd8452"


def _save(figure: Figure, path) -> Path:
    figure.savefig(path, dpi=130, facecolor="white")
    return Path(path)


def curves(history: History, path, title: str = "") -> Path:
    """Loss and error rate per epoch, training and test. Raises ValueError if no epoch is finished."""
    if not history.rows:
        raise ValueError("there is no finished epoch to draw")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, error = figure.subplots(1, 2)
    epochs = history.column("epoch")
    marker = "o" if len(epochs) < 30 else None
    for split, color in (("train", TRAIN), ("test", TEST)):
        if history.rows[0][f"{split}_loss"] is None:
            continue
        loss.plot(
            epochs,
            history.column(f"{split}_loss"),
            color=color,
            marker=marker,
            markersize=4,
            label=split,
        )
        wrong = [max(1 - accuracy, LEAST_ERROR) for accuracy in history.column(f"{split}_accuracy")]
        error.plot(epochs, wrong, color=color, marker=marker, markersize=4, label=split)
        last = 1 - history.rows[-1][f"{split}_accuracy"]
        error.annotate(
            f"{last:.2%}",
            (epochs[-1], wrong[-1]),
            xytext=(4, 4),
            textcoords="offset points",
            color=color,
            fontsize=8,
        )
    for axes, label in ((loss, "loss"), (error, "error rate")):
        axes.set(xlabel="epoch", ylabel=label)
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25, which="both")
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    loss.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    error.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    loss.legend(frameon=False)
    if title:
        figure.suptitle(title, fontsize=11)
    return _save(figure, path)


def confusion(evaluation: Evaluation, path, title: str = "") -> Path:
    """The confusion matrix: rows are the true classes, columns the predictions; the shade is the share of the row."""
    counts, classes = evaluation.confusion, evaluation.classes
    n = len(classes)
    side = min(14, max(4.5, 0.5 * n + 1.5))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(
        share**0.5, cmap="Blues", vmin=0, vmax=1
    )  # the square root keeps rare confusions visible
    if n <= 25:
        for row, column in np.ndindex(n, n):
            if counts[row, column]:
                color = "white" if share[row, column] > 0.4 else "black"
                axes.text(
                    column,
                    row,
                    str(counts[row, column]),
                    ha="center",
                    va="center",
                    fontsize=7,
                    color=color,
                )
    if n <= 100:
        axes.set_xticks(
            range(n), classes, rotation=90 if max(map(len, classes)) > 2 else 0, fontsize=8
        )
        axes.set_yticks(range(n), classes, fontsize=8)
    axes.set(
        xlabel="prediction",
        ylabel="true class",
        title=title or f"accuracy {evaluation.accuracy:.2%}",
    )
    return _save(figure, path)


def images(batch: np.ndarray, path, captions=None, columns: int = 10, title: str = "") -> Path:
    """A grid of images `(N, H, W, C)`, uint8 or any range (each then scaled to its own), with captions."""
    rows = -(-len(batch) // columns)
    figure = Figure(
        figsize=(0.85 * columns, (0.85 + 0.2 * bool(captions)) * rows + 0.4 * bool(title)),
        layout="constrained",
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for i, (axes, image) in enumerate(zip(grid.flat, batch, strict=False)):
        if image.dtype != np.uint8:
            span = np.ptp(image) or 1
            image = (image - image.min()) / span
        axes.imshow(
            image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", interpolation="nearest"
        )
        if captions:
            axes.set_title(captions[i], fontsize=7, pad=2)
    if title:
        figure.suptitle(title, fontsize=10)
    return _save(figure, path)


def filters(weight: np.ndarray, path, title: str = "") -> Path:
    """The kernels `(kH, kW, C, K)` of a first layer: K small images, blue negative, red positive (RGB if C is 3)."""
    kernels = np.moveaxis(weight, 3, 0)
    if kernels.shape[3] == 3:
        return images(kernels, path, title=title)
    columns = min(len(kernels), 12)
    rows = -(-len(kernels) // columns)
    figure = Figure(figsize=(1.2 * columns, 1.2 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, kernel in zip(grid.flat, kernels, strict=False):
        reach = abs(kernel).max() or 1
        axes.imshow(kernel.mean(axis=2), cmap="RdBu_r", vmin=-reach, vmax=reach)
    if title:
        figure.suptitle(title, fontsize=10)
    return _save(figure, path)


def three_digits(value: float) -> str:
    """2.73, 38.8, 1,020."""
    return f"{float(f'{value:.3g}'):,g}"


def ladder(found: dict, path, title: str = "") -> Path:
    """GFLOP/s of every rung, a panel for each pass; `found` is what `study.ladder.climb` returns."""
    figure = Figure(figsize=(4.2 * len(found) + 1.6, 4.6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, readings) in zip(panels, found.items(), strict=True):
        places = range(len(readings))
        values = [r.gflops for r in readings]
        bars = axes.barh(places, values, color=TRAIN, height=0.7)
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.bar_label(bars, [three_digits(v) for v in values], padding=4, fontsize=8, bbox=paper)
        peak = readings[0].gflops / readings[0].share_of_peak
        axes.axvline(peak, color="black", linewidth=1, linestyle="--", zorder=1)
        axes.annotate(
            "peak",
            (peak, -0.75),
            fontsize=8,
            ha="right",
            xytext=(-3, 0),
            textcoords="offset points",
        )
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 1.5, max(*values, peak) * 4)
        axes.set_title(name.replace("_", " "), fontsize=10)
        axes.set_xlabel("GFLOP/s of the plain sum")
        axes.set_yticks(places, [r.name for r in readings])
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    if title:
        figure.suptitle(title, fontsize=11)
    return _save(figure, path)
