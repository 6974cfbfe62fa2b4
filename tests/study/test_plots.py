"""Pictures: drawn to a file or returned as a figure, with names as they are."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minicnn import models
from minicnn.layers import Conv2d
from minicnn.study import plots
from minicnn.training import History
from minicnn.training.metrics import Evaluation


def history(test=True):
    rows = []
    for epoch in range(1, 6):
        row = {"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 1 - 0.1 / epoch}
        row |= dict.fromkeys(("validation_loss", "validation_accuracy"))
        row |= {"test_loss": None, "test_accuracy": None}
        if test:
            row |= {"test_loss": 1.1 / epoch, "test_accuracy": 1 - 0.12 / epoch}
            row |= {"validation_loss": 1.05 / epoch, "validation_accuracy": 1 - 0.11 / epoch}
        rows.append(row)
    return History(rows)


def test_pictures(tmp_path):
    """They are drawn, have the expected size and are not blank; looking at them is for people."""
    confusion = np.diag(np.arange(3, 13)) + 1
    evaluation = Evaluation(0.1, 0.9, 0.99, confusion, tuple("0123456789"))
    paths = [
        plots.curves(history(), tmp_path / "curves.png", "a title"),
        plots.curves(history(test=False), tmp_path / "train.png"),
        plots.confusion(evaluation, tmp_path / "confusion.png"),
        plots.images(
            np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), np.uint8),
            tmp_path / "grid.png",
            list("abcdefg"),
        ),
        plots.filters(models.create("lenet5").C1.weight.value, tmp_path / "filters.png"),
        plots.filters(Conv2d(3, 5, 7).weight.value, tmp_path / "color.png"),
    ]
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        assert min(pixels.shape) > 80
        assert pixels.std() > 5, path
    with pytest.raises(ValueError, match="no finished epoch"):
        plots.curves(History(), tmp_path / "none.png")


def test_pictures_without_a_path_are_figures():
    evaluation = Evaluation(0.1, 0.9, None, np.eye(2, dtype=int), ("a", "b"))
    for figure in (
        plots.curves(history()),
        plots.confusion(evaluation),
        plots.images(np.zeros((2, 4, 4, 1), np.uint8)),
        plots.filters(np.ones((5, 5, 1, 6))),
        plots.filters(np.ones((5, 5, 3, 6))),
    ):
        assert isinstance(figure, Figure)


def test_names_are_drawn_as_they_are(tmp_path):
    """Dollar signs would be a formula, and an incomplete one an error."""
    names = (r"a$\\frac$b", "$x^2$")
    evaluation = Evaluation(0.1, 0.9, None, np.eye(2, dtype=int), names)
    figure = plots.confusion(evaluation, title="$y_1$")
    axes = figure.axes[0]
    texts = [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.title]
    assert [t.get_text() for t in texts] == [*names, *names, "$y_1$"]
    assert not any(t.get_parse_math() for t in texts)
    plots.confusion(evaluation, tmp_path / "confusion.png")
    plots.images(np.zeros((2, 4, 4, 1), np.uint8), tmp_path / "images.png", names, title=names[0])
