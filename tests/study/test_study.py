"""Summaries, gradient checks and pictures."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minicnn import models
from minicnn.errors import ShapeError
from minicnn.layers import Conv2d, Flatten, Layer, Linear, Parameter, Sequential
from minicnn.layers.init import gaussian
from minicnn.study import check_gradients, plots, probe, summarize
from minicnn.training import History
from minicnn.training.metrics import Evaluation


def test_summary_of_batches_and_sizes():
    model = models.create("lenet5")
    one, eight = summarize(model), summarize(model, batch=8)
    assert eight.memory == 8 * one.memory == 8 * 9_118
    assert (eight.macs, eight.parameters) == (one.macs, one.parameters)
    with pytest.raises(ShapeError, match="F6: .*expected .N, 120."):
        summarize(model, (36, 36, 1))
    with pytest.raises(ValueError, match="give input_shape"):
        summarize(Sequential(Flatten()))
    assert summarize(Sequential(Conv2d(3, 2, 3)), (9, 9, 3)).rows[0].output == (7, 7, 2)


def test_summary_formats():
    table = summarize(models.create("lenet5_1998"))
    again = json.loads(table.to_json())
    assert again["parameters"] == 60_000
    assert [row["name"] for row in again["rows"]][:3] == ["C1", "S2", "C3"]
    markdown = table.to_markdown().splitlines()
    assert markdown[0].startswith(
        "| layer | type | kernel | stride | padding | activation | output | memory |"
    )
    assert all(
        line.count("|") == markdown[0].count("|") for line in markdown[: len(table.rows) + 4]
    )
    assert "partial connections" in table.to_markdown()
    assert "60,000 parameters (237.7 KiB on disk with 840 fixed values)" in table.footer()


def test_summary_prints_and_shows_in_a_notebook():
    summary = summarize(models.create("lenet5_1998"))
    lines = str(summary).splitlines()
    assert lines[0] == "lenet5_1998"
    assert lines[1].split() == summary.table()[0]
    assert lines[4].split() == [
        "C1",
        "Conv2d",
        "5x5",
        "1",
        "0",
        "scaled_tanh",
        "28x28x6",
        "4,704",
        "156",
        "117,600",
        "122,304",
    ]
    assert lines[-1] == summary.footer()
    page = ElementTree.fromstring(f"<div>{summary._repr_html_()}</div>")
    assert len(page.findall("table/tr")) == len(summary.rows) + 3
    assert page.find("p").text == summary.footer()


def test_check_gradients_sees_a_wrong_one():
    class Wrong(Linear):
        def backward(self, dy, need_dx=True):
            return 1.01 * super().backward(dy, need_dx)

    x = np.random.default_rng(0).standard_normal((3, 4))
    right = check_gradients(Linear(4, 2).astype(np.float64), x)
    wrong = check_gradients(Wrong(4, 2).astype(np.float64), x)
    assert max(right.values()) < 1e-8
    assert wrong["x"] > 5e-3 > 1e-8 > wrong["weight"]
    with pytest.raises(ValueError, match="weight is float32; expected float64"):
        check_gradients(Linear(4, 2), x)


class Gain(Layer):
    """Right; the mistakes below are what students make."""

    def __init__(self):
        self.gain, self.shift = Parameter(np.full(3, 1.5)), Parameter(np.zeros(3))

    def forward(self, x):
        self.save_for_backward(x)
        return x * self.gain.value + self.shift.value

    def backward(self, dy):
        (x,) = self.pop_saved()
        self.gain.add_grad((dy * x).sum((0, 1, 2)))
        self.shift.add_grad(dy.sum((0, 1, 2)))
        return dy * self.gain.value


def forgotten_parameters(self, dy):
    return dy * self.gain.value


def forgotten_shift(self, dy):
    (x,) = self.pop_saved()
    self.gain.add_grad((dy * x).sum((0, 1, 2)))
    return dy * self.gain.value


def zero_dx(self, dy):
    return 0 * Gain.backward(self, dy)


def half_of_dx(self, dy):
    dx = Gain.backward(self, dy)
    dx[:, 1:] = 0
    return dx


def one_channel(self, dy):
    dx = Gain.backward(self, dy)
    self.gain.grad[1:] = 0
    return dx


def wrong_shape_of_dx(self, dy):
    return Gain.backward(self, dy)[:1]


@pytest.mark.parametrize(
    ("mistake", "names"),
    [
        (forgotten_parameters, {"gain", "shift"}),
        (forgotten_shift, {"shift"}),
        (zero_dx, {"x"}),
        (half_of_dx, {"x"}),
        (one_channel, {"gain"}),
        (wrong_shape_of_dx, {"x"}),
    ],
)
def test_a_gradient_that_is_forgotten_or_zero_is_wrong(mistake, names):
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3))
    right = check_gradients(Gain(), x)
    assert right.ok
    assert str(right).endswith("all gradients are right (tolerance 1e-05)")
    found = check_gradients(type("Mistaken", (Gain,), {"backward": mistake})(), x)
    assert not found.ok
    assert {name for name, error in found.items() if error > found.tolerance} == names
    assert str(found).count("WRONG") == len(names)


def test_a_forward_that_changes_its_input_is_refused():
    class Damaging(Gain):
        def forward(self, x):
            x *= 2
            return super().forward(x)

    with pytest.raises(ValueError, match="the forward of Damaging changes its input"):
        check_gradients(Damaging(), np.ones((1, 2, 2, 3)))


def history(test=True):
    rows = []
    for epoch in range(1, 6):
        row = {"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 1 - 0.1 / epoch}
        row |= (
            {"test_loss": 1.1 / epoch, "test_accuracy": 1 - 0.12 / epoch}
            if test
            else {"test_loss": None, "test_accuracy": None}
        )
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


def test_probe_sees_a_dead_network():
    """A VGG whose weights are too small fades layer by layer; Glorot's rule keeps it alive."""
    network = models.create("vgg11", seed=0, num_classes=10, input_size=32, hidden=32)
    alive, loss = probe(network, batch=4)
    assert abs(loss - np.log(10)) < 1
    network.initialize(gaussian(0.001))
    faded, loss = probe(network, batch=4)
    assert [r.name for r in alive] == [r.name for r in faded]
    at = [r.name for r in alive].index("conv5_2")
    assert alive[at].activation > 1e-2 > 1e-8 > faded[at].activation
    assert alive[at].gradient > 0
    assert loss == pytest.approx(np.log(10), abs=1e-6)


def test_probe_leaves_no_trace():
    network = models.create("resnet20_cifar", seed=0).eval()
    before = {name: array.copy() for name, array in network.state_dict().items()}
    readings, _ = probe(network, batch=2)
    assert not network.training
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert not any(p.grad.any() for p in network.parameters())
    assert not any("backward" in vars(layer) for _, layer in network.named_layers())
    assert {r.layer for r in readings} == {
        "Conv2d",
        "BatchNorm2d",
        "PadShortcut",
        "GlobalAvgPool2d",
        "Linear",
    }
    assert all(r.gradient > 0 for r in readings)
