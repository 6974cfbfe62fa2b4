"""The derivations: what their blocks print, the sums by hand, and the lines of code they quote."""

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "derivations").glob("*.md"))
BLOCK = re.compile(
    r"^(<!-- continues -->\n)?```(python|text|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
SUM = re.compile(r"[-+*/(). \d]+")

pytestmark = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def value(expression):
    """The value of an expression of numbers."""
    assert SUM.fullmatch(expression), expression
    return eval(compile(ast.parse(expression.strip(), mode="eval"), "sum", "eval"), {})


def wrong_sums(text):
    """The lines `sum = result` whose result is not that of the sum, to the digits shown."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" = ")
        digits = len(right.partition(".")[2])
        if abs(value(left) - value(right)) > 0.5 * 10**-digits * (1 + 1e-9) * bool(digits):
            found.append(line)
    return found


def test_what_the_blocks_print(page):
    namespace, printed = {}, None
    for continues, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            assert not printed, f"{page.name}: the output {printed!r} is not shown"
            namespace = namespace if continues else {"__name__": "document"}
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(text, namespace)
            printed = output.getvalue()
        elif language == "text" and printed:
            assert text == printed
            printed = None


def test_sums_by_hand(page):
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    sums = [text for _, language, text in blocks if language == "text" and " = " in text]
    assert sums or page.stem == "README"
    assert [line for text in sums for line in wrong_sums(text)] == []


def test_quoted_code(page):
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    quoted = [text for _, language, text in blocks if language == "py"]
    assert quoted or page.stem == "README"
    for text in quoted:
        first, *lines = text.splitlines()
        source = (ROOT / first.removeprefix("# ")).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line not in source] == []


def test_a_wrong_sum_is_found(page):
    assert wrong_sums("1 + 1 = 3\n1/3 = 0.33\n1/3 = 0.34") == ["1 + 1 = 3", "1/3 = 0.34"]
