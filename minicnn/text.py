"""Tables as plain text, and as HTML for notebooks."""

from collections.abc import Container, Sequence
from html import escape


def aligned(rows: Sequence[Sequence[str]], left: Container[int] = ()) -> list[str]:
    """One line per row, with columns of equal width; those in `left` are aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def html_table(
    rows: Sequence[Sequence[str]], left: Container[int] = (), caption: str = "", footer: str = ""
) -> str:
    """The same as an HTML table. The first row is the heading; a footer is a paragraph below."""
    lines = []
    for i, row in enumerate(rows):
        tag = "td" if i else "th"
        cells = (
            f'<{tag} style="text-align:{"left" if j in left else "right"}">{escape(cell)}</{tag}>'
            for j, cell in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    title = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    below = f"<p>{escape(footer)}</p>" if footer else ""
    return f"<table>{title}{''.join(lines)}</table>{below}"
