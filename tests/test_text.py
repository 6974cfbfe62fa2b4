"""Tables as plain text."""

from minicnn.text import aligned


def test_columns_have_equal_width():
    rows = [["run", "error"], ["a", "12.5%"], ["longer", ""]]
    assert aligned(rows, left={0}) == ["run     error", "a       12.5%", "longer"]
    assert aligned(rows) == ["   run  error", "     a  12.5%", "longer"]
    assert aligned([]) == []
