"""Runs side by side: numbers, tables and the picture."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minicnn.study import compare, plots
from minicnn.study.compare import duration
from minicnn.study.results import make_result

from .trained import as_torchs, made_up, trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "a", seed=0)
    trained(folder / "b", seed=1, batch_size=32)
    return folder


def test_runs_side_by_side(folder):
    found = compare(folder / "a", str(folder / "b"))
    a, b = found.results()
    assert (a["run"], b["run"]) == ("a", "b")
    assert a["test_accuracy"] == found.runs[0].history.rows[-1]["test_accuracy"]
    best = max(row["test_accuracy"] for row in found.runs[1].history.rows)
    assert b["best_test_accuracy"] == best
    headings, lines = found.table()
    assert headings == [
        *("run", "epochs", "test error", "at the best epoch"),
        *("train error", "train loss", "parameters", "time"),
    ]
    assert lines[0][:2] == ["a", "2 of 2"]
    assert lines[0][2] == f"{1 - a['test_accuracy']:.2%}"
    assert lines[0][6] == "2,074"
    assert found.difference_table() == (
        ["setting", "a", "b"],
        [["batch_size", "64", "32"], ["seed", "0", "1"]],
    )
    assert found._repr_html_().count("<table>") == 2
    assert [line.split()[0] for line in str(found).splitlines() if line] == [
        *("run", "a", "b"),
        *("setting", "batch_size", "seed"),
    ]
    again = json.loads(json.dumps(found.to_dict()))
    assert again["differences"] == {"batch_size": [64, 32], "seed": [0, 1]}
    assert again["runs"][1]["history"] == found.runs[1].history.rows


def test_runs_of_unknown_settings_have_no_differences(folder):
    assert compare(folder / "a", folder / "b" / "history.csv").differences == {}
    with pytest.raises(ValueError, match="expected at least one folder"):
        compare()


def test_the_picture_has_every_curve(folder, tmp_path):
    found = compare(folder / "a", folder / "b", as_torchs(tmp_path / "$torch"))
    figure = found.picture()
    assert isinstance(figure, Figure)
    for axes, measure in zip(figure.axes, ("loss", "accuracy"), strict=True):
        drawn = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) > 1]
        assert len(drawn) == 6  # three runs, training and test
        rows = found.runs[0].history.rows
        for line, split in zip(drawn[:2], ("train", "test"), strict=True):
            values = np.array([row[f"{split}_{measure}"] for row in rows])
            np.testing.assert_allclose(line, values if measure == "loss" else 1 - values)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    finals = [f"{run.label}: {run.errors()[-1]:.2%}" for run in found.runs]
    assert texts == [*finals, "train", "test"]
    path = found.picture(tmp_path / "compare.png")
    with Image.open(path) as image:
        assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.25, "0.2 s"),
        (59.94, "59.9 s"),
        (60, "1:00 min"),
        (3599.6, "1:00:00 h"),
        (8289, "2:18:09 h"),
    ],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_a_run_without_test_images(tmp_path):
    run = made_up()
    for row in run.history.rows:
        row |= {"test_accuracy": None, "test_loss": None}
    run.history.save_csv(tmp_path / "history.csv")
    found = compare(tmp_path)
    headings, lines = found.table()
    assert headings == ["run", "epochs", "train error", "train loss", "time"]
    assert lines == [[tmp_path.name, "4", "10.00%", "0.2", "8.0 s"]]
    found.picture(tmp_path / "train.png")


def test_the_band_of_a_published_result_is_shaded():
    runs = [made_up(str(seed), seed=seed) for seed in (0, 1)]
    result = make_result("tiny-default", runs, {})
    figure = plots.runs(runs, band=result)
    for axes, measure in zip(figure.axes, ("train_loss", "test_error"), strict=True):
        (corners,) = [path.vertices for path in axes.collections[0].get_paths()]
        for end in ("low", "high"):
            for epoch, value in enumerate(result.band[measure][end], start=1):
                assert np.isclose(corners, (epoch, value)).all(axis=1).any()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[0] == "tiny-default: expected training loss and test error"
