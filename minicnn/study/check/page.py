"""The page of a check as text: verdicts, the mistake, its formula, the repair, an example."""

import re
import textwrap
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Check, Report

Line = tuple[str, str]  # text and its style
WIDTH = 100
RULES = {
    "bold": "font-weight:bold",
    "green": "color:green",
    "red": "color:#c00",
    "yellow": "color:#960",
    "cyan": "color:#088",
    "dim": "color:#777",
}
STYLES = {"right": "green", "wrong": "bold red", "error": "bold red"}


def check_lines(check: "Check") -> list[Line]:
    """The page of one operation."""
    head = f"{check.name}: {check.title}"
    points = f"{check.points} of {check.possible} points"
    lines = [(f"{head:<{WIDTH - 20}}{points:>20}", "bold")]
    lines += [(f"  {check.how}", "dim")] if check.how else []
    if check.error:
        return lines + _wrapped(check.error, "  ", "bold red")
    if check.is_missing:
        return [*lines, ("  not written yet", "yellow")]
    width = max([len(row.result) for row in check.rows] + [12])
    for row in check.rows:
        of = f"right in {row.right} of {row.total} geometries" if row.total else ""
        of = "" if row.verdict == "missing" else of.removeprefix("right " * (row.points == 1))
        note = f"{of}; {row.note}" if row.note and of else of or row.note
        verdict = row.verdict.upper() if row.verdict in ("wrong", "error") else row.verdict
        text = f"  {row.result:<{width}}  {verdict:<11} {note}"
        wrapped = textwrap.wrap(text, WIDTH, subsequent_indent=" " * (width + 16)) or [text]
        lines += [(part, STYLES.get(row.verdict, "yellow")) for part in wrapped]
    if not check.effects and any(row.points for row in check.rows):
        lines.append((f"  {'side effects':<{width}}  none", "green"))
    for effect in check.effects:
        lines += _wrapped(effect, f"  {'side effects':<{width}}  ", "bold red")
    for finding in check.findings:
        lines.append(("", ""))
        lines += _wrapped(finding.says, f"  {', '.join(finding.results)}: ", "bold")
        for formula in finding.formulas:
            lines += _wrapped(formula, "    formula: ", "cyan")
        lines += _wrapped(finding.advice, "    repair:  ", "")
    for clue in check.clues:
        lines += [("", ""), *_wrapped(clue, "  ", "bold")]
    for example in check.examples:
        lines += [
            ("", ""),
            (f"  {example.result} by hand, in the smallest geometry that shows it:", ""),
        ]
        lines += [part for text in example.lines for part in _wrapped(text, "    ", "")]
    for remark in check.remarks:
        lines += [("", ""), *_wrapped(remark, "  note: ", "dim")]
    return lines


def _wrapped(text: str, start: str, style: str) -> list[Line]:
    """Lines of at most WIDTH columns; the following ones are indented like the first one's text."""
    parts = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [(part, style) for part in parts]


def report_lines(report: "Report") -> list[Line]:
    """The page of a file."""
    lines: list[Line] = [(report.file, "bold underline"), ("", "")]
    if report.error:
        lines += _wrapped(report.error, "", "bold red")
    for check in report.checks:
        lines += [*check_lines(check), ("", "")]
    for remark in report.remarks:
        lines += _wrapped(remark, "note: ", "dim")
    if report.checks:
        missing = sum(check.is_missing for check in report.checks)
        text = f"{report.points} of {report.possible} points"
        text += f"; {missing} not written yet" if missing else ""
        style = "bold green" if report.ok else "bold"
        lines.append((f"{text}{': all of it is right' if report.ok else ''}", style))
    return lines


def check_text(check: "Check") -> str:
    """The page of one operation, without colors."""
    return "\n".join(text.rstrip() for text, _ in check_lines(check))


def report_text(report: "Report") -> str:
    """The page of a file, without colors."""
    return "\n".join(text.rstrip() for text, _ in report_lines(report))


def as_html(lines: list[Line]) -> str:
    """The page for a notebook, in the colors of a terminal."""
    parts = []
    for text, style in lines:
        rules = [RULES[word] for word in style.split() if word in RULES]
        parts.append(f'<span style="{";".join(rules)}">{escape(text.rstrip())}</span>')
    return f'<pre style="font-family:monospace">{chr(10).join(parts)}</pre>'


IMAGE = re.compile(r"\b(dx|dy|x|y)\[n, ([^,\]]+), ([^,\]]+), (c|k)\]")
FILTER = re.compile(r"\b(dw|w)\[i, j, c, k\]")


def translate(text: str, layout: str, upstream: str) -> str:
    """A sentence or formula in the student's layout, with the student's name for dy."""
    if layout == "NCHW":
        text = IMAGE.sub(r"\1[n, \4, \2, \3]", text)
        text = FILTER.sub(r"\1[k, c, i, j]", text)
    return re.sub(r"\bdy\b(?! \(dout\))", upstream, text).replace("dy (dout)", upstream)
