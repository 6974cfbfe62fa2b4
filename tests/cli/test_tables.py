"""Tables as the commands print them."""

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from minicnn.cli import tables
from minicnn.cli.tables import print_table, show_evaluation, summary_table
from minicnn.models import create
from minicnn.study import summarize
from minicnn.training.metrics import Evaluation


def test_a_title_is_one_line_above_a_narrow_table(capsys):
    title = "confusion matrix (rows: true class, columns: prediction)"
    print_table(Table("a", "b", title=title))
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == title
    assert len(second) < len(title)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_narrow_terminal_cuts_no_number(monkeypatch, capsys, width):
    terminal = Console(force_terminal=True, color_system=None, width=width)
    monkeypatch.setattr(tables, "console", terminal)
    print_table(summary_table(summarize(create("lenet5"))), ("connections", "memory", "padding"))
    text = capsys.readouterr().out
    assert "…" not in text
    assert max(len(line) for line in text.splitlines() if "not shown" not in line) <= width
    if width == 80:
        assert "117,600" in text
    if width == 200:
        assert "122,304" in text
    assert ("not shown in" in text) == (width < 200)


def test_numbers_stay_whole_where_their_headings_are_folded(monkeypatch, capsys):
    terminal = Console(force_terminal=True, color_system=None, width=80)
    monkeypatch.setattr(tables, "console", terminal)
    confusion = np.arange(100, 200).reshape(10, 10)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship")
    show_evaluation(Evaluation(0.1, 0.9, 0.99, confusion, (*names, "truck")))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert all(f" {n} " in text for n in range(100, 200))
