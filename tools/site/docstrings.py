"""Docstrings as Markdown: their lines `name: description` become lists."""

import re

ITEM = re.compile(r"(\*{0,2}[a-z_]\w*(?:, \*{0,2}[a-z_]\w*)*): (.+)")
AFTER = re.compile(r"(Raises|Returns|Yields|Source|Sources|See) ?")  # not part of the last item
SECTION = re.compile(r"(Args|Returns|Raises):$")


def as_markdown(docstring: str) -> str:
    """The text with a list item per described name; blocks of code and tables stay as they are."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", docstring.strip("\n")))


def _paragraph(text: str) -> str:
    first, *lines = text.split("\n")
    if SECTION.match(first):
        return f"{first}\n\n{_items([line.removeprefix('    ') for line in lines])}"
    return text if text.startswith(("    ", "|", "- ", "#", "1. ")) else _items([first, *lines])


def _items(lines: list[str]) -> str:
    """Lines that begin with `name: ` are items, to which the lines below them belong."""
    found: list[str] = []
    inside = False
    for line in lines:
        match = ITEM.match(line)
        if match:
            found += [""] * (bool(found) and not inside)
            found.append(f"- `{match[1]}`: {match[2]}")
            inside = True
        elif inside and not AFTER.match(line):
            found.append(f"    {line.strip()}")
        else:
            found += [""] * inside
            found.append(line)
            inside = False
    return "\n".join(found)
