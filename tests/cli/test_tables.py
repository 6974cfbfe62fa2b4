"""Tables as the commands print them."""

import pytest
from rich.console import Console
from rich.table import Table

from minicnn.cli import tables
from minicnn.cli.tables import print_table, summary_table
from minicnn.models import create
from minicnn.study import summarize


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
