"""An explanation as a table for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...text import aligned

if TYPE_CHECKING:
    from .explanation import Explanation, Read, Term

MARKS = {True: "<- chosen", False: ""}


def lines(e: "Explanation", shown: Sequence["Term"]) -> list[str]:
    """Title, formula, terms, results, and where the number comes from; `shown` are the terms."""
    return [
        *(f"{e.title}  ({e.layer})", *([e.formula] if e.formula else [])),
        *(["", *_table(e, shown)] if e.terms else []),
        "",
        *_results(e),
        *([e.note] if e.note else []),
        *([f"reads  {', '.join(map(_box, e.reads))}"] if e.reads else []),
        *(
            [f"code   {e.source.name}, {e.source.file}:{e.source.first}-{e.source.last}"]
            if e.source
            else []
        ),
    ]


def _table(e: "Explanation", shown: Sequence["Term"]) -> list[str]:
    is_marked = e.kind == "selection" or not all(term.chosen for term in e.terms)
    rows = [
        [
            number(term.value),
            term.label,
            " · ".join(number(f.value) for f in term.factors) if len(term.factors) > 1 else "",
            MARKS[term.chosen and is_marked],
        ]
        for term in shown
    ]
    count = len(e.terms) - len(shown)
    if count:
        kept = sum(term.value for term in shown)
        rest = "" if e.kind == "selection" else number(e.sum - kept)
        rows.append([rest, f"... {count:,} further terms", "", ""])
    return aligned([["value", "term", "", ""], *rows], left={1, 2, 3})


def _results(e: "Explanation") -> list[str]:
    count = len(e.terms)
    rows = []
    if e.kind == "selection":
        rows.append([number(e.sum), f"the maximum of {count:,} values"])
    elif e.kind != "none":
        rows.append([number(e.sum), f"the sum of {count:,} terms" if count != 1 else "the term"])
    if e.then:
        rows.append([number(e.total), e.then])
    rows.append([number(e.engine), f"in the pass ({e.dtype})"])
    if e.kind != "none":
        rows.append([f"{e.difference:.1e}", "the difference"])
    return aligned(rows, left={1})


def _box(read: "Read") -> str:
    ranges = [str(a) if b == a + 1 else f"{a}:{b}" for a, b in read.ranges]
    name = read.what if read.path else ("input" if read.what == "x" else f"network.{read.what}")
    return f"{read.path + '.' if read.path else ''}{name}[{', '.join(ranges)}]"


def number(value: float) -> str:
    """Six digits, which is what float32 has; -0 is 0."""
    return f"{value + 0.0:.6g}"
