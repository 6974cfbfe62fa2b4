"""Pictures: training curves, confusion matrices, images, filters, the ladder.

Every function writes a file and returns its path, or, without a path, returns the matplotlib
Figure; a notebook shows both. They need no display and do not change matplotlib's global state.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..training.history import History
from ..training.lr_finder import RateSweep
from ..training.metrics import Evaluation
from .picture import Picture, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import Result
    from .runs import Run

Target = str | PathLike | None  # where a picture goes; None: nowhere, the Figure is the result
LEAST_ERROR = 1e-4  # a logarithmic axis has no place for 0
TRAIN, VALIDATION, TEST = "#4c72b0", "#55a868", "#dd8452"
LINES = {"train": "--", "validation": ":", "test": "-"}  # where colors stand for runs


def validate_target(path: Path) -> None:
    """Raise ValueError unless a picture can be written there: for use before long measurements."""
    if not path.parent.is_dir():
        raise ValueError(f"{path}: cannot write a picture; there is no folder {path.parent}")
    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise ValueError(f"{path}: expected a name that ends in one of .{', .'.join(formats)}")


def finish(figure: Figure, path: Target, title: str = "", size: int = 10) -> Path | Figure:
    """Add the title, and write the file if there is a path. Names are text, never formulas."""
    if title:
        figure.suptitle(title, fontsize=size, parse_math=False)
    if path is None:
        return figure
    return write(figure, path, dpi=130)


def curves(history: History, path: Target = None, title: str = "") -> Path | Figure:
    """Loss and error rate per epoch of each set. Raises ValueError for an empty history."""
    if not history.rows:
        raise ValueError("there is no finished epoch to draw")
    figure = Picture(figsize=(9, 3.6), layout="constrained")
    loss, error = figure.subplots(1, 2)
    epochs = history.column("epoch")
    style: dict[str, Any] = {"marker": "o" if len(epochs) < 30 else None, "markersize": 4}
    for split, color in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        if history.rows[0][f"{split}_loss"] is None:
            continue
        style |= {"color": color, "label": split}
        loss.plot(epochs, history.column(f"{split}_loss"), **style)
        wrong = [max(1 - accuracy, LEAST_ERROR) for accuracy in history.column(f"{split}_accuracy")]
        error.plot(epochs, wrong, **style)
        last = f"{1 - history.rows[-1][f'{split}_accuracy']:.2%}"
        beside: dict[str, Any] = {"xytext": (4, 4), "textcoords": "offset points"}
        error.annotate(last, (epochs[-1], wrong[-1]), color=color, fontsize=8, **beside)
    for axes, label, unit in ((loss, "loss", ""), (error, "error rate", " %")):
        log_axis(axes, label, unit)
    loss.legend(frameon=False)
    return finish(figure, path, title, size=11)


def learning_rates(sweep: RateSweep, path: Target = None, title: str = "") -> Path | Figure:
    """The loss at each learning rate of `training.find_lr`, its mean, and the suggestion."""
    figure = Picture(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(sweep.rates, sweep.losses, color=TRAIN, alpha=0.35, linewidth=1, label="each step")
    axes.plot(sweep.rates, sweep.smoothed, color=TRAIN, linewidth=2, label="exponential mean")
    axes.axvline(sweep.suggestion, color=TEST, linestyle="--", linewidth=1.2)
    height = float(np.interp(sweep.suggestion, sweep.rates, sweep.smoothed))
    axes.plot(sweep.suggestion, height, "o", color=TEST, label=f"steepest: {sweep.suggestion:.2g}")
    low, high = float(sweep.smoothed.min()), float(sweep.smoothed[0])
    margin = max(high - low, 1e-3 * abs(high))
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.set_ylim(min(low, sweep.losses.min()) - 0.1 * margin, high + 0.8 * margin)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    return finish(figure, path, title)


def log_axis(axes: "Axes", label: str, unit: str) -> None:
    """A logarithmic axis of `label` over epochs; with a unit, of shares in percent."""
    scale = 100 if unit else 1
    axes.set(xlabel="epoch", ylabel=label, yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{scale * value:g}{unit}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def confusion(evaluation: Evaluation, path: Target = None, title: str = "") -> Path | Figure:
    """The confusion matrix: a row per true class, a column per prediction.

    The shade is the square root of the share of the row.
    Raises ValueError for a multi-label evaluation, which has none.
    """
    counts, classes = evaluation.confusion, evaluation.classes
    if counts.ndim != 2:
        raise ValueError(
            "a multi-label evaluation has a confusion matrix per class; expected one of all classes"
        )
    n = len(classes)
    side = min(14, max(4.5, 0.5 * n + 1.5))
    figure = Picture(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # The square root keeps rare confusions visible.
    axes.imshow(share**0.5, cmap="Blues", vmin=0, vmax=1)
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
        rotation = 90 if max(map(len, classes)) > 2 else 0
        axes.set_xticks(range(n), classes, rotation=rotation, fontsize=8, parse_math=False)
        axes.set_yticks(range(n), classes, fontsize=8, parse_math=False)
    axes.set(xlabel="prediction", ylabel="true class")
    axes.set_title(title or f"accuracy {evaluation.accuracy:.2%}", parse_math=False)
    return finish(figure, path)


def images(
    batch: np.ndarray | Sequence[np.ndarray],
    path: Target = None,
    captions: Sequence[str] | None = None,
    columns: int = 10,
    title: str = "",
) -> Path | Figure:
    """A grid of images `(N, H, W, C)`, or of a list of images of any sizes, with captions.

    uint8 images are drawn unchanged; each image of another type is scaled to its own range.
    """
    rows = -(-len(batch) // columns)
    figure = Picture(
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
            axes.set_title(captions[i], fontsize=7, pad=2, parse_math=False)
    return finish(figure, path, title)


def filters(weight: np.ndarray, path: Target = None, title: str = "") -> Path | Figure:
    """The filters `(kH, kW, C, K)` of a first layer as K small images.

    In color if C is 3, else blue for negative and red for positive weights.
    """
    kernels = np.moveaxis(weight, 3, 0)
    if kernels.shape[3] == 3:
        return images(kernels, path, title=title)
    columns = min(len(kernels), 12)
    rows = -(-len(kernels) // columns)
    figure = Picture(figsize=(1.2 * columns, 1.2 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, kernel in zip(grid.flat, kernels, strict=False):
        limit = abs(kernel).max() or 1
        axes.imshow(kernel.mean(axis=2), cmap="RdBu_r", vmin=-limit, vmax=limit)
    return finish(figure, path, title)


def three_digits(value: float) -> str:
    """2.73, 38.8, 1,020."""
    return f"{float(f'{value:.3g}'):,g}"


def ladder(
    found: dict[str, list[Any]],
    path: Target = None,
    title: str = "",
    unit: str = "GFLOP/s",
    left_out: dict[str, str] | None = None,
) -> Path | Figure:
    """The speed of every rung, a panel per pass; `found` is `Climb.readings` of study.ladder.

    left_out: rungs without a bar, and why; `Climb.left_out`.
    """
    found = {name: readings for name, readings in found.items() if readings}
    figure = Picture(figsize=(4.2 * len(found) + 1.6, 4.6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    measured = dict.fromkeys(r.name for readings in found.values() for r in readings)
    names = [*measured, *(left_out or {})]
    for axes, (name, readings) in zip(panels, found.items(), strict=True):
        _rungs(axes, readings, names, unit)
        axes.set_title(name.replace("_", " "), fontsize=10)
        for rung, reason in (left_out or {}).items():
            beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
            start = axes.get_xlim()[0], names.index(rung)
            axes.annotate(
                reason, start, fontsize=8, color="dimgray", annotation_clip=True, **beside
            )
    panels[0].set_ylim(len(names) - 0.4, -0.8)
    return finish(figure, path, title, size=11)


def _rungs(axes: "Axes", readings: list[Any], names: list[str], unit: str) -> None:
    """One bar per rung, and a line at the peak of the machine."""
    places = [names.index(r.name) for r in readings]
    values = [r.speed for r in readings]
    bars = axes.barh(places, values, color=TRAIN, height=0.7)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.bar_label(bars, [three_digits(v) for v in values], padding=4, fontsize=8, bbox=paper)
    peak = readings[0].speed / readings[0].share_of_peak
    axes.axvline(peak, color="black", linewidth=1, linestyle="--", zorder=1)
    beside: dict[str, Any] = {"xytext": (-3, 0), "textcoords": "offset points"}
    axes.annotate("peak", (peak, -0.75), fontsize=8, ha="right", **beside)
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 1.5, max(*values, peak) * 4)
    axes.set_xlabel("GFLOP/s of the plain sum" if unit == "GFLOP/s" else unit)
    axes.set_yticks(range(len(names)), names)
    axes.spines[["top", "right"]].set_visible(False)


def runs(
    found: Sequence["Run"], path: Target = None, title: str = "", band: "Result | None" = None
) -> Path | Figure:
    """Loss and error rate per epoch of several runs, a color each.

    band: a published result, whose band is shaded.
    """
    figure = Picture(figsize=(10, 4.6), layout="constrained")
    loss, error = figure.subplots(1, 2)
    if band:
        epochs = range(1, band.epochs + 1)
        gray: dict[str, Any] = {"color": "0.85", "linewidth": 0}
        for axes, measure in ((loss, "train_loss"), (error, "test_error")):
            ends = band.band[measure]
            axes.fill_between(epochs, ends["low"], ends["high"], **gray)
        label = f"{band.name}: expected training loss and test error"
        error.fill_between([], [], label=label, **gray)
    for i, run in enumerate(found):
        _run(loss, error, run, f"C{i % 10}" if len(found) > 1 else TEST)
    for split, line in LINES.items():
        if any(run.history.rows[0][f"{split}_loss"] is not None for run in found):
            error.plot([], [], color="black", linestyle=line, label=split)
    for axes, label, unit in ((loss, "loss", ""), (error, "error rate", " %")):
        log_axis(axes, label, unit)
    handles, labels = error.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": min(4, len(labels))}
    for text in figure.legend(handles, labels, frameon=False, **place).get_texts():
        text.set_parse_math(False)
    return finish(figure, path, title, size=11)


def _run(loss: "Axes", error: "Axes", run: "Run", color: str) -> None:
    """The curves of one run; its final test error is in the legend."""
    epochs, last = run.history.column("epoch"), run.history.rows[-1]["test_accuracy"]
    label = run.label if last is None else f"{run.label}: {1 - last:.2%}"
    marker = "o" if len(epochs) == 1 else None  # one point makes no line
    for split, line in LINES.items():
        if run.history.rows[0][f"{split}_loss"] is None:
            continue
        style: dict[str, Any] = {"color": color, "linestyle": line, "marker": marker}
        style |= {"linewidth": 1.6 if split == "test" else 1.1}
        loss.plot(epochs, run.history.column(f"{split}_loss"), **style)
        wrong = [max(1 - a, LEAST_ERROR) for a in run.history.column(f"{split}_accuracy")]
        error.plot(epochs, wrong, **style)
    error.plot([], [], color=color, label=label)
