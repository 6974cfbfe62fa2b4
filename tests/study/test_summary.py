"""Tables of layers: their counts and their forms."""

import json
from xml.etree import ElementTree

import pytest

from minicnn import models
from minicnn.errors import ShapeError
from minicnn.layers import Conv2d, Flatten, Sequential
from minicnn.study import summarize


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
