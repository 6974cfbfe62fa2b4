"""Tables as the commands print them."""

from rich.table import Table

from minicnn.cli.tables import print_table


def test_a_title_is_one_line_above_a_narrow_table(capsys):
    title = "confusion matrix (rows: true class, columns: prediction)"
    print_table(Table("a", "b", title=title))
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == title
    assert len(second) < len(title)
