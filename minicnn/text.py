"""Tables as plain text, and as HTML for notebooks; numbers; hints for mistyped names."""

import difflib
import math
from collections.abc import Container, Iterable, Sequence
from html import escape
from typing import Any


def hint(name: str, known: Iterable[str], otherwise: str) -> str:
    """The end of a message about an unknown name: `did you mean ...`, or `otherwise`."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, 3)
    return f"did you mean {', '.join(by_lower[one] for one in near)}" if near else otherwise


def portable(name: str) -> str:
    """The name of a file as it reads in UTF-8.

    Where the locale cannot express a name, as under LC_ALL=C, Python has its bytes as lone
    surrogates, which no file or figure takes, and which another locale does not have.
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def for_json(value: Any) -> Any:
    """The value with None for each number that is not finite, as JSON has neither NaN nor infinity.

    Dictionaries and lists are copied.
    """
    if isinstance(value, dict):
        return {key: for_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [for_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def four_digits(value: float) -> str:
    """A number with four significant digits, in full if it is large: 0.4398, 18,190."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


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
