"""Explanations as text: docs/explain.md, with what its blocks print."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "explain.md"
BLOCKS = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


def test_the_worked_example_prints_these_numbers(capsys):
    names = {"__name__": "document"}
    compared = 0
    for language, block in BLOCKS.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            exec(block, names)
            printed = capsys.readouterr().out
        else:
            assert without_lines(block) == without_lines(printed)
            compared += 1
    assert compared == 3


def without_lines(text):
    """The numbers of lines in the code change with the code."""
    return re.sub(r":\d+-\d+$", "", text, flags=re.MULTILINE)
